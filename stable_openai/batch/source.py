"""A file of requests, whatever its kind: read again for each pass, in flat memory."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from stable_openai.bulk.seen import Seen
from stable_openai.errors import ConfigurationError

from .batch_lines import batch_request, is_batch_line
from .defaults import FOR_ROWS, Defaults, option_of
from .inputs import Input, is_standard_input
from .json_lines import objects
from .parquet_files import parquet_rows
from .problems import BadLine, Problem, shown
from .row_files import csv_rows, json_rows, text_rows
from .rows import RowForm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from .request import Request
    from .rows import Row

__all__ = ["KINDS", "Source", "kind_of"]

KINDS: Final = ("jsonl", "csv", "tsv", "txt", "parquet")
_SUFFIXES: Final = {".ndjson": "jsonl", **{f".{kind}": kind for kind in KINDS}}
_DELIMITERS: Final = {"csv": ",", "tsv": "\t"}


def kind_of(path: str | os.PathLike[str] | None, kind: str | None) -> str:
    """The kind of an input: as told, else as its name tells; what is piped in is JSONL unless told.

    Raises:
        ConfigurationError: There is no such kind, or the name tells none.
    """
    if kind is not None:
        if kind not in KINDS:
            raise ConfigurationError("--format", f"must be one of {', '.join(KINDS)}, not {shown(kind)}")
        return kind
    if path is None or is_standard_input(path):
        return "jsonl"
    suffix = Path(path).suffix.lower()
    if suffix not in _SUFFIXES:
        raise ConfigurationError("--format", f"is missing: the name of {path} tells none of {', '.join(KINDS)}")
    return _SUFFIXES[suffix]


class Source:
    """A file of requests; made by ``Source.open``.

    Attributes:
        name: What messages call it.
        kind: One of ``KINDS``.
    """

    def __init__(self, data: Input, name: str, kind: str, defaults: Defaults) -> None:
        self.name = name
        self.kind = kind
        self._data = data
        self._defaults = defaults
        first = self._first()
        self._is_batch = kind == "jsonl" and (first is None or is_batch_line(first))
        if first is not None and self._is_batch:
            self._refuse_rows_options()
        self._form = None if first is None or self._is_batch else RowForm(first, defaults)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str] | None,
        *,
        kind: str | None = None,
        defaults: Defaults | None = None,
    ) -> Source:
        """Open a file, and find what its first good line is.

        Args:
            path: The file; None, ``-`` or ``/dev/stdin``: what is piped in. A pipe is read to its end now.
            kind: One of ``KINDS``; None: as the file's name tells, and JSONL for the standard input.
            defaults: What the user says about all requests.

        Raises:
            ConfigurationError: An option is wrong, or does not fit the file; or the file is not of its kind.
            OSError: It can't be read.
        """
        kind = kind_of(path, kind)
        data = Input(path)
        try:
            name = "standard input" if path is None or is_standard_input(path) else os.fspath(path)
            return cls(data, name, kind, defaults or Defaults())
        except BaseException:
            data.close()
            raise

    @property
    def has_rows(self) -> bool:
        """Whether these are rows, rather than lines of a Batch file."""
        return not self._is_batch

    def requests(self) -> Iterator[Request | Problem]:
        """The request of each line, or what is wrong with it: a pass of its own each time, read as it is asked for.

        Raises:
            ConfigurationError: The file is damaged, so that there is no going on; of Parquet only.
        """
        with self._data.view() as file, Seen() as seen:
            if self._is_batch:
                yield from _made(objects(file), partial(batch_request, defaults=self._defaults))
            elif self._form is None:  # there is no good row
                yield from (found for found in self._rows(file) if isinstance(found, Problem))
            else:
                yield from _made(self._rows(file), partial(self._form.request, seen=seen))

    def good_requests(self) -> Iterator[Request]:
        """The requests that an examination counts as good, in a pass of its own: no bad line, and each id but once.

        Raises:
            ConfigurationError: As ``requests`` does.
        """
        with Seen() as seen:
            for found in self.requests():
                if not isinstance(found, Problem) and seen.see(found.id, found.line)[1] == 1:
                    yield found

    def check_output(self, path: str | os.PathLike[str]) -> None:
        """Check that something else can be written there.

        Raises:
            ConfigurationError: It is the input itself.
        """
        if self._data.is_at(path):
            raise ConfigurationError("--output", f"{os.fspath(path)} is the input: name another file")

    def close(self) -> None:
        """Let go of the file."""
        self._data.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _rows(self, file: BinaryIO) -> Iterator[Row | Problem]:
        if self.kind in _DELIMITERS:
            return csv_rows(file, _DELIMITERS[self.kind], self.name)
        if self.kind == "parquet":
            return parquet_rows(file, self.name)
        return text_rows(file) if self.kind == "txt" else json_rows(file)

    def _first(self) -> dict[str, Any] | None:
        """What the first good line holds, whose kind is the file's: an object, or the columns of a row."""
        with self._data.view() as file:
            found: Iterator[tuple[int, dict[str, Any]] | Problem]
            found = objects(file) if self.kind == "jsonl" else self._rows(file)
            return next((value[1] for value in found if not isinstance(value, Problem)), None)

    def _refuse_rows_options(self) -> None:
        for name in FOR_ROWS:
            if getattr(self._defaults, name) is not None:
                raise ConfigurationError(
                    option_of(name), f"is for rows, and {self.name} has Batch lines, with bodies of their own"
                )


def _made(
    found: Iterator[tuple[int, dict[str, Any]] | Problem], make: Callable[[int, dict[str, Any]], Request]
) -> Iterator[Request | Problem]:
    for value in found:
        if isinstance(value, Problem):
            yield value
            continue
        try:
            request = make(*value)
        except BadLine as error:
            yield Problem(value[0], str(error))
        else:
            yield request
