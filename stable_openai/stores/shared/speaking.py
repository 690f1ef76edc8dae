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
from stable_openai.errors import PoolClosed, StoreError
from stable_openai.stores.protocol import Grant

from .journal import Lost
from .ops import Op
from .service import Service
from .watching import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stable_openai.clock import Clock
    from stable_openai.stores.engine import Engine

    from .link import Link

__all__ = ["Speaker", "in_loop"]

T = TypeVar("T")
_log: Final = logging.getLogger("stable_openai")
_SOON: Final = 0.01  # seconds that a mere success may wait for something else to be said
_NEVER: Final = float("inf")
_TOLD_LATER: Final = frozenset({"assign", "rest", "revive"})  # beside grants, settlements, keys and owners


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

    Attributes:
        closed: Whether it is over, or about to be.
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
        self.closed = self._left = False
        self._begin()
        _speakers.add(self)

    def _begin(self) -> None:
        self._sending = threading.RLock()  # never entered twice; but it can tell whether this thread is inside
        self._queue: deque[Op] = deque()
        self._taken: deque[Op] = deque()  # from the queue, by whoever speaks
        self._finished: deque[Op] = deque()  # of which somebody is to be told
        self._listening = False
        self._service = Service(self, self.link.journal.close)
        self._service.start()
        self._is_set = False  # an alarm, for what is not urgent
        self._on_soon = self.poster(Speaker.flush_soon)
        self.watch = Watch(self, self._clock, system=self._system)

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
            if self._finished:
                self._tell_finished()
        except BaseException:
            for op in ops:
                self._abandon(op)
            self._service.post(Speaker.flush)  # others may have relied on this thread
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
        if not self._left:
            self._service.post(Speaker.flush)
        elif not self.inside:  # there is no such thread any more, and nothing that would take long
            self.flush()

    def soon(self, op: Op) -> None:
        """Have something said that is not urgent: with what is said next, or in a moment."""
        if self._left:
            self.post(op)
            return
        self._queue.append(op)
        if not self._is_set:
            self._is_set = True
            self._clock.call_at(self._clock.monotonic() + _SOON, self._on_soon)

    def flush_soon(self) -> None:
        """Say what was not urgent."""
        self._is_set = False
        self.flush()

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
        """Say what is in the queue. Whoever is interrupted (Control-C) leaves to the next what is not done."""
        ops = self._taken
        while self._queue:
            if not (ops and ops[-1] is self._queue[0]):
                ops.append(self._queue[0])
            self._queue.popleft()
        unsaid = [op for op in ops if not op.is_answered and not (op.abandoned and op.kind == "grant")]
        if unsaid or wake:
            try:
                self._say(unsaid, wake=wake)
            except Exception as error:  # noqa: BLE001  # whoever asked is told
                for op in unsaid:
                    if not op.is_answered:
                        op.error = error
        while ops:
            self._finish(ops[0])
            ops.popleft()
        if not self.watch.trouble and self.link.has_more_to_do:
            self._service.post(Speaker.save)

    def _say(self, ops: Sequence[Op], *, wake: bool) -> None:
        if self._left:
            for op in ops:
                if op.kind == "grant":
                    op.error = PoolClosed("this pool is closed: make a new one")
                else:
                    self.link.say_alone(op)
            return
        if not self.watch.trouble:
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
            trouble = self.watch.trouble
            raise StoreError(f"{trouble} (it is tried again; on_store_error='local' goes on without it)")
        for op in ops:
            if not op.is_answered:
                self.link.say_alone(op)

    def _finish(self, op: Op) -> None:
        if op.done:
            return
        lost = bool(self.watch.trouble) or op.error is not None
        if op.kind == "settle":
            self.link.records.settled(op.rest[0], op.rest[1:], alone=lost)
        elif lost and op.kind in _TOLD_LATER and op.error is None:
            self.link.records.said(op.kind, *op.rest)
        op.done = True
        if op.abandoned and isinstance(op.result, Grant):
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
        sending: Any = self._sending
        lock: Any = self.link.lock
        return bool(sending._is_owned() or lock._is_owned())  # noqa: SLF001

    # -- looking

    def look_at(self, look: Callable[[Engine], T]) -> T:
        """What a look at the state shows."""
        with self.link.lock:
            if self.link.alone is not None:
                return look(self.link.alone.replica.engine)
            # Looking at the replica itself would make it another one than everybody else's.
            copy = self.link.replica.copy()
        return look(copy.engine)

    def review_at(self) -> float:
        """When others may be found to have gone with what they hold, in the store's time."""
        alone = self.link.alone
        return self.link.replica.workers.review_at if alone is None else alone.review_at

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
            if not self.closed:
                self.link.journal.listen(self.poster(Speaker.look))
        except (Lost, StoreError) as error:
            _log.debug("no wake-ups from the store: %s", error)
            self._listening = False

    def look(self) -> None:
        """Look whether the store has something for those who wait."""
        self._on_word()

    def save(self, *, all_have_heard: bool = False) -> None:
        """Have all go on from a snapshot; or save one, once those who lag a little need not read everything anew."""
        with self._sending:
            if self.watch.trouble or self._left:
                return
            try:
                if self.link.keeps_a_snapshot():
                    if all_have_heard or self.link.has_more_to_do:
                        self.link.save_snapshot()
                elif self.link.has_more_to_do:
                    self.link.rebase()
            except (Lost, StoreError) as error:
                _log.debug("no snapshot was kept: %s", error)

    def poster(self, job: Callable[[Speaker], None]) -> Callable[[], None]:
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

    # -- losing and finding the store

    def _lose(self, trouble: str) -> None:
        self.watch.lose(trouble, raises=self._raises)
        if self._system:
            self._service.post(Speaker.look)  # who waits has to ask without it

    def return_to_all(self) -> None:
        """Go on with a store that is reached again.

        Raises:
            Lost: It is lost again already.
            StoreError: It refuses.
        """
        with self._sending:
            if self.closed or not self.watch.trouble:
                return
            self.link.return_to_all()
            self.watch.is_back()
        if self._listening:
            self.listen_now()
        self._on_word()

    # -- ending

    def close(self) -> None:
        """Take leave of the others, and close all connections; what runs ends as it would, and nobody is told."""
        if self.closed:
            return
        self.closed = True
        self.watch.end()
        with self._sending:
            if not self.watch.trouble:
                self._queue.append(Op("leave"))
                self._flush()
            self._left = True
        self._tell_finished()
        self._service.stop()
        self.link.journal.close()
        self.watch.join()  # the end of the journal is its end; but it may have opened it again
        self.link.journal.close()
        self.flush()  # whoever came late

    def after_fork(self) -> None:
        """Be another worker, in a forked child: without the parent's connections, locks, threads and leases."""
        self.link.journal.after_fork()
        self.link.start_afresh()
        self._begin()

    def end(self) -> None:
        """Let the store's thread go, since nobody uses the pool any more."""
        self.watch.end()
        self._service.end(self.flush if self._queue else None)


_speakers: Final[weakref.WeakSet[Speaker]] = weakref.WeakSet()


@atexit.register
def _take_leave() -> None:
    """Who ends in order does not keep the others waiting until it is given up."""
    for speaker in tuple(_speakers):
        speaker.close()


def in_loop() -> bool:
    """Whether this is a task's thread, which is not to be blocked."""
    return asyncio._get_running_loop() is not None  # noqa: SLF001  # a twentieth of the cost of its raising twin
