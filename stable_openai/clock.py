"""Time as an argument: the clock that pools read and set their alarms on.

``SystemClock`` is the machine's; ``ManualClock`` stands still until it is told to move, for tests.
Windows and cooldowns are kept in monotonic seconds, so that setting the wall clock neither frees nor blocks a
key. The wall clock is read only where a provider or a calendar speaks of an instant.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import os
import threading
import time
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SYSTEM_CLOCK", "Alarm", "Clock", "ManualClock", "SystemClock"]


class Alarm:
    """One callback that is due at one moment; ``cancel()`` forgets it."""

    __slots__ = ("callback", "cancelled", "when")

    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        """Forget the alarm; it is harmless to do so twice, or after it went off."""
        self.cancelled = True


class Clock(Protocol):
    """What a pool needs of time, in seconds."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""

    def time(self) -> float:
        """Seconds since 1970-01-01 UTC."""

    def call_at(self, when: float, callback: Callable[[], None]) -> Alarm:
        """Call ``callback`` once, in any thread, when ``monotonic()`` has reached ``when``."""

    def sleep(self, seconds: float) -> None:
        """Block this thread for so many seconds."""

    async def asleep(self, seconds: float) -> None:
        """Wait for so many seconds in a task."""


class _Alarms:
    """Alarms by the moment they are due."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Alarm]] = []
        self._order = itertools.count()

    def push(self, alarm: Alarm) -> bool:
        """Add one; True if it is now the earliest."""
        heapq.heappush(self._heap, (alarm.when, next(self._order), alarm))
        return self._heap[0][2] is alarm

    def pop_due(self, now: float) -> list[Alarm]:
        due = []
        while self._heap and (self._heap[0][2].cancelled or self._heap[0][0] <= now):
            alarm = heapq.heappop(self._heap)[2]
            if not alarm.cancelled:
                due.append(alarm)
        return due

    def next_at(self) -> float | None:
        return self._heap[0][0] if self._heap else None


class SystemClock:
    """The machine's clock. Alarms share one daemon thread, which lives only while an alarm is set."""

    def __init__(self) -> None:
        self._start_afresh()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._start_afresh)

    def _start_afresh(self) -> None:
        self._changed = threading.Condition(threading.RLock())  # a collected lease may set an alarm meanwhile
        self._alarms = _Alarms()
        self._thread: threading.Thread | None = None

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        return time.monotonic()

    def time(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        return time.time()

    def call_at(self, when: float, callback: Callable[[], None]) -> Alarm:
        """Call ``callback`` in the alarm thread when ``monotonic()`` has reached ``when``."""
        alarm = Alarm(when, callback)
        with self._changed:
            earliest = self._alarms.push(alarm)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="stable_openai alarms", daemon=True)
                self._thread.start()
            elif earliest:
                self._changed.notify()
        return alarm

    def sleep(self, seconds: float) -> None:
        """Block this thread for so many seconds."""
        time.sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        """Wait for so many seconds in a task."""
        await asyncio.sleep(seconds)

    def _run(self) -> None:
        while True:
            with self._changed:
                due = self._alarms.pop_due(self.monotonic())
                if not due:
                    next_at = self._alarms.next_at()
                    if next_at is None:
                        self._thread = None
                        return
                    self._changed.wait(min(next_at - self.monotonic(), threading.TIMEOUT_MAX))
                    continue
            for alarm in due:
                if not alarm.cancelled:
                    alarm.callback()


SYSTEM_CLOCK: Final = SystemClock()


class ManualClock:
    """A clock for tests: it stands still, and alarms go off inside ``advance``.

    Args:
        monotonic: Where the monotonic clock starts, in seconds.
        time: Where the wall clock starts, in seconds since 1970-01-01 UTC.
    """

    def __init__(self, monotonic: float = 1_000.0, time: float = 1_700_000_000.0) -> None:
        self._monotonic = monotonic
        self._wall = time
        self._lock = threading.Lock()
        self._alarms = _Alarms()

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        return self._monotonic

    def time(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        return self._wall

    def set_wall(self, time: float) -> None:
        """Set the wall clock alone, as an administrator or a time server would."""
        self._wall = time

    def call_at(self, when: float, callback: Callable[[], None]) -> Alarm:
        """Call ``callback`` inside the ``advance`` that reaches ``when``."""
        alarm = Alarm(when, callback)
        with self._lock:
            self._alarms.push(alarm)
        return alarm

    def sleep(self, seconds: float) -> None:
        """Block this thread until another one has advanced the clock so far."""
        gate = threading.Lock()
        gate.acquire()
        self.call_at(self._monotonic + seconds, gate.release)
        gate.acquire()

    async def asleep(self, seconds: float) -> None:
        """Wait in a task until the clock was advanced so far."""
        loop = asyncio.get_running_loop()
        over = asyncio.Event()

        def ring() -> None:
            loop.call_soon_threadsafe(over.set)

        self.call_at(self._monotonic + seconds, ring)
        await over.wait()

    def advance(self, seconds: float) -> None:
        """Move both clocks on, stopping at each alarm on the way."""
        end = self._monotonic + seconds
        while True:
            with self._lock:
                next_at = self._alarms.next_at()
                if next_at is None or next_at > end:
                    self._move_to(end)
                    return
                self._move_to(max(next_at, self._monotonic))
                due = self._alarms.pop_due(self._monotonic)
            for alarm in due:
                if not alarm.cancelled:
                    alarm.callback()

    def _move_to(self, moment: float) -> None:
        self._wall += moment - self._monotonic
        self._monotonic = moment
