"""Where in a TOML text things stand: the line of each name, of each table and of each entry of a list.

``tomllib`` tells what a file says and not where. The text that is read here has passed ``tomllib``: so this knows where
names, texts, brackets and comments begin and end, and nothing of what else makes TOML right or wrong.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import sys
from bisect import bisect_left
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]  # only there where it is needed

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Path", "lines_of"]

Path: TypeAlias = "tuple[str | int, ...]"

_BLANK: Final = r"[ \t]*"
_SHORT: Final = r'"(?:\\.|[^"\\])*" | \'[^\']*\''
_LONG: Final = r'"""(?:\\.|[^\\])*?"""(?:"{0,2}) | \'\'\'.*?\'\'\'(?:\'{0,2})'  # two more may stand before the end
_PART: Final = rf"(?: [A-Za-z0-9_-]+ | {_SHORT} )"
_GAP: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_NAME: Final = re.compile(rf"{_PART}(?:{_BLANK}\.{_BLANK}{_PART})*", re.VERBOSE)
_SCALAR: Final = re.compile(rf"{_LONG} | {_SHORT} | [^,\]}}#\r\n]+", re.VERBOSE | re.DOTALL)
_OPENING: Final = re.compile(rf"\[{{1,2}}{_BLANK}")
_CLOSING: Final = re.compile(rf"{_BLANK}\]{{1,2}}")
_EQUALS: Final = re.compile(rf"{_BLANK}=")


def lines_of(text: str) -> dict[Path, int]:
    """The lines, from 1, by the path to what begins there: ``("tokens", 1, "rpm")``.

    A table that is only ever named on the way to another one stands where that is first done.

    Args:
        text: TOML that ``tomllib`` accepts. Of any other, lines are missing or wrong.
    """
    scanner = _Scanner(text)
    with contextlib.suppress(_Lost, RecursionError):  # what was found so far is better than nothing
        scanner.read()
    return scanner.lines


class _Lost(Exception):
    """The text is not what it should be."""


class _Scanner:
    """Goes through a text once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._breaks = [found.start() for found in re.finditer("\n", text)]
        self._lengths: dict[Path, int] = {}  # of lists that are made of [[tables]]
        self.lines: dict[Path, int] = {}

    def read(self) -> None:
        """Find all lines."""
        table: Path = ()
        while self._next():
            if self._next() == "[":
                table = self._table()
            else:
                self._pair(table)

    # -- what there is

    def _table(self) -> Path:
        """``[a.b]`` or ``[[a.b]]``."""
        line = self._line()
        is_list = self._text.startswith("[[", self._at)
        self._take(_OPENING)
        *above, last = self._names()
        self._take(_CLOSING)
        path: Path = ()
        for name in above:
            path = self._newest((*path, name), line)
        path = (*path, last)
        if is_list:
            self._lengths[path] = self._lengths.get(path, 0) + 1
            return self._newest(path, line)
        self.lines[path] = line
        return path

    def _newest(self, path: Path, line: int) -> Path:
        """The path itself, or that of its last entry where it is a list of tables."""
        self.lines.setdefault(path, line)
        if path in self._lengths:
            path = (*path, self._lengths[path] - 1)
            self.lines.setdefault(path, line)
        return path

    def _pair(self, path: Path) -> None:
        """``a.b = value``."""
        line = self._line()
        for name in self._names():
            path = (*path, name)
            self.lines.setdefault(path, line)
        self._take(_EQUALS)
        self._value(path)

    def _value(self, path: Path) -> None:
        opening = self._next()
        if opening == "[":
            self._several("]", path)
        elif opening == "{":
            self._several("}", path)
        elif not self._take(_SCALAR):
            raise _Lost

    def _several(self, closing: str, path: Path) -> None:
        """``[value, …]`` or ``{a = value, …}``, over as many lines as they like."""
        self._at += 1
        for index in itertools.count():
            if self._next() == closing:
                break
            if closing == "]":
                entry = (*path, index)
                self.lines[entry] = self._line()
                self._value(entry)
            else:
                self._pair(path)
            if self._next() == ",":
                self._at += 1
        self._at += 1

    # -- steps

    def _next(self) -> str:
        """The next character that means something; empty at the end."""
        self._take(_GAP)
        return self._text[self._at : self._at + 1]

    def _names(self) -> Sequence[str]:
        text = self._take(_NAME)
        if not text:
            raise _Lost
        if '"' not in text and "'" not in text:
            return [part.strip() for part in text.split(".")]
        names: list[str] = []
        found: Any = tomllib.loads(f"{text} = 0")  # it knows what quotes and backslashes mean
        while isinstance(found, dict):
            ((name, found),) = found.items()
            names.append(name)
        return names

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            return ""
        self._at = found.end()
        return found[0]

    def _line(self) -> int:
        return bisect_left(self._breaks, self._at) + 1
