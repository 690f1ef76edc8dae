"""What is particular to one run, whoever drives it: ids, the checkpoint, the counts, and when there is no going on."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING, Any, Final

from stable_openai.errors import ConfigurationError, NoKeyAvailable
from stable_openai.failover.notes import add_note

from .checkpoint import Checkpoint
from .forms import ValueForm
from .hiding import hider_of
from .items import Entry, Result, reason_of
from .tally import Tally
from .values import NotPlain, digest_of

if TYPE_CHECKING:
    from stable_openai.clock import Clock

    from .record import RunRecord
    from .settings import Settings

__all__ = ["Job"]

_IN_A_ROW: Final = 20  # items without a key, beyond two for each that works, with no answer between them
_log: Final = logging.getLogger("stable_openai")
_AFTER: Final = 0.001  # seconds after the moment at which a key is to be back


class Job:
    """A run's items, from the input to the disk. ``admit`` is called by one thread at a time.

    Args:
        settings: What the run was told.
        total: How many items there are; None where that is not known.
        clock: What waits for keys go by.

    Raises:
        ConfigurationError: The checkpoint is another kind of file, or another run is at it.
        OSError: It can't be written.
    """

    def __init__(self, settings: Settings, total: int | None, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self._hide = hider_of(settings.pool)
        self.checkpoint: Checkpoint | None = None
        if settings.checkpoint is not None:
            form = settings.form or ValueForm(settings.encode, settings.decode, self._hide)
            self.checkpoint = Checkpoint(settings.checkpoint, form, settings.retry_failed)
        self.tally = Tally(settings.pool, total)
        self._process = os.getpid()
        self._without_key = 0
        self._served_at = 0.0

    @property
    def is_here(self) -> bool:
        """Whether this is the process that it runs in, and not one that was forked from it."""
        return self._process == os.getpid()

    def begin(self) -> None:
        """The run begins now."""
        self._served_at = self.clock.monotonic()
        self.tally.begin()

    # -- items

    def admit(self, index: int, item: Any) -> Entry | Result | None:
        """What is to be done with an item of the input: work, or nothing since there is a result; None: not even that.

        Raises:
            ConfigurationError: It has no id, or that of another.
        """
        if self.checkpoint is None:
            return Entry(index, None, item)
        given = self.settings.id_of(item, index)
        wanted = _content_of(item, index) if given is None else given
        name = self.checkpoint.enter(wanted, index, given=given is not None)
        entry = Entry(index, name, item)
        failure = self.checkpoint.failure_of(name)
        if failure is not None and not self.checkpoint.holds(name):
            return Result(index, name, item, error=failure, reason=failure.reason, resumed=True)
        if not self.settings.replay and self.checkpoint.holds(name):
            self.tally.skipped()
            return None
        found, value = self.checkpoint.value_of(name)
        return Result(index, name, item, value, resumed=True) if found else entry

    def answered(self, entry: Entry, value: Any, now: float) -> tuple[Result, bytes]:
        """The result of an item that got a value, and its line in the checkpoint.

        Raises:
            ConfigurationError: The value can't be kept.
        """
        self._without_key = 0
        self._served_at = self.clock.monotonic()
        line = b"" if self.checkpoint is None else self.checkpoint.line_of(entry, value)
        self.tally.use(value)
        return Result(entry.index, entry.id, entry.item, value, seconds=now - entry.began), line

    def failed(self, entry: Entry, error: Exception, now: float) -> tuple[Result, bytes]:
        """The result of an item that got none, and its line in the file of failures."""
        reason, _ = reason_of(error)
        line = b"" if self.checkpoint is None else self.checkpoint.failure_line_of(entry, error)
        return Result(entry.index, entry.id, entry.item, None, error, reason, now - entry.began), line

    def put_off(self, error: NoKeyAvailable, now: float, workers: int) -> float | None:
        """When to begin an item again that has got no key; None: it has failed.

        Raises:
            NoKeyAvailable: There will be none within the time that a run waits: it can't go on.
        """
        if error.retry_after is None:
            self._without_key += 1
            if self._without_key < 2 * workers + _IN_A_ROW:
                return None
        elif now + error.retry_after - self._served_at <= self.settings.max_wait:
            return now + error.retry_after + _AFTER
        raise error

    # -- the end

    def how_to_go_on(self, error: BaseException) -> None:
        """Write on what ends a run where it stands, and what is to be done."""
        tally = self.tally
        done = tally.answered + tally.resumed
        of = "" if tally.total is None else f" of {tally.total:,}"
        if self.checkpoint is None:
            text = f"{done:,}{of} items were done; without a checkpoint, nothing of that is kept"
        else:
            text = f"{done:,}{of} results are in {self.checkpoint.path}: the same call again goes on from there"
        tally.stopped = f"{self._hide(_in_words(error))}: {text}"
        _log.info("a run was stopped: %s", text)
        add_note(error, f"the run was stopped: {text}")

    def record(self) -> RunRecord:
        """What has come of it so far."""
        if self.checkpoint is None:
            return self.tally.record()
        failures = str(self.checkpoint.failures) if self.tally.failed else None
        return self.tally.record(output=str(self.checkpoint.path), failures=failures)

    def end(self) -> None:
        """Nothing more will come."""
        if self.tally.seconds is None and self.is_here:
            self.tally.seconds = self.tally.elapsed
            if self.checkpoint is not None:
                self.checkpoint.close()


def _content_of(item: Any, index: int) -> str:
    try:
        return digest_of(item)
    except (NotPlain, ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"items[{index}]", f"has no id, and none can be made of its content ({error}): give id="
        ) from None


def _in_words(error: BaseException) -> str:
    if isinstance(error, (KeyboardInterrupt, asyncio.CancelledError)):
        return "interrupted"
    if isinstance(error, GeneratorExit):
        return "nobody wanted any more"
    return str(error) or type(error).__name__
