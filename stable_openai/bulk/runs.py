"""What ``map`` and ``amap`` return: iterators that begin when they are iterated."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

from .governor import Governor
from .order import Order
from .settings import AUTO, MOST_TASKS, MOST_THREADS
from .tasks import TaskCrew
from .threads import END, Broken, ThreadCrew
from .watch import Watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
    from types import TracebackType

    from .items import Result
    from .job import Job
    from .record import RunRecord

__all__ = ["AsyncRun", "Run"]

R = TypeVar("R")
_PATIENCE_S: Final = 10.0  # that the end of a run is waited for which nobody has closed


class _Handle(Generic[R]):
    """What both kinds of run have in common."""

    _most: int

    def __init__(self, job: Job) -> None:
        self._job = job
        self._order = Order(by_input=job.settings.order == "input")
        self._raises = job.settings.errors == "raise"
        self._over = False
        self._error: BaseException | None = None
        self._watch: Watch | None = None
        workers = job.settings.workers
        self._adapts = workers == AUTO
        self._governor = Governor(self._most) if workers == AUTO else Governor(workers, workers)
        self._finalizer: weakref.finalize[..., Any] = weakref.finalize(self, job.end)

    def _watched(self, crew: ThreadCrew | TaskCrew) -> Watch:
        """Have somebody look, who ends it if this object is forgotten."""
        watch = self._watch = Watch(self._job, crew.tick, adapts=self._adapts)
        before, self._finalizer = self._finalizer, weakref.finalize(self, _forgotten, self._job, crew, watch)
        before.detach()
        return watch

    @property
    def report(self) -> RunRecord:
        """What has come of it so far; ``str`` of it is a text for people."""
        return self._job.record()

    def __repr__(self) -> str:
        tally = self._job.tally
        of = "" if tally.total is None else f" of {tally.total:,}"
        return f"<{type(self).__name__}: {tally.done:,}{of} items>"


def _forgotten(job: Job, crew: ThreadCrew | TaskCrew, watch: Watch) -> None:
    """End a run that nobody has closed.

    It may be the collector that asks, in any thread, in the midst of anything that holds a lock: so another thread does
    it, and is waited for but so long.
    """
    if job.is_here:
        watch.leave(functools.partial(_end_forgotten, job, crew, watch), _PATIENCE_S)


def _end_forgotten(job: Job, crew: ThreadCrew | TaskCrew, watch: Watch) -> None:
    _end(job, crew, watch)
    job.how_to_go_on(GeneratorExit())


def _end(job: Job, crew: ThreadCrew | TaskCrew, watch: Watch) -> None:
    try:
        crew.stop()
    finally:
        _close(job, crew, watch)


def _close(job: Job, crew: ThreadCrew | TaskCrew, watch: Watch) -> None:
    try:
        crew.close()
    finally:  # whoever waits may be interrupted once more
        try:
            watch.stop()
        finally:
            job.end()


def _raisable(error: Exception) -> Exception:
    """What may be raised where an item's value is asked for: there, two kinds of errors would look like the end."""
    if not isinstance(error, (StopIteration, StopAsyncIteration)):
        return error
    made = RuntimeError(f"the function has raised {type(error).__name__}")
    made.__cause__ = error
    return made


class Run(_Handle[R], Iterator[R]):
    """A run in threads: an iterator over the function's values.

    Use it in ``with``, or iterate it to its end: what is left half-way is stopped when it is closed or collected.
    """

    _most = MOST_THREADS

    def __init__(self, job: Job, function: Callable[[Any], R], items: Iterable[Any]) -> None:
        super().__init__(job)
        self._crew = ThreadCrew(job, function, iter(items), self._governor)
        self._turning = threading.RLock()  # another thread may close it while it begins

    def __iter__(self) -> Run[R]:
        return self

    def __next__(self) -> R:
        result = self._next()
        if result is None:
            raise StopIteration
        if result.error is None or not self._raises:
            return cast("R", result.value if result.error is None else result.error)
        try:
            raise _raisable(result.error)
        finally:
            del self, result  # the traceback holds this frame, and would keep the run going

    def results(self) -> Iterator[Result]:
        """The same as ``Result`` objects: they tell which item they are of, and hold errors rather than raise them."""
        while (result := self._next()) is not None:
            yield result
            del result

    def run(self) -> RunRecord:
        """Go through all of it, keep nothing, and say what has come of it."""
        for _ in self.results():
            pass
        return self.report

    def _next(self) -> Result | None:
        """The next result; None where there are no more."""
        if self._over:
            if self._error is not None:
                raise self._error
            return None
        try:
            if self._watch is None and not self._begin():
                return None
            while (result := self._order.pop()) is None:
                found = self._crew.done.get()
                if found is END:
                    self._finish()
                    return None
                if isinstance(found, Broken):
                    raise found.error
                if isinstance(found, int):
                    self._order.skip(found)
                    self._crew.let_go(1)
                else:
                    self._order.put(found)
        except BaseException as error:
            self._stop(error)
            raise
        self._crew.let_go(1)
        return result

    def _begin(self) -> bool:
        """Begin; False where it was closed meanwhile."""
        with self._turning:
            if self._over:
                return False
            self._job.begin()
            watch = self._watched(self._crew)
            self._crew.start()
            watch.start()
            return True

    def _finish(self) -> None:
        with self._turning:
            self._over = True
            was_on = self._finalizer.detach() is not None
        if was_on:
            if self._watch is None:
                self._job.end()
            else:
                _end(self._job, self._crew, self._watch)

    def _stop(self, error: BaseException) -> None:
        self._error = error if isinstance(error, Exception) else None
        try:
            self._finish()
        finally:
            self._job.how_to_go_on(error)

    def close(self) -> None:
        """Stop at once, if it goes on: what has ended is kept in the checkpoint, the rest is left for another run."""
        if not self._over:
            self._stop(GeneratorExit())

    def __enter__(self) -> Run[R]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._over:
            self._stop(GeneratorExit() if error is None else error)


class AsyncRun(_Handle[R], AsyncIterator[R]):
    """The twin of ``Run`` in tasks: an asynchronous iterator. Use it in ``async with``, or iterate it to its end."""

    _most = MOST_TASKS

    def __init__(
        self, job: Job, function: Callable[[Any], Awaitable[R]], items: Iterable[Any] | AsyncIterable[Any]
    ) -> None:
        super().__init__(job)
        self._function = function
        given: Any = items
        self._items: Any = aiter(given) if hasattr(items, "__aiter__") else iter(given)
        self._crew: TaskCrew | None = None
        self._ending: asyncio.Task[None] | None = None

    def __aiter__(self) -> AsyncRun[R]:
        return self

    async def __anext__(self) -> R:
        result = await self._next()
        if result is None:
            raise StopAsyncIteration
        if result.error is None or not self._raises:
            return cast("R", result.value if result.error is None else result.error)
        try:
            raise _raisable(result.error)
        finally:
            del self, result  # the traceback holds this frame, and would keep the run going

    async def results(self) -> AsyncIterator[Result]:
        """The same as ``Result`` objects: they tell which item they are of, and hold errors rather than raise them."""
        while (result := await self._next()) is not None:
            yield result
            del result

    async def run(self) -> RunRecord:
        """Go through all of it, keep nothing, and say what has come of it."""
        async for _ in self.results():
            pass
        return self.report

    async def _next(self) -> Result | None:
        """The next result; None where there are no more."""
        if self._over:
            if self._error is not None:
                raise self._error
            return None
        try:
            crew = self._crew or self._begin()
            while (result := self._order.pop()) is None:
                found = await crew.done.get()
                if found is END:
                    await self._finish()
                    return None
                if isinstance(found, Broken):
                    raise found.error
                if isinstance(found, int):
                    self._order.skip(found)
                    crew.let_go(1)
                else:
                    self._order.put(found)
        except BaseException as error:
            await self._stop(error)
            raise
        crew.let_go(1)
        return result

    def _begin(self) -> TaskCrew:
        self._job.begin()
        crew = self._crew = TaskCrew(self._job, self._function, self._items, self._governor)
        watch = self._watched(crew)
        crew.start()
        watch.start()
        return crew

    async def _finish(self) -> None:
        self._over = True
        if self._finalizer.detach() is not None:
            if self._crew is None or self._watch is None:
                self._job.end()
                return
            self._ending = asyncio.ensure_future(_end_in_loop(self._job, self._crew, self._watch))
            _endings.add(self._ending)
            self._ending.add_done_callback(_endings.discard)
        if self._ending is not None:
            await asyncio.shield(self._ending)

    async def _stop(self, error: BaseException) -> None:
        self._error = error if isinstance(error, Exception) else None
        try:
            await self._finish()
        finally:
            self._job.how_to_go_on(error)

    async def aclose(self) -> None:
        """Stop at once, if it goes on: what has ended is kept in the checkpoint, the rest is left for another run."""
        if not self._over:
            await self._stop(GeneratorExit())

    async def __aenter__(self) -> AsyncRun[R]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._over:
            await self._stop(GeneratorExit() if error is None else error)


_endings: Final[set[asyncio.Task[None]]] = set()  # a loop holds its tasks but weakly


def _set(over: asyncio.Future[None]) -> None:
    if not over.done():
        over.set_result(None)


async def _end_in_loop(job: Job, crew: TaskCrew, watch: Watch) -> None:
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()

    def close() -> None:
        try:
            _close(job, crew, watch)
        finally:
            with contextlib.suppress(RuntimeError):  # it was closed meanwhile: nobody waits
                loop.call_soon_threadsafe(_set, over)

    try:
        await crew.cancel()
    finally:
        watch.leave(close)  # its thread waits for others' threads, so that the loop need not
        await over
