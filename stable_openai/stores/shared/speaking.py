"""How a process speaks to a shared store: what is said, by whom, and what happens while nobody hears it."""

from __future__ import annotations

import asyncio
import atexit
import logging
import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, Final, TypeVar

from stable_openai.clock import SystemClock
from stable_openai.errors import StoreError
from stable_openai.stores.protocol import Grant

from .alone import Alone
from .journal import Lost
from .link import Op
from .service import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stable_openai.clock import Alarm, Clock
    from stable_openai.stores.engine import Engine

    from .link import Link

__all__ = ["Speaker", "in_loop"]

T = TypeVar("T")
_log: Final = logging.getLogger("stable_openai")
_PROBES: Final = (0.1, 5.0)  # seconds between two attempts to reach a lost store: at first, and at most
_BEATS: Final = 3  # signs of life within the time after which a worker is given up


class Speaker:
    """Says what this worker has to say, in one exchange at a time.

    Threads that have something to say at once are served together: whoever is free to speak does it for all. Tasks, and
    those who can't wait, leave it to the store's own thread.

    Args:
        link: The link to the store.
        clock: This machine's clock.
        on_word: Called when it may be worth to ask the store again.
        give_back: Called with the number of a grant that nobody waits for.
        raises: Whether calls fail while the store is lost, rather than go on without it.
    """

    def __init__(
        self,
        link: Link,
        clock: Clock,
        on_word: Callable[[], None],
        give_back: Callable[[int], None],
        *,
        raises: bool,
    ) -> None:
        self.link = link
        self._clock = clock
        self._on_word = on_word
        self._give_back = give_back
        self._raises = raises
        self._system = isinstance(clock, SystemClock)
        self.closed = False
        self._begin()
        _speakers.add(self)

    def _begin(self) -> None:
        self._sending = threading.RLock()  # never entered twice; but it can tell whether this thread is inside
        self._queue: deque[Op] = deque()
        self._finished: deque[Op] = deque()  # of which somebody is to be told
        self._alone: Alone | None = None
        self._trouble = ""  # what keeps the store away
        self._probe_in = _PROBES[0]
        self._listening = False
        self._service = Service(self)
        self._service.start()
        self._beat: Alarm | None = None
        self._schedule_beat()

    # -- saying something

    def do(self, *ops: Op) -> Any:
        """Say these, wait for what comes of it, and return that of the last.

        Raises:
            StoreError: The store is lost, and the pool is not to go on without it; or it refuses.
        """
        self._queue.extend(ops)
        try:
            with self._sending:
                if not ops[-1].done:
                    self._flush()
            self._tell_finished()
        except BaseException:
            for op in ops:
                self._abandon(op)
            raise
        for op in ops:
            if op.error is not None:
                raise op.error
        return ops[-1].result

    async def ado(self, op: Op) -> Any:
        """The twin of ``do`` for tasks: the store's thread says it."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            if not future.done():
                future.set_result(None)

        def then(_op: Op) -> None:
            try:
                loop.call_soon_threadsafe(wake)
            except RuntimeError:  # the loop was closed meanwhile
                self._abandon(op)

        op.then = then
        self.post(op)
        try:
            await future
        except BaseException:
            self._abandon(op)
            raise
        if op.error is not None:
            raise op.error
        return op.result

    def post(self, op: Op) -> None:
        """Have something said, and wait for nothing; takes no lock, since the collector may be the one that asks."""
        self._queue.append(op)
        self._service.post(Speaker.flush)

    def flush(self, *, wake: bool = False) -> None:
        """Say what waits to be said."""
        with self._sending:
            self._flush(wake=wake)
        self._tell_finished()

    def wake_others(self) -> None:
        """Tell those who wait elsewhere that it is worth looking."""
        self._service.post(lambda speaker: speaker.flush(wake=True))

    def _tell_finished(self) -> None:
        """Tell those who wait for their ops: apart from the lock, since they may have more to say."""
        while self._finished:
            try:
                op = self._finished.popleft()
            except IndexError:  # another thread does the same
                break
            if op.then is not None:
                op.then(op)

    def _flush(self, *, wake: bool = False) -> None:
        ops: list[Op] = []
        while self._queue:
            ops.append(self._queue.popleft())
        if not ops and not wake:
            return
        try:
            self._say(ops, wake=wake)
        except Exception as error:  # noqa: BLE001  # whoever asked is told
            for op in ops:
                op.error = error
        for op in ops:
            self._finish(op)
        if not self._trouble and self.link.wants_snapshot:
            self._service.post(Speaker.save)

    def _say(self, ops: Sequence[Op], *, wake: bool) -> None:
        if not self._trouble:
            try:
                self.link.exchange(ops, wake=wake)
            except Lost as error:
                self._lose(str(error))
            except StoreError as error:
                if self._raises:
                    raise
                self._lose(str(error))
            else:
                return
        if self._raises:
            raise StoreError(f"{self._trouble} (it is tried again; on_store_error='local' goes on without it)")
        if self._alone is None:
            self._alone = Alone(self.link)
        now = self.link.now()
        with self.link.lock:
            for op in ops:
                op.result = self._alone.say(self.link.text_of(op), now)

    def _finish(self, op: Op) -> None:
        result, alone = op.result, self._alone is not None
        if isinstance(result, Grant):
            self.link.records.granted(op.number, result.name, result.state.at, op.rest, alone=alone)
        elif op.kind == "settle" and op.error is None:
            self.link.records.settled(op.rest[0], op.rest[1:], alone=alone)
        op.done = True
        if op.abandoned and isinstance(result, Grant):
            self._give_back(op.number)
        if op.then is not None:
            self._finished.append(op)

    def _abandon(self, op: Op) -> None:
        """Nobody waits for this any more: what it was granted is given back, now or when it comes."""
        op.abandoned = True
        if op.done and isinstance(op.result, Grant):
            self._give_back(op.number)

    @property
    def inside(self) -> bool:
        """Whether this very thread is about to speak: the collector has interrupted it, and must not wait for it."""
        owned = [lock._is_owned() for lock in (self._sending, self.link.lock)]  # type: ignore[attr-defined]  # noqa: SLF001
        return any(owned)

    # -- looking

    def look_at(self, look: Callable[[Engine], T]) -> T:
        """What a look at the state shows."""
        with self.link.lock:
            if self._alone is not None:
                return look(self._alone.replica.engine)
            # Looking at the replica itself would make it another one than everybody else's.
            copy = self.link.replica.copy()
        return look(copy.engine)

    # -- the store's thread

    def hand_over(self, job: Callable[[], None]) -> None:
        """Have a job done by the store's thread; with a clock that is moved by hand, by this very one."""
        if self._system:
            self._service.post(lambda _speaker: job())
        else:
            job()

    def listen(self) -> None:
        """Have ``on_word`` called when others say that it is worth looking; idempotent."""
        if not self._listening:
            self._listening = True
            self._service.post(Speaker.listen_now)

    def listen_now(self) -> None:
        """What ``listen`` has the store's thread do."""
        try:
            self.link.journal.listen(self._poster(Speaker.look))
        except (Lost, StoreError) as error:
            _log.debug("no wake-ups from the store: %s", error)
            self._listening = False

    def look(self) -> None:
        """Look whether the store has something for those who wait."""
        self._on_word()

    def save(self) -> None:
        """Keep a snapshot in place of what it sums up."""
        with self._sending:
            if not self._trouble and self.link.wants_snapshot:
                try:
                    self.link.save_snapshot()
                except (Lost, StoreError) as error:
                    _log.debug("no snapshot was kept: %s", error)

    def _poster(self, job: Callable[[Speaker], None]) -> Callable[[], None]:
        """A callback that has a job done, and keeps no speaker alive that nobody uses any more."""
        service = self._service
        if self._system:
            return lambda: service.post(job)
        speaker = weakref.ref(self)

        def at_once() -> None:  # the clock is moved by hand, and whoever does so wants to see what comes of it
            found = speaker()
            if found is not None:
                job(found)

        return at_once

    # -- signs of life

    def _schedule_beat(self) -> None:
        at = self._clock.monotonic() + self.link.lease_ttl / _BEATS
        self._beat = self._clock.call_at(at, self._poster(Speaker.give_sign))

    def give_sign(self) -> None:
        """Say that this worker is there, where it has said nothing for a while."""
        if self.closed:
            return
        if not self._trouble and self._clock.monotonic() - self.link.spoke_at >= self.link.lease_ttl / _BEATS / 2:
            self._queue.append(Op("beat"))
            self.flush()
        self._schedule_beat()

    # -- losing and finding the store

    def _lose(self, trouble: str) -> None:
        self._trouble = trouble
        workers = max(len(self.link.replica.workers), 1)
        if self._raises:
            _log.warning("the store is lost: %s", trouble)
        else:
            share = "with its limits" if workers == 1 else f"each of {workers} workers with its part of the limits"
            _log.warning("the store is lost, going on without it, %s: %s", share, trouble)
        self._probe_in = _PROBES[0]
        self._schedule_probe()

    def _schedule_probe(self) -> None:
        self._clock.call_at(self._clock.monotonic() + self._probe_in, self._poster(Speaker.probe))

    def probe(self) -> None:
        """Try to reach the store again."""
        with self._sending:
            if self.closed or not self._trouble:
                return
            try:
                self.link.rejoin()
            except (Lost, StoreError) as error:
                self._trouble = str(error)
                self._probe_in = min(2 * self._probe_in, _PROBES[1])
                self._schedule_probe()
                return
            self._alone, self._trouble = None, ""
        _log.warning("the store is back")
        if self._listening:
            self.listen_now()
        self._on_word()

    # -- ending

    def close(self) -> None:
        """Take leave of the others, and close all connections."""
        if self.closed:
            return
        self.closed = True
        if self._beat is not None:
            self._beat.cancel()
        with self._sending:
            if not self._trouble:
                self._queue.append(Op("leave"))
                self._flush()
        self._tell_finished()
        self._service.stop()
        self.link.journal.close()

    def after_fork(self) -> None:
        """Be another worker, in a forked child: without the parent's connections, locks, threads and leases."""
        held = self.link.held
        self.link.journal.after_fork()
        self.link.start_afresh()
        self.link.held = held
        self._begin()

    def end(self) -> None:
        """Let the store's thread go, since nobody uses the pool any more."""
        self._service.end()


_speakers: Final[weakref.WeakSet[Speaker]] = weakref.WeakSet()


@atexit.register
def _take_leave() -> None:
    """Who ends in order does not keep the others waiting until it is given up."""
    for speaker in tuple(_speakers):
        speaker.close()


def in_loop() -> bool:
    """Whether this is a task's thread, which is not to be blocked."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
