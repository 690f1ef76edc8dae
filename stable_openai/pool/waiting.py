"""Who waits for a key: first come, first served, threads and tasks in one line.

Nothing polls. A waiter sleeps until it is handed a grant, or the word that there will be none in time; one alarm
per line is set for the earliest moment at which that can change. Whoever changes the state (a settlement, a key that
is added, the alarm) serves the line, in the order of the tickets; per model, only calls of fewer tokens may pass others
(``groups`` says how far), and a model that can't be served holds up no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import threading
from typing import TYPE_CHECKING, Final

from stable_openai.errors import PoolClosed, RequestTooLarge
from stable_openai.stores.protocol import Grant, Outcome, Refusal

from . import stopping
from .groups import Group, Round

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from stable_openai.clock import Alarm, Clock
    from stable_openai.stores.opening import AnyStore
    from stable_openai.stores.protocol import Ask

__all__ = ["Line", "TaskWaiter", "ThreadWaiter", "Waiter", "make_line"]

_NEVER: Final = float("inf")
_UNUSED: Final = Outcome(unused=True)

Result = Grant | Refusal | Exception


class Waiter:
    """One call that waits.

    Args:
        ask: What it wants; the number of its call is its place: lower is served first.
        deadline: The moment of the store's time after which it gives up.

    Attributes:
        group: Whom it stands in line with: those who ask for the same model, of the same few keys where only some will
            do, so that one who waits for a certain key holds up nobody who may have another.
        size: Its size, among calls that may pass larger ones.
        passed_until: Until when it may be passed.
        result: What it gets.
    """

    __slots__ = ("ask", "deadline", "group", "passed_until", "result", "size", "ticket")

    def __init__(self, ask: Ask, deadline: float) -> None:
        self.ask = ask
        self.group: Hashable = ask.model if ask.only is None else (ask.model, ask.only)
        self.ticket = ask.call
        self.size = ask.tokens.bit_length()
        self.deadline = deadline
        self.passed_until = _NEVER
        self.result: Result | None = None

    def deliver(self) -> bool:
        """Wake the caller; False where there is nobody to wake any more."""
        raise NotImplementedError


class ThreadWaiter(Waiter):
    """A thread that waits."""

    __slots__ = ("_gate",)

    def __init__(self, ask: Ask, deadline: float) -> None:
        super().__init__(ask, deadline)
        self._gate = threading.Lock()
        self._gate.acquire()

    def deliver(self) -> bool:
        self.wake()
        return True

    def wake(self) -> None:
        """Let the thread go on, with or without something for it; idempotent."""
        with contextlib.suppress(RuntimeError):  # it is open already
            self._gate.release()

    def wait(self) -> None:
        """Block until something was delivered.

        Raises:
            Stopped: The thread was told to stop meanwhile.
        """
        with stopping.wakes(self.wake):
            self._gate.acquire()
        if self.result is None:
            raise stopping.Stopped


class TaskWaiter(Waiter):
    """A task that waits, on the loop that it runs in."""

    __slots__ = ("_future", "_loop")

    def __init__(self, ask: Ask, deadline: float) -> None:
        super().__init__(ask, deadline)
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[None] = self._loop.create_future()

    def deliver(self) -> bool:
        try:
            self._loop.call_soon_threadsafe(self._wake)
        except RuntimeError:  # the loop was closed meanwhile
            return False
        return True

    def _wake(self) -> None:
        if not self._future.done():
            self._future.set_result(None)

    async def wait(self) -> None:
        """Wait until something was delivered."""
        await self._future


class Line:
    """The waiting line of a pool.

    Attributes:
        groups: Those who wait, by what they wait for. Empty means that nobody does.
    """

    def __init__(self, store: AnyStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._tickets = itertools.count(1)
        self._numbers = itertools.count()
        self.groups: dict[Hashable, Group] = {}
        store.crowd = self.groups
        self.start_afresh()

    def start_afresh(self) -> None:
        """Forget all who wait: after a fork they are threads of another process."""
        self._lock = threading.RLock()  # never entered twice; but it can tell whether this thread is inside
        self._is_owned: Callable[[], bool] = self._lock._is_owned  # type: ignore[attr-defined]  # noqa: SLF001
        self._again = False
        self.groups.clear()
        self._deadlines: list[tuple[float, int, Waiter]] = []
        self._alarm: Alarm | None = None
        self._closed = False

    def ticket(self) -> int:
        """A place in the line, behind all that were handed out before."""
        return next(self._tickets)

    def __len__(self) -> int:
        return sum(len(group) for group in tuple(self.groups.values()))

    # -- coming and going

    def join(self, waiter: Waiter) -> None:
        """Stand in line; the waiter may be served before this returns."""
        with self._lock:
            self._enter(waiter)
            served = self._serve()
        self._deliver(served)

    def _enter(self, waiter: Waiter) -> None:
        group = self.groups.get(waiter.group)
        if group is None:
            group = self.groups[waiter.group] = Group(strict=waiter.ask.only is not None)
        group.add(waiter)
        if waiter.deadline < _NEVER:
            heapq.heappush(self._deadlines, (waiter.deadline, next(self._numbers), waiter))

    def leave(self, waiter: Waiter) -> None:
        """Leave the line; what was handed over meanwhile is given back and goes to the next."""
        with self._lock:
            if waiter.result is None:
                self._remove(waiter)
                waiter.result = Refusal(_NEVER)
        if isinstance(waiter.result, Grant):
            self._store.settle(waiter.result, _UNUSED)
        self.serve()

    def close(self) -> None:
        """Send everybody away with ``PoolClosed``."""
        with self._lock:
            self._closed = True
            served = self._serve()
        self._deliver(served)

    def _remove(self, waiter: Waiter) -> None:
        group = self.groups[waiter.group]
        group.remove(waiter)
        if not group:
            del self.groups[waiter.group]

    # -- serving

    def look_afresh(self) -> None:
        """Rely on nothing that was seen of the keys before."""
        for group in tuple(self.groups.values()):
            group.look_afresh()

    def serve(self) -> None:
        """Hand out what can be handed out now.

        Where this very thread is serving (the collector has found a forgotten lease meanwhile), it will look again.
        """
        if self._is_owned():
            self._again = True
            return
        with self._lock:
            served = self._serve()
        self._deliver(served)

    def _deliver(self, served: list[Waiter]) -> None:
        for waiter in served:
            if not waiter.deliver() and isinstance(waiter.result, Grant):
                self._store.settle(waiter.result, _UNUSED)
                self.serve()

    def _serve(self) -> list[Waiter]:
        served = self._serve_once()
        while self._again:
            self._again = False
            served += self._serve_once()
        return served

    def _serve_once(self) -> list[Waiter]:
        served: list[Waiter] = []
        earliest = _NEVER
        rounds = self._rounds(self.groups.values())
        heads = [(waiter.ticket, number, waiter, ask) for number, r in enumerate(rounds) for waiter, ask in r.next()]
        heapq.heapify(heads)
        while heads:
            _, number, waiter, ask = heapq.heappop(heads)
            result = self._try(ask)
            if isinstance(result, Refusal) and self._waits_on(waiter, ask, result):
                earliest = min(earliest, result.at)
                rounds[number].refused(waiter)
            else:
                self._hand(waiter, result)
                served.append(waiter)
            for waiter, ask in rounds[number].next():
                heapq.heappush(heads, (waiter.ticket, number, waiter, ask))
        expired = self._expire(self._store.now())  # last: what comes at the very moment of a deadline is in time
        if expired:
            self._again = True  # others may have what these waited for
        self._set_alarm(earliest)
        return served + expired

    def _rounds(self, groups: Iterable[Group]) -> list[Round]:
        look = self._store.outlook if self._store.counts_tokens else None
        now = self._store.now()
        return [Round(group, look, now) for group in groups]

    @staticmethod
    def _waits_on(waiter: Waiter, ask: Ask, refusal: Refusal) -> bool:
        """Whether a waiter goes on waiting after this; who was asked for out of turn does in any case."""
        return ask is not waiter.ask or refusal.pending or _NEVER > refusal.at <= waiter.deadline

    def _hand(self, waiter: Waiter, result: Result) -> None:
        """Take one out of the line, with what he gets."""
        waiter.result = result
        if isinstance(result, Grant):
            self.groups[waiter.group].used(result.name)
        self._remove(waiter)

    def _try(self, ask: Ask) -> Result:
        if self._closed:
            return PoolClosed("the pool was closed while this call waited for a key")
        try:
            return self._store.grant(ask)
        except RequestTooLarge as error:
            return error

    def _expire(self, now: float) -> list[Waiter]:
        expired = []
        deadlines = self._deadlines
        while deadlines and (deadlines[0][2].result is not None or deadlines[0][0] <= now):
            waiter = heapq.heappop(deadlines)[2]
            if waiter.result is None:
                self._remove(waiter)
                waiter.result = Refusal(_NEVER, pending=True)
                expired.append(waiter)
        if len(deadlines) > 2 * len(self) + 64:
            self._deadlines = [entry for entry in deadlines if entry[2].result is None]
            heapq.heapify(self._deadlines)
        return expired

    def _set_alarm(self, at: float) -> None:
        if self._deadlines:
            at = min(at, self._deadlines[0][0])
        when = self._store.alarm_time(at)
        if self._alarm is not None:
            if self._alarm.when == when and not self._alarm.cancelled:
                return
            self._alarm.cancel()
            self._alarm = None
        if at < _NEVER and self.groups:
            self._alarm = self._clock.call_at(when, self._ring)

    def _ring(self) -> None:
        with self._lock:
            self._alarm = None
            served = self._serve()
        self._deliver(served)


def make_line(store: AnyStore, clock: Clock) -> Line:
    """The line of a store."""
    if not store.remote:
        return Line(store, clock)
    from .remote_line import RemoteLine  # which nobody needs whose store is in memory

    return RemoteLine(store, clock)
