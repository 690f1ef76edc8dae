"""Which ids a checkpoint has, and where: in flat memory."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from .seen import unnamed_database

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Ids"]

_TABLES: Final = """
CREATE TABLE done (id TEXT PRIMARY KEY, place INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE failed (id TEXT PRIMARY KEY, place INTEGER NOT NULL) WITHOUT ROWID;
"""
_PUT: Final = "INSERT OR REPLACE INTO done VALUES (?, ?)"
_FIND: Final = "SELECT place FROM done WHERE id = ?"
_COUNT: Final = "SELECT count(*) FROM done"
_PUT_FAILED: Final = "INSERT OR REPLACE INTO failed VALUES (?, ?)"
_FIND_FAILED: Final = "SELECT place FROM failed WHERE id = ?"


class Ids:
    """The ids of results and of failures, with the place of each in its file. Safe in threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._database = unnamed_database(_TABLES)

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

    def __len__(self) -> int:
        with self._lock:
            count: int = self._database.execute(_COUNT).fetchone()[0]
        return count

    def close(self) -> None:
        """Give the space back, when nobody is at it: the run may end while its input is being read."""
        with self._lock:
            self._database.close()
