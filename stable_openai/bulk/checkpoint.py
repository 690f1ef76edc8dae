"""What a run has on the disk: the results in one file, the failures in another, and which ids are there already."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from stable_openai.errors import ConfigurationError

from .files import LineFile, encoded
from .ids import Ids
from .items import FailedBefore
from .seen import Seen

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence

    from .forms import Form
    from .items import Entry

__all__ = ["Checkpoint", "RetryFailed", "failures_beside"]

RetryFailed = Literal["retriable", "all", "none"]
_CHOICES: Final = ("retriable", "all", "none")
_OF_FAILURES: Final = "retriable"  # what the line of each failure has


class Checkpoint:
    """The files of one run, opened: what an earlier one has left is known, and mended where it was cut off.

    Args:
        path: The file of results.
        form: What lines look like.
        retry_failed: Which failures of earlier runs are asked again: those that can succeed (``"retriable"``),
            ``"all"``, or ``"none"``.

    Attributes:
        path: The file of results.
        failures: The file of failures.
        done: How many results are there already.

    Raises:
        ConfigurationError: Another run is writing there, or it is another kind of file; nothing is changed then.
        OSError: A file can't be opened for writing.
    """

    def __init__(self, path: str | os.PathLike[str], form: Form, retry_failed: RetryFailed = "retriable") -> None:
        if retry_failed not in _CHOICES:
            raise ConfigurationError("retry_failed", f"must be one of {', '.join(_CHOICES)}, not {retry_failed!r}")
        self.path = Path(path)
        self.failures = failures_beside(self.path)
        self._form = form
        self._has_failures = False
        self._results = LineFile(self.path, form)
        try:
            self._failed = LineFile(self.failures, form)
        except BaseException:
            self._results.close()
            raise
        self._ids = Ids()
        self._seen = Seen()
        try:
            self._recall(retry_failed)
        except BaseException:
            self.close()
            raise

    def _recall(self, retry_failed: RetryFailed) -> None:
        self._ids.put(self._results_there())
        self.done = len(self._ids)

        def in_force(line: Mapping[str, Any]) -> bool:
            if retry_failed == "all" or self._ids.find(self._name(line)) is not None:
                return False
            return retry_failed == "none" or self._form.is_final(line)

        self._failed.keep(in_force)
        self._ids.put_failed((self._name(line), place) for place, line in self._failed.lines())
        self._has_failures = not self._failed.is_empty

    def _results_there(self) -> Iterator[tuple[str, int]]:
        for place, line in self._results.lines():
            if _OF_FAILURES in line:
                raise ConfigurationError(
                    "checkpoint", f"{self.path} is a file of failures: results need one of their own"
                )
            yield self._name(line), place

    def _name(self, line: Mapping[str, Any]) -> str:
        name = self._form.id_of(line)
        assert name is not None  # noqa: S101  # LineFile hands out no others
        return name

    # -- what is there

    def enter(self, name: str, index: int, *, given: bool) -> str:
        """Note that the input has an item of this id, and give the id that it has in the files.

        Args:
            name: The id.
            index: The item's place in the input.
            given: Whether it was given: then it has to be the only one; else further items of the same content get a
                number.

        Raises:
            ConfigurationError: Another item has the same id.
        """
        first, times = self._seen.see(name, index)
        if times == 1:
            return name
        if given:
            raise ConfigurationError(
                f"items[{index}]", f"has the id {name[:60]!r}, which items[{first}] has already: ids must differ"
            )
        return f"{name}-{times}"

    def value_of(self, name: str) -> tuple[bool, Any]:
        """Whether there is a result for this id, and its value."""
        place = self._place_of(name)
        if place is None:
            return False, None
        return True, self._form.value_of(self._results.line_at(place))

    def holds(self, name: str) -> bool:
        """Whether there is a result for this id."""
        return self._place_of(name) is not None

    def _place_of(self, name: str) -> int | None:
        return self._ids.find(name) if self.done else None

    def failure_of(self, name: str) -> FailedBefore | None:
        """The failure of an earlier run that is in force for this id."""
        place = self._ids.find_failed(name) if self._has_failures else None
        return None if place is None else FailedBefore(*self._form.story_of(self._failed.line_at(place)))

    def line_for(self, name: str) -> Mapping[str, Any] | None:
        """The line of a result, else that of a failure, for this id; None where there is neither."""
        place = self._place_of(name)
        if place is not None:
            return self._results.line_at(place)
        place = self._ids.find_failed(name)
        return None if place is None else self._failed.line_at(place)

    def results(self) -> Iterator[Mapping[str, Any]]:
        """All lines of results that were there when it was opened, or have been written since."""
        return (line for _, line in self._results.lines())

    # -- what is new

    def line_of(self, entry: Entry, value: Any) -> bytes:
        """A value as it is written.

        Raises:
            ConfigurationError: It has no form in JSON.
        """
        return encoded(self._form.answered(entry, value))

    def failure_line_of(self, entry: Entry, error: Exception) -> bytes:
        """A failure as it is written."""
        return encoded(self._form.failed(entry, error))

    def append(self, results: Sequence[bytes], failures: Sequence[bytes]) -> None:
        """Have these on the disk.

        Raises:
            OSError: There is no room, or the like. What was there before is there still.
        """
        if results:
            self._results.append(results)
        if failures:
            self._failed.append(failures)

    def close(self) -> None:
        """Let go of the files; one without a failure is taken away."""
        self._ids.close()
        self._seen.close()
        self._failed.close()
        if self._failed.is_empty:
            with contextlib.suppress(OSError):  # the folder may have become read-only, or be gone
                self.failures.unlink(missing_ok=True)
        self._results.close()  # last: nobody else may begin a run here before


def failures_beside(path: Path) -> Path:
    """The file of failures that belongs to a file of results: ``out.failures.jsonl`` to ``out.jsonl``."""
    return path.with_name(f"{path.stem}.failures{path.suffix or '.jsonl'}")
