"""Threads that give up at once when they are told to: whoever runs many calls can end those that only wait.

A thread inside a call of the user's function is left alone; one that waits for a key, or rests before the next attempt,
is woken, and raises ``Stopped``. Tasks need none of this: they are cancelled.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stable_openai.clock import Clock

__all__ = ["Stopped", "Stopping", "check", "current", "rest", "wakes"]


class Stopped(BaseException):
    """The thread was told to stop. As little an ``Exception`` as ``KeyboardInterrupt`` is: functions let it pass."""


class Stopping:
    """What tells the threads that work under it to stop; once, and for good.

    Attributes:
        stopped: Whether it has been said.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()  # the collector may stop a run in the midst of this
        self._wakes: dict[Callable[[], None], None] = {}
        self.stopped = False

    def stop(self) -> None:
        """Wake all who wait, and let nobody begin; idempotent."""
        with self._lock:
            self.stopped = True
            wakes, self._wakes = self._wakes, {}
        for wake in wakes:
            wake()

    def add(self, wake: Callable[[], None]) -> None:
        """Have ``wake`` called when it is said, from now on.

        Raises:
            Stopped: It has been said already.
        """
        with self._lock:
            if self.stopped:
                raise Stopped
            self._wakes[wake] = None

    def discard(self, wake: Callable[[], None]) -> None:
        """Have it called no longer."""
        with self._lock:
            self._wakes.pop(wake, None)

    @contextlib.contextmanager
    def waking(self, wake: Callable[[], None]) -> Iterator[None]:
        """Have ``wake`` called if it is said while the block runs.

        Raises:
            Stopped: It has been said already.
        """
        self.add(wake)
        try:
            yield
        finally:
            self.discard(wake)


current: Final[contextvars.ContextVar[Stopping | None]] = contextvars.ContextVar("stopping", default=None)
"""What the calls of this context are under; None where nothing stops them."""


def check() -> None:
    """Go on only where nobody has said to stop.

    Raises:
        Stopped: Somebody has.
    """
    stopping = current.get()
    if stopping is not None and stopping.stopped:
        raise Stopped


def wakes(wake: Callable[[], None]) -> contextlib.AbstractContextManager[None]:
    """Have ``wake`` called if this context's calls are stopped while the block runs."""
    stopping = current.get()
    return contextlib.nullcontext() if stopping is None else stopping.waking(wake)


def rest(clock: Clock, seconds: float) -> None:
    """Block this thread for so many seconds.

    Raises:
        Stopped: It was told to stop.
    """
    stopping = current.get()
    if stopping is None:
        clock.sleep(seconds)
        return
    over = threading.Lock()
    over.acquire()

    def wake() -> None:
        with contextlib.suppress(RuntimeError):  # it is open already
            over.release()

    alarm = clock.call_at(clock.monotonic() + seconds, wake)
    try:
        with stopping.waking(wake):
            over.acquire()
    finally:
        alarm.cancel()
    check()
