"""What a pass over a file has met already: in a database without a name, which spills to the disk by itself."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Seen"]

_TABLE: Final = "CREATE TABLE seen (name TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID"
_PUT: Final = "INSERT OR IGNORE INTO seen VALUES (?, ?)"
_COUNT: Final = "UPDATE seen SET number = number + 1 WHERE name = ?"
_FIND: Final = "SELECT number FROM seen WHERE name = ?"


class Seen:
    """Names with a number each. Called by one thread at a time."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute(_TABLE)
        self._database.execute("BEGIN")  # for good: there is nothing to keep

    def before(self, name: str, number: int) -> int | None:
        """The number that a name was first met with; None where this is the first time."""
        if self._database.execute(_PUT, (name, number)).rowcount:
            return None
        return self._find(name)

    def times(self, name: str) -> int:
        """How often a name was met by now, this time included."""
        if self._database.execute(_PUT, (name, 1)).rowcount:
            return 1
        self._database.execute(_COUNT, (name,))
        return self._find(name)

    def _find(self, name: str) -> int:
        number: int = self._database.execute(_FIND, (name,)).fetchone()[0]
        return number

    def __enter__(self) -> Seen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._database.close()
