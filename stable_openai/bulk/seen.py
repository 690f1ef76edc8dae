"""The ids that an input has named already: in a database without a name, which spills to the disk by itself."""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Seen", "unnamed_database"]

_TABLE: Final = "CREATE TABLE seen (id TEXT PRIMARY KEY, place INTEGER NOT NULL, times INTEGER NOT NULL) WITHOUT ROWID;"
_SEE: Final = "INSERT OR IGNORE INTO seen VALUES (?, ?, 1)"
_SEE_AGAIN: Final = "UPDATE seen SET times = times + 1 WHERE id = ?"
_SEEN: Final = "SELECT place, times FROM seen WHERE id = ?"


def unnamed_database(tables: str) -> sqlite3.Connection:
    """A database that ends with its connection; what does not fit into 16 MB of memory is on the disk.

    Args:
        tables: The statements that make its tables.
    """
    database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    database.executescript(f"PRAGMA journal_mode = OFF; PRAGMA cache_size = -16000; {tables}")
    database.execute("BEGIN")  # for good: nothing in it outlives the process
    return database


class Seen:
    """Ids, with where each was met first, and how often it was met. Safe in threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._database = unnamed_database(_TABLE)

    def see(self, name: str, place: int) -> tuple[int, int]:
        """Note that an item of the input has this id.

        Args:
            name: The id.
            place: Where the item is.

        Returns:
            The first place that it had, and how often it was there, this time included.
        """
        with self._lock:
            if self._database.execute(_SEE, (name, place)).rowcount == 1:
                return place, 1
            self._database.execute(_SEE_AGAIN, (name,))
            found: tuple[int, int] = self._database.execute(_SEEN, (name,)).fetchone()
        return found

    def close(self) -> None:
        """Give the space back, when nobody is at it: the run may end while its input is being read."""
        with self._lock:
            self._database.close()

    def __enter__(self) -> Seen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
