"""The driver in tasks, the twin of ``threads``. All of it runs in one event loop; only the writer is a thread."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import time
from collections import deque
from concurrent.futures import CancelledError
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final

from stable_openai.errors import ConfigurationError, NoKeyAvailable

from .cancelling import begin_task, is_cancelled
from .feed import Feed
from .items import Entry, Result, StopRun
from .threads import END, Broken
from .writing import Writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

    from stable_openai.clock import Alarm

    from .governor import Governor
    from .job import Job

__all__ = ["TaskCrew"]

_NOTHING: Final[Any] = object()  # where the input has no more
_TURN_S: Final = 0.005  # after which others in the loop have theirs, even where nothing waits


class TaskCrew:
    """The tasks of a run. Made in the loop that it runs in.

    Args:
        job: What is particular to the run.
        function: What is called with each item.
        items: The input, of either kind.
        governor: How many work.

    Attributes:
        done: What has ended, for whoever iterates: results, and the places of items that have none; then ``END``, or a
            ``Broken`` where it can't go on. Each but these is in hand until ``let_go``.
    """

    def __init__(
        self,
        job: Job,
        function: Callable[[Any], Awaitable[Any]],
        items: Iterator[Any] | AsyncIterator[Any],
        governor: Governor,
    ) -> None:
        self._job = job
        self._function = function
        self._items = items
        self._governor = governor
        self._feed = Feed(job.settings.buffer)
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self._reading = asyncio.Lock()
        self._sleepers: deque[asyncio.Future[None]] = deque()
        self._alarm: Alarm | None = None
        self._working = 0
        self._turn = 0
        self._turn_began = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._error: BaseException | None = None  # what the run is to end with
        self._halted = False  # nothing more is begun
        self._ended = False  # and nothing more is told
        self.done: asyncio.Queue[Result | Broken | int | None] = asyncio.Queue()
        self._writer: Writer | None = None

    def start(self) -> None:
        """Begin the work."""
        if self._job.checkpoint is not None:
            self._writer = Writer(
                self._job.checkpoint,
                self._written_in_thread,
                lambda error: self._soon(self._break, error),
                lambda: self._soon(self._tell_end),
            )
        self.adapt(self._governor.target)

    def _soon(self, function: Callable[..., object], *args: object) -> None:
        """Have something called in the loop; nothing where that is closed, and nobody iterates any more."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *args)

    # -- how many work

    def tick(self, waiting: int, useful: float, at_first: float) -> None:
        """Have more or fewer work, where that is worth it. Called in the thread that looks."""
        self._soon(self._adapt, waiting, useful, at_first)

    def _adapt(self, waiting: int, useful: float, at_first: float) -> None:
        ended, idle = self._job.tally.ended, len(self._sleepers) + max(self._feed.fetching - 1, 0)
        tick = self._governor.tick
        self.adapt(tick(time.monotonic(), ended, waiting=waiting, idle=idle, useful=useful, at_first=at_first))

    def adapt(self, target: int) -> None:
        """Have so many work; those who are too many leave after what they are at."""
        if self._halted or self._feed.is_dry:
            return
        more = range(target - self._working)
        self._working += len(more)
        for _ in more:
            task = self._context.run(begin_task, self._loop, self._labour())
            self._tasks.add(task)
            task.add_done_callback(self._leave)
        self._wake()

    # -- a task's work

    async def _labour(self) -> None:
        try:
            while (entry := await self._take()) is not None:
                await self._work(entry)
                del entry  # nothing is held while there is nothing to do
        except StopRun as stop:
            self._error = self._error or stop.error
            self._feed.shut()
            self._wake()
        finally:
            self._working -= 1  # at once: the next one must not find that there are too many, too

    async def _work(self, entry: Entry) -> None:
        job = self._job
        entry.began = entry.began or time.monotonic()
        value: Any = _NOTHING
        try:
            made: Any = self._function(entry.item)
            if type(made) is CoroutineType or inspect.isawaitable(made):
                value = await made
        except asyncio.CancelledError as error:
            if self._halted or is_cancelled():
                raise
            result, line = job.failed(entry, _cancelled(error), time.monotonic())
        except Exception as error:  # noqa: BLE001  # it is the item's
            if isinstance(error, NoKeyAvailable):
                until = job.put_off(error, job.clock.monotonic(), len(self._tasks))
                if until is not None:
                    self._feed.put_off(entry, until)
                    self._wake(1)
                    return
            result, line = job.failed(entry, error, time.monotonic())
        else:
            if value is _NOTHING:
                kind = type(made).__name__
                raise ConfigurationError("fn", f"returns an object of the type {kind}, which can't be awaited: use map")
            result, line = job.answered(entry, value, time.monotonic())
        if self._writer is not None:
            self._writer.put(result, line)
        elif not self._ended:
            self._written([result])
        del entry, result, line  # an error's traceback holds this frame

    def _written(self, results: Sequence[Result]) -> None:
        self._job.tally.add(results)
        self._hand_over(results)

    def _written_in_thread(self, results: Sequence[Result]) -> None:
        self._job.tally.add(results)
        self._soon(self._hand_over, results)

    def _hand_over(self, results: Sequence[Result]) -> None:
        for result in results:
            self.done.put_nowait(result)

    async def _take(self) -> Entry | None:
        """The next item to work on; waits until there is one. None: there is nothing more to do."""
        while True:
            if time.monotonic() - self._turn_began > _TURN_S:
                await self._give_way()
            if self._halted or self._working > self._governor.target:
                return None
            entry = self._feed.due(self._job.clock.monotonic()) if self._feed.next_at is not None else None
            if entry is not None:
                return entry
            if self._feed.has_room:
                self._feed.reserve()
                read = await self._read()
                if isinstance(read, Entry):
                    return read
                if isinstance(read, Result):
                    self._written([read])
                elif read is not None:
                    self.done.put_nowait(read)
            elif self._feed.is_dry:
                return None
            else:
                await self._wait()

    async def _give_way(self) -> None:
        turn = self._turn
        await asyncio.sleep(0)
        if self._turn == turn:  # one turn for all of us together
            self._turn += 1
            self._turn_began = time.monotonic()

    async def _wait(self) -> None:
        """Wait until something has changed, or the next item is due."""
        at = self._feed.next_at
        if at is not None and (self._alarm is None or self._alarm.when > at):
            if self._alarm is not None:
                self._alarm.cancel()
            self._alarm = self._job.clock.call_at(at, lambda: self._soon(self._ring))
        sleeper: asyncio.Future[None] = self._loop.create_future()
        self._sleepers.append(sleeper)
        try:
            await sleeper
        finally:
            with contextlib.suppress(ValueError):
                self._sleepers.remove(sleeper)

    def _ring(self) -> None:
        self._alarm = None
        self._wake()

    def _wake(self, count: int | None = None) -> None:
        for _ in range(len(self._sleepers) if count is None else min(count, len(self._sleepers))):
            sleeper = self._sleepers.popleft()
            if not sleeper.done():
                sleeper.set_result(None)

    async def _read(self) -> Entry | Result | int | None:
        """One from the input, for which there is room, or its place where it comes to nothing; None: there is none."""
        try:
            async with self._reading:
                item = _NOTHING if self._feed.exhausted else await self._next()
                if item is not _NOTHING:
                    index = self._feed.admit()
                    found = self._job.admit(index, item)
        except Exception as error:  # noqa: BLE001  # those before it are done all the same
            self._error, item = error, _NOTHING
        if item is _NOTHING:
            self._feed.end()
            self._wake()
            return None
        return index if found is None else found

    async def _next(self) -> Any:
        items: Any = self._items
        if hasattr(items, "__anext__"):
            return await anext(items, _NOTHING)
        return next(items, _NOTHING)

    def _leave(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            error = task.exception()
        else:
            error = None if self._halted else RuntimeError("somebody has cancelled a task of the run")
        if error is not None:
            self._error = self._error or error
            self._halt()
        if not self._tasks and not self._ended and (self._feed.is_dry or self._halted):
            self._ended = True
            if self._writer is None:
                self._tell_end()
            else:
                self._writer.end()

    def _tell_end(self) -> None:
        if self._error is None and not self._halted:
            self._job.tally.total = self._feed.admitted
        self.done.put_nowait(END if self._error is None else Broken(self._error))

    # -- whoever iterates

    def let_go(self, count: int) -> None:
        """So many results have been handed out."""
        self._feed.let_go(count)
        if self._sleepers:
            self._wake(count)

    def _halt(self) -> None:
        """Begin nothing more; calls are cancelled."""
        self._halted = True
        if self._alarm is not None:
            self._alarm.cancel()
        for task in self._tasks:
            task.cancel()

    def _break(self, error: BaseException) -> None:
        """Tell of this at once: what ends now can't be kept."""
        self._ended = True
        self._halt()
        self.done.put_nowait(Broken(error))

    async def cancel(self) -> None:
        """Stop at once: calls are cancelled, and when they have ended, this returns."""
        self._ended = True
        self._halt()
        self.done.put_nowait(END)  # for a task that iterates, where another one says this
        if self._tasks:
            await asyncio.wait(self._tasks)

    def stop(self) -> None:
        """As ``cancel``, from any thread, where nobody can wait for it."""
        self._ended = self._halted = True
        self._soon(self._halt)

    def close(self) -> None:
        """Have on the disk what has ended; after ``cancel`` or ``stop``, and not in the loop."""
        if self._writer is not None:
            self._writer.close()


def _cancelled(error: asyncio.CancelledError) -> CancelledError:
    """What can be handed out in its place: to raise it would cancel whoever iterates."""
    made = CancelledError("the call was cancelled from within")
    made.__cause__ = error
    return made
