"""The driver in threads: each takes an item, calls the function, and hands over what came of it."""

from __future__ import annotations

import contextvars
import threading
import time
from queue import SimpleQueue
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final

from stable_openai.errors import ConfigurationError, NoKeyAvailable
from stable_openai.pool import stopping

from .feed import Feed
from .items import Entry, Result, StopRun
from .writing import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from stable_openai.clock import Alarm

    from .governor import Governor
    from .job import Job

__all__ = ["END", "Broken", "ThreadCrew"]

END: Final = None
_NOTHING: Final[Any] = object()  # where the input has no more


class Broken:
    """Stands among results where the run can't go on."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class ThreadCrew:
    """The threads of a run.

    Args:
        job: What is particular to the run.
        function: What is called with each item.
        items: The input.
        governor: How many work.

    Attributes:
        done: What has ended, for whoever iterates: results, and the places of items that have none; then ``END``, or a
            ``Broken`` where it can't go on. Each but these is in hand until ``let_go``.
    """

    def __init__(self, job: Job, function: Callable[[Any], Any], items: Iterator[Any], governor: Governor) -> None:
        self._job = job
        self._function = function
        self._items = items
        self._governor = governor
        self._feed = Feed(job.settings.buffer)
        self._lock = threading.RLock()  # the collector may stop a run in the midst of this
        self._changed = threading.Condition(self._lock)
        self._reading = threading.Lock()
        self._stopping = stopping.Stopping()
        self._alarm: Alarm | None = None
        self._working = self._idle = 0
        self._numbered = self._left = 0
        self._closed = False
        self._outer: stopping.Stopping | None = None  # of the run in whose function this one goes on
        self._context = contextvars.Context()
        self._error: BaseException | None = None  # what the run is to end with
        self.done: SimpleQueue[Result | Broken | int | None] = SimpleQueue()
        self._writer: Writer | None = None

    def start(self) -> None:
        """Begin the work."""
        self._context = contextvars.copy_context()
        self._outer = stopping.current.get()
        if self._outer is not None:
            self._outer.add(self._leave_off)
        if self._job.checkpoint is not None:
            self._writer = Writer(self._job.checkpoint, self._written, self._break)
        self.adapt(self._governor.target)

    # -- how many work

    def tick(self, waiting: int, useful: float, at_first: float) -> None:
        """Have more or fewer work, where that is worth it."""
        ended, idle = self._job.tally.ended, self._idle + max(self._feed.fetching - 1, 0)
        tick = self._governor.tick
        self.adapt(tick(time.monotonic(), ended, waiting=waiting, idle=idle, useful=useful, at_first=at_first))

    def adapt(self, target: int) -> None:
        """Have so many work; those who are too many leave after what they are at."""
        with self._lock:
            if self._stopping.stopped or self._feed.is_dry:
                return
            while self._working < target and self._hire():
                pass
            self._changed.notify_all()

    def _hire(self) -> bool:
        """Have one more; False where the machine allows no more threads."""
        context = self._context.copy()
        name = f"stable_openai bulk {self._numbered + 1}"
        thread = threading.Thread(target=context.run, args=(self._labour,), name=name, daemon=True)
        self._working += 1
        self._numbered += 1
        try:
            thread.start()
        except RuntimeError:
            self._working -= 1
            self._numbered -= 1
            if not self._working:
                raise
            self._governor.keep_to(self._working)
            return False
        return True

    # -- a thread's work

    def _labour(self) -> None:
        stopping.current.set(self._stopping)
        try:
            while (entry := self._take()) is not None:
                self._work(entry)
                del entry  # nothing is held while there is nothing to do
        except stopping.Stopped:
            self._check_out()
        except StopRun as stop:
            self._check_out()
            self._shut(stop.error)
        except BaseException as error:  # noqa: BLE001  # whoever iterates is told
            self._check_out()
            self._give_up(error)
        finally:
            self._leave()

    def _work(self, entry: Entry) -> None:
        job = self._job
        entry.began = entry.began or time.monotonic()
        try:
            value = self._function(entry.item)
        except Exception as error:  # noqa: BLE001  # it is the item's
            if isinstance(error, NoKeyAvailable):
                until = job.put_off(error, job.clock.monotonic(), self._working)
                if until is not None:
                    self._put_off(entry, until)
                    return
            result, line = job.failed(entry, error, time.monotonic())
        else:
            if type(value) is CoroutineType:
                value.close()
                raise ConfigurationError("fn", "returns a coroutine, which nobody awaits here: use amap")
            result, line = job.answered(entry, value, time.monotonic())
        if self._writer is not None:
            self._writer.put(result, line)
        elif not self._closed:
            self._written([result])
        del entry, result, line  # an error's traceback holds this frame

    def _written(self, results: Sequence[Result]) -> None:
        self._job.tally.add(results)
        for result in results:
            self.done.put(result)

    def _put_off(self, entry: Entry, until: float) -> None:
        with self._lock:
            self._feed.put_off(entry, until)
            self._changed.notify()

    def _take(self) -> Entry | None:
        """The next item to work on; waits until there is one. None: there is nothing more to do."""
        while (found := self._due_or_room()) is True:
            read = self._read()
            if isinstance(read, Entry):
                return read
            if isinstance(read, Result):
                self._written([read])
            elif read is not None:
                self.done.put(read)
        return found or None

    def _due_or_room(self) -> Entry | bool | None:
        """An item whose time has come; True: one may be taken from the input; None: there is nothing more to do."""
        with self._lock:
            while True:
                if self._stopping.stopped or self._working > self._governor.target:
                    break
                entry = self._feed.due(self._job.clock.monotonic()) if self._feed.next_at is not None else None
                if entry is not None:
                    return entry
                if self._feed.has_room:
                    self._feed.reserve()
                    return True
                if self._feed.is_dry:
                    break
                self._wait()
            self._working -= 1  # at once: the next one must not find that there are too many, too
            return None

    def _check_out(self) -> None:
        with self._lock:
            self._working -= 1

    def _wait(self) -> None:
        """Wait until something has changed, or the next item is due."""
        at = self._feed.next_at
        if at is not None and (self._alarm is None or self._alarm.when > at):
            if self._alarm is not None:
                self._alarm.cancel()
            self._alarm = self._job.clock.call_at(at, self._ring)
        self._idle += 1
        try:
            self._changed.wait()
        finally:
            self._idle -= 1

    def _ring(self) -> None:
        with self._lock:
            self._alarm = None
            self._changed.notify_all()

    def _read(self) -> Entry | Result | int | None:
        """One from the input, for which there is room, or its place where it comes to nothing; None: there is none."""
        with self._reading:
            if self._stopping.stopped:
                return None
            item = _NOTHING if self._feed.exhausted else self._next()
            if item is _NOTHING:
                with self._lock:
                    self._feed.end()
                    self._changed.notify_all()
                return None
            try:
                index = self._feed.admit()
                found = self._job.admit(index, item)
            except Exception as error:  # noqa: BLE001  # those before it are done all the same
                self._cut_short(error)
                return None
        return index if found is None else found

    def _next(self) -> Any:
        try:
            return next(self._items, _NOTHING)
        except Exception as error:  # noqa: BLE001  # the input's own
            self._error = error
            return _NOTHING

    def _cut_short(self, error: Exception) -> None:
        """Take nothing more from the input, and tell of this when all is done that was taken before."""
        with self._lock:
            self._error = error
            self._feed.end()
            self._changed.notify_all()

    def _leave(self) -> None:
        with self._lock:
            self._left += 1
            over = self._left == self._numbered and (self._feed.is_dry or self._stopping.stopped)
            self._changed.notify_all()
        if over:
            if self._writer is not None:
                self._writer.close()
            if self._error is None and not self._stopping.stopped:
                self._job.tally.total = self._feed.admitted
            self.done.put(END if self._error is None else Broken(self._error))

    # -- whoever iterates

    def let_go(self, count: int) -> None:
        """So many results have been handed out."""
        with self._lock:
            self._feed.let_go(count)
            if self._idle:
                self._changed.notify(count)

    def _shut(self, error: Exception) -> None:
        """Begin nothing more, and tell of this when all is done that was begun."""
        with self._lock:
            self._error = self._error or error
            self._feed.shut()
            self._changed.notify_all()

    def _give_up(self, error: BaseException) -> None:
        """Begin nothing more, and tell of this when those have ended who are in the midst of a call."""
        self._error = self._error or error
        self._halt()

    def _break(self, error: BaseException) -> None:
        """Tell of this at once: what ends now can't be kept."""
        self._halt()
        self.done.put(Broken(error))

    def _leave_off(self) -> None:
        self._break(stopping.Stopped())

    def _halt(self) -> None:
        self._stopping.stop()
        with self._lock:
            if self._alarm is not None:
                self._alarm.cancel()
            self._changed.notify_all()

    def stop(self) -> None:
        """Stop at once: nothing new is begun, and who waits gives up. Safe in threads."""
        self._halt()
        self.done.put(END)  # for a thread that iterates, where another one says this

    def close(self) -> None:
        """Have on the disk what has ended; after ``stop``."""
        self._closed = True
        if self._outer is not None:
            self._outer.discard(self._leave_off)
        if self._writer is not None:
            self._writer.close()
