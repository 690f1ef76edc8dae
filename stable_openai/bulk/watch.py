"""Whoever looks at a run that goes on, in a thread of its own; and who ends it where nobody else can."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from .progress import progress_of
from .ticking import Ticker

if TYPE_CHECKING:
    from collections.abc import Callable

    from .job import Job

__all__ = ["Watch"]

_log: Final = logging.getLogger("stable_openai")
_LOOK_EVERY_S: Final = 0.5
_A_MINUTE: Final = 60.0


class Watch:
    """Looks at a run.

    Args:
        job: The run.
        tick: Called at each look with how many wait for a key, how many workers the keys can use, and how many of them
            there may be as long as nothing has ended.
        adapts: Whether it is.
    """

    def __init__(self, job: Job, tick: Callable[[int, float, float], object], *, adapts: bool) -> None:
        pool = job.settings.pool
        minute = _A_MINUTE if pool is None else pool.options.minute
        self._job = job
        self._pool = pool
        self._tick = tick if adapts else None
        self._progress = progress_of(job.settings.progress, job.tally.total)
        self._ticker = Ticker(_LOOK_EVERY_S * min(minute / _A_MINUTE, 1.0), self.look)

    def start(self) -> None:
        """Begin to look."""
        self._ticker.start()

    def look(self) -> None:
        """Look once."""
        statuses = self._job.tally.sample()
        if self._progress is not None:
            self._progress.show(self._job.tally, statuses)
        if self._tick is not None:
            waiting = 0 if self._pool is None else len(self._pool.line)
            tally = self._job.tally
            at_first = 0.0 if tally.ended else tally.workers_at_first(statuses)
            self._tick(waiting, tally.useful_workers(statuses), at_first)

    def stop(self) -> None:
        """Look no more; the progress stays as it is at last."""
        self._ticker.stop()
        progress, self._progress = self._progress, None
        if progress is not None:
            try:
                progress.show(self._job.tally, self._job.tally.sample())
                progress.close()
            except Exception:  # noqa: BLE001  # the run has come to its end all the same
                _log.exception("the progress could not be shown")

    def leave(self, last: Callable[[], object], patience: float = 0.0) -> None:
        """Have this done in the thread that looks, which is its last.

        Args:
            last: What is to be done.
            patience: Seconds that it is waited for.
        """
        self._ticker.leave(last, patience)
