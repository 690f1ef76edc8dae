"""The ids of a run: which are in the checkpoint, and which the input has named already. In flat memory."""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Ids"]

_TABLES: Final = """
PRAGMA journal_mode = OFF;
PRAGMA cache_size = -16000;
CREATE TABLE done (id TEXT PRIMARY KEY, place INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE failed (id TEXT PRIMARY KEY, place INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE seen (id TEXT PRIMARY KEY, place INTEGER NOT NULL, times INTEGER NOT NULL) WITHOUT ROWID;
"""
_PUT: Final = "INSERT OR REPLACE INTO done VALUES (?, ?)"
_FIND: Final = "SELECT place FROM done WHERE id = ?"
_COUNT: Final = "SELECT count(*) FROM done"
_PUT_FAILED: Final = "INSERT OR REPLACE INTO failed VALUES (?, ?)"
_FIND_FAILED: Final = "SELECT place FROM failed WHERE id = ?"
_SEE: Final = "INSERT OR IGNORE INTO seen VALUES (?, ?, 1)"
_SEE_AGAIN: Final = "UPDATE seen SET times = times + 1 WHERE id = ?"
_SEEN: Final = "SELECT place, times FROM seen WHERE id = ?"


class Ids:
    """Ids with a number for each, in a temporary database that spills to the disk by itself. Safe in threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.executescript(_TABLES)
        self._database.execute("BEGIN")  # for good: nothing here outlives the process

    def put(self, places: Iterable[tuple[str, int]]) -> None:
        """Note where the results of these are in the checkpoint."""
        with self._lock:
            self._database.executemany(_PUT, places)

    def find(self, name: str) -> int | None:
        """Where its result is in the checkpoint; None where there is none."""
        return self._place(_FIND, name)

    def put_failed(self, places: Iterable[tuple[str, int]]) -> None:
        """Note where the failures of these are."""
        with self._lock:
            self._database.executemany(_PUT_FAILED, places)

    def find_failed(self, name: str) -> int | None:
        """Where its failure is; None where there is none."""
        return self._place(_FIND_FAILED, name)

    def _place(self, query: str, name: str) -> int | None:
        with self._lock:
            row = self._database.execute(query, (name,)).fetchone()
        return None if row is None else row[0]

    def see(self, name: str, place: int) -> tuple[int, int]:
        """Note that an item of the input has this id; the first place that it had, and how often it was there."""
        with self._lock:
            if self._database.execute(_SEE, (name, place)).rowcount == 1:
                return place, 1
            self._database.execute(_SEE_AGAIN, (name,))
            found: tuple[int, int] = self._database.execute(_SEEN, (name,)).fetchone()
        return found

    def __len__(self) -> int:
        with self._lock:
            count: int = self._database.execute(_COUNT).fetchone()[0]
        return count

    def close(self) -> None:
        """Give the space back, when nobody is at it: the run may end while its input is being read."""
        with self._lock:
            self._database.close()
