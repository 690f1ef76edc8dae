"""Taking turns: threads and tasks that share a conversation, one after the other, in the order in which they came."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

__all__ = ["Held", "Turns"]

S = TypeVar("S")


class Held:
    """Whether an async stream is still in somebody's hands.

    One that was left in the middle is closed by its event loop a little later, and gives its turn then: who left it
    need only wait for that.
    """

    def __init__(self) -> None:
        self._stream: weakref.ref[Any] | None = None

    def by(self, stream: S) -> S:
        """Watch a stream, and return it."""
        self._stream = weakref.ref(stream)
        return stream

    def __bool__(self) -> bool:
        return self._stream is None or self._stream() is not None


class _Waiter:
    __slots__ = ("held", "owner", "wake")

    def __init__(self, wake: Callable[[], bool], held: Held | None = None) -> None:
        self.owner = _who_runs()
        self.wake = wake
        self.held = Held() if held is None else held


class Turns:
    """A lock for threads and tasks alike: fair, and not held twice by the same one.

    A stream holds the turn until it is over, so whoever asks again from within would wait for himself: he is told so.
    """

    def __init__(self) -> None:
        self._line: deque[_Waiter] = deque()  # the first holds the turn
        self._changing = threading.RLock()  # reentrant: the collector may close a stream anywhere

    def take(self) -> None:
        """Wait for the turn, in a thread.

        Raises:
            RuntimeError: This thread has it already, or runs an event loop, which would stand still meanwhile.
        """
        event = threading.Event()

        def wake() -> bool:
            event.set()
            return True

        waiter = _Waiter(wake)
        if not self._join(waiter):
            try:
                if _runs_a_loop():
                    raise RuntimeError(
                        "a request of this conversation is running: in an event loop, await it before you go on"
                    )
                event.wait()
            except BaseException:
                self._leave(waiter)
                raise

    async def atake(self, held: Held | None = None) -> None:
        """Wait for the turn, in a task.

        Args:
            held: Tells whether the stream that the turn is for is still in use.

        Raises:
            RuntimeError: This task has it already.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        waiter = _Waiter(lambda: _wake(loop, future), held)
        if not self._join(waiter):
            try:
                await future
            except BaseException:
                self._leave(waiter)
                raise

    def give(self) -> None:
        """Give the turn to the next in line; from any thread."""
        with self._changing:
            if self._line:
                self._line.popleft()
            while self._line and not self._line[0].wake():
                self._line.popleft()  # nobody waits there any more

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Have the turn for a ``with`` block, in a thread."""
        self.take()
        try:
            yield
        finally:
            self.give()

    @contextlib.asynccontextmanager
    async def aturn(self, held: Held | None = None) -> AsyncIterator[None]:
        """Have the turn for an ``async with`` block, in a task."""
        await self.atake(held)
        try:
            yield
        finally:
            self.give()

    def _join(self, waiter: _Waiter) -> bool:
        """Stand in line; True: it is his turn."""
        with self._changing:
            if self._line and self._line[0].owner is waiter.owner and self._line[0].held:
                raise RuntimeError(
                    "a stream of this conversation is still running here: exhaust or close it before the next request"
                )
            self._line.append(waiter)
            return len(self._line) == 1

    def _leave(self, waiter: _Waiter) -> None:
        """Give up waiting; if the turn has just come, it goes on to the next."""
        with self._changing:
            if self._line and self._line[0] is waiter:
                self.give()
            elif waiter in self._line:
                self._line.remove(waiter)


def _who_runs() -> object:
    """The task that runs, or the thread."""
    task = asyncio.current_task() if _runs_a_loop() else None
    return threading.current_thread() if task is None else task


def _runs_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _finish(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_result(None)


def _wake(loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any]) -> bool:
    try:
        loop.call_soon_threadsafe(_finish, future)
    except RuntimeError:  # the loop was closed
        return False
    return True
