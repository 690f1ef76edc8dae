"""Rows out of JSONL, CSV and plain text, with the lines that they begin on."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, BinaryIO, Final

from stable_openai.errors import ConfigurationError

from .batch_lines import is_batch_line
from .json_lines import objects
from .lines import LONGEST, decoded, is_blank, numbered
from .problems import BadLine, Problem, shown
from .rows import cell_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .rows import Row

__all__ = ["csv_rows", "json_rows", "text_rows"]

_PROMPT: Final = "prompt"


def json_rows(file: BinaryIO) -> Iterator[Row | Problem]:
    """A row for each object: a column for each of its fields."""
    for found in objects(file):
        if isinstance(found, Problem):
            yield found
        elif is_batch_line(found[1]):
            yield Problem(found[0], "is a Batch line, and the first one is a row: a file holds Batch lines or rows")
        else:
            yield found[0], {name: cell_of(value) for name, value in found[1].items()}


def text_rows(file: BinaryIO) -> Iterator[Row | Problem]:
    """A row for each line that is not blank: the prompt."""
    for number, line in numbered(file):
        if isinstance(line, Problem):
            yield line
        elif not is_blank(line):
            try:
                yield number, {_PROMPT: decoded(line).removesuffix("\n").removesuffix("\r")}
            except BadLine as error:
                yield Problem(number, str(error))


def csv_rows(file: BinaryIO, delimiter: str, name: str) -> Iterator[Row | Problem]:
    """A row for each record after the header (RFC 4180), with the number of the line that it begins on.

    Raises:
        ConfigurationError: There is no header that could be understood.
    """
    if csv.field_size_limit() < LONGEST:  # the module's, not the reader's; only ever raised
        csv.field_size_limit(LONGEST)
    feed = _Feed(file)
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    header: list[str] | None = None
    while True:
        begin = feed.begin()
        try:
            record = next(reader)
            feed.check()
            if not any(record) or "".join(record).isspace():
                continue  # also what spreadsheets leave below their last row: a line of commas
            if header is None:
                header = _header(record)
            else:
                _check_width(record, header)
                yield begin, dict(zip(header, record, strict=True))
        except StopIteration:
            return
        except (BadLine, csv.Error) as error:
            line, text = _told(error, begin, feed)
            if header is None:
                raise ConfigurationError(name, f"line {line}, the header: {text}") from None
            yield Problem(line, text)


class _Feed:
    """Lines for the csv module, which takes as many as a record has."""

    def __init__(self, file: BinaryIO) -> None:
        self._lines = numbered(file)
        self._length = 0
        self._wrong: BadLine | None = None
        self.number = 0
        self.wrong_at = 0

    def begin(self) -> int:
        """Begin another record; the number of its first line."""
        self._length, self._wrong, self.wrong_at = 0, None, 0
        return self.number + 1

    def check(self) -> None:
        """Raise what was wrong with a line of the record, now that the record has ended."""
        if self._wrong is not None:
            raise self._wrong

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self.number, line = next(self._lines)
        if isinstance(line, Problem):
            self.wrong_at = line.line
            raise BadLine(line.text)
        self._length += len(line)
        if self._length > LONGEST:
            raise BadLine(f"begins a record of more than {LONGEST / 1e6:.0f} MB: is a quote not closed?")
        try:
            return decoded(line)
        except BadLine as error:  # the record is read to its end, so that the next one is understood
            self._wrong, self.wrong_at = error, self.number
            return line.decode(errors="replace")


def _told(error: Exception, begin: int, feed: _Feed) -> tuple[int, str]:
    """Where a record is wrong, and how."""
    if isinstance(error, BadLine):
        return feed.wrong_at or begin, str(error)
    if "unexpected end of data" in str(error):
        return begin, "begins a record with a quote that is never closed"
    return feed.number, f"is not CSV: {error}"


def _header(record: list[str]) -> list[str]:
    names = [name or f"column_{number}" for number, name in enumerate(record, 1)]  # pandas leaves its index unnamed
    for name in names:
        if names.count(name) > 1:
            raise BadLine(f"two columns are called {shown(name)}")
    return names


def _check_width(record: list[str], header: list[str]) -> None:
    if len(record) != len(header):
        raise BadLine(f"has {len(record)} fields, and the header {len(header)}")
