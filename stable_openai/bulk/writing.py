"""The thread that writes: what has ended in the meantime goes to the disk at once, and only then counts as done."""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .checkpoint import Checkpoint
    from .items import Result

__all__ = ["Writer"]

_MOST: Final = 1_000  # results of one batch
_ENOUGH: Final = 16_777_216  # bytes of one batch: long lines are not gathered


class Writer:
    """Writes results in batches.

    Args:
        checkpoint: Where to.
        written: Called, in this thread, with those that are on the disk.
        broken: Called once, in this thread, with what makes it impossible; nothing more is written then.
        over: Called once, in this thread, when all was written and there will be no more; not where it broke.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        written: Callable[[Sequence[Result]], object],
        broken: Callable[[BaseException], object],
        over: Callable[[], object] | None = None,
    ) -> None:
        self._checkpoint = checkpoint
        self._written = written
        self._broken = broken
        self._over = over
        self._jobs: SimpleQueue[tuple[Result, bytes] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="stable_openai checkpoint", daemon=True)
        self._thread.start()

    def put(self, result: Result, line: bytes) -> None:
        """Have this written."""
        self._jobs.put((result, line))

    def end(self) -> None:
        """Have what was put before written, and nothing after it; idempotent."""
        self._jobs.put(None)

    def close(self) -> None:
        """As ``end``, and wait for it."""
        self.end()
        self._thread.join()

    def _run(self) -> None:
        over = False
        try:
            while not over:
                jobs, over = self._batch()
                self._checkpoint.append(
                    [line for result, line in jobs if result.ok], [line for result, line in jobs if not result.ok]
                )
                if jobs:
                    self._written([result for result, _ in jobs])
                jobs.clear()  # nothing is held while there is nothing to do
        except BaseException as error:  # noqa: BLE001  # whoever iterates is told, and waits no longer
            self._broken(error)
        else:
            if self._over is not None:
                self._over()

    def _batch(self) -> tuple[list[tuple[Result, bytes]], bool]:
        """What is to be written now, at least one; and whether that is the end."""
        job = self._jobs.get()
        jobs = []
        size = 0
        while job is not None:
            jobs.append(job)
            size += len(job[1])
            if len(jobs) == _MOST or size >= _ENOUGH:
                return jobs, False
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return jobs, False
        return jobs, True
