"""The thread of a shared store: it does what nobody who asks should wait for."""

from __future__ import annotations

import logging
import queue
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Service"]

_log: Final = logging.getLogger("stable_openai")


class Service:
    """Does jobs for an owner, one after the other, in a daemon thread. The owner may be collected meanwhile.

    Args:
        owner: What each job is called with.
        at_end: Called in the thread when it ends.
    """

    def __init__(self, owner: object, at_end: Callable[[], None]) -> None:
        self._owner = weakref.ref(owner)
        self._at_end = at_end
        self._jobs: queue.SimpleQueue[Callable[[Any], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def start(self) -> None:
        """Start the thread, where there is none."""
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    thread = threading.Thread(target=_run, args=(self._owner, self._jobs, self._at_end), daemon=True)
                    thread.name = "stable_openai store"
                    thread.start()
                    self._thread = thread

    def post(self, job: Callable[[Any], None]) -> None:
        """Have a job done. Safe everywhere, even where the collector interrupts any other of these methods."""
        self._jobs.put(job)

    def stop(self) -> None:
        """End the thread once it has done what it has; waits for that, but in the thread itself."""
        thread = self._thread
        if thread is not None:
            self._jobs.put(None)
            if thread is not threading.current_thread():
                thread.join()
            self._thread = None

    def end(self, last: Callable[[], None] | None = None) -> None:
        """End the thread, and wait for nothing; ``last`` is what it does before, even if the owner is collected."""
        self._jobs.put(None if last is None else _Last(last))


class _Last:
    """The job after which the thread ends."""

    def __init__(self, job: Callable[[], None]) -> None:
        self._job = job

    def __call__(self, _owner: object) -> None:
        self._job()


def _run(
    owner: weakref.ref[Any], jobs: queue.SimpleQueue[Callable[[Any], None] | None], at_end: Callable[[], None]
) -> None:
    try:
        while True:
            job = jobs.get()
            found = owner()
            is_last = isinstance(job, _Last)
            if job is None or (found is None and not is_last):
                break
            try:
                job(found)
            except Exception:  # noqa: BLE001  # the next ones are to be done all the same
                _log.exception("a job of the store's thread has failed")
            if is_last:
                break
            del job, found  # so that it can be collected while the thread waits
    finally:
        at_end()
