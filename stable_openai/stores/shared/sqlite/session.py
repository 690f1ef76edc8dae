"""One connection to a SQLite file, and what a journal does there: each of its methods is one transaction.

Where a method raises, the transaction may be half done: ``undo`` is the caller's to call.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from typing import TYPE_CHECKING, Final

from stable_openai.stores.shared.journal import Appended, Entry, Opened, Outdated

from .files import connect, file_at
from .waiting import patiently

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .machine_time import StoreTime
    from .urls import Place

__all__ = ["Session"]

Listed = tuple[int, bytes]

_LOOK_EVERY: Final = 1.0  # seconds between two looks whether the file is still the one at its path
_LIST_EVERY: Final = 3_600.0  # seconds after which a listener is listed again, as one that lives
_FORGOTTEN: Final = 86_400.0  # seconds after which one that was not is dropped
_MOST_LISTENERS: Final = 256
_LAST_OF_ALL: Final = 2**63 - 1

_POOL: Final = "SELECT id, identity, seq, snapshot FROM pools WHERE namespace = ?"
_POOL_ID: Final = "SELECT id, seq FROM pools WHERE namespace = ? AND identity = ?"
_BEGIN_POOL: Final = "INSERT OR IGNORE INTO pools (namespace, identity, seq, snapshot) VALUES (?, ?, 0, ?)"
_ADD: Final = "INSERT INTO log (pool, at, text) VALUES (?, ?, ?)"
_READ: Final = "SELECT seq, at, text FROM log WHERE seq >= ? AND seq < ? AND pool = ? ORDER BY seq"
_SET_TIME: Final = "UPDATE log SET at = ? WHERE seq >= ?"
_SAVE: Final = (
    "UPDATE pools SET seq = ?1, snapshot = ?2 WHERE namespace = ?3 AND identity = ?4 AND seq < ?1"
    " AND EXISTS (SELECT 1 FROM log WHERE log.seq = ?1 AND log.pool = pools.id)"
)
_TRIM: Final = "DELETE FROM log WHERE seq < ? AND pool = (SELECT id FROM pools WHERE namespace = ?)"
_LISTENERS: Final = "SELECT port, token FROM listeners WHERE namespace = ? AND token <> ?"
_LIST: Final = "INSERT OR REPLACE INTO listeners (token, port, namespace, at) VALUES (?, ?, ?, ?)"
_UNLIST: Final = "DELETE FROM listeners WHERE token = ?"
_UNLIST_OLD: Final = (
    "DELETE FROM listeners WHERE at < ? OR token NOT IN (SELECT token FROM listeners ORDER BY at DESC LIMIT ?)"
)


class Session:
    """One connection.

    Args:
        place: Which pool in which file; the file is made where there is none.
        store_time: The store's clock.
        timeout: Seconds that a transaction waits while others hold the file locked.

    Attributes:
        look_at: When to ask ``is_of_this_file`` again, in monotonic seconds.
        listeners: The port and the token of those whom the last ``append``, or ``find_listeners``, is to wake.
    """

    def __init__(self, place: Place, store_time: StoreTime, timeout: float) -> None:
        self._path, self._namespace = place
        self._time = store_time
        self._timeout = timeout
        self._connection = connect(self._path, timeout)
        self._execute: Callable[..., sqlite3.Cursor] = self._connection.cursor().execute
        self._file = file_at(self._path)
        self._pool = 0
        self._identity = ""  # of the pool that has this number
        self._seq, self._text = -1, ""  # what this connection knows to be the last entry, by itself
        self._listed: Listed | None = None
        self.listeners: list[Listed] = []
        now = time.monotonic()
        self.look_at = now + _LOOK_EVERY
        self._list_at = now  # a first time that failed is made up for at the next look
        try:
            patiently(self._set_clock, timeout)
        except BaseException:
            self.close()
            raise

    def _set_clock(self) -> None:
        if not self._time.take_over(self._execute):
            self._lock_file()
            self._time.anchor(self._execute)
            self._execute("COMMIT")

    def _lock_file(self) -> None:
        patiently(lambda: self._execute("BEGIN IMMEDIATE"), self._timeout)

    def undo(self) -> None:
        """Leave a transaction that failed, as if it had never begun."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    def is_of_this_file(self) -> bool:
        """Whether the file is still the one at its path. It costs a quarter of an ``append``."""
        now = time.monotonic()
        self.look_at = now + _LOOK_EVERY
        if file_at(self._path) != self._file:
            return False
        if now >= self._list_at and self._listed is not None:
            self.enlist(self._listed)
        return True

    # -- reading

    def read_all(self) -> Opened | None:
        """Everything; None where there is no journal."""
        return patiently(self._read_all, self._timeout)

    def _read_all(self) -> Opened | None:
        execute = self._execute
        execute("BEGIN")
        row = execute(_POOL, (self._namespace,)).fetchone()
        opened = None
        if row is not None:
            self._pool, self._identity, seq, snapshot = row
            opened = Opened(self._identity, seq, snapshot, self._entries(seq, _LAST_OF_ALL))
        execute("COMMIT")
        return opened

    def read_on(self, identity: str, last: Entry | None) -> Appended:
        """What came after ``last``."""
        return patiently(lambda: self._read_on(identity, last), self._timeout)

    def find_listeners(self, token: bytes) -> None:
        """Find all who listen, but for the one with this token."""
        rows = patiently(lambda: self._execute(_LISTENERS, (self._namespace, token)).fetchall(), self._timeout)
        self.listeners = rows

    def _read_on(self, identity: str, last: Entry | None) -> Appended:
        at = self._time.now()  # before: what is added after this has been read, is later
        execute = self._execute
        execute("BEGIN")
        read = self._after(identity, last, _LAST_OF_ALL)
        execute("COMMIT")
        newest = read[-1] if read else last
        if newest is not None:
            self._seq, self._text = newest.seq, newest.text
            if newest.at > at:
                self._time.take_over(execute)
                at = max(newest.at, self._time.now())
        return Appended(at, (), read)

    def _after(self, identity: str, last: Entry | None, end: int) -> list[Entry]:
        """The entries after ``last`` with numbers below ``end``, where ``last`` is what the caller takes it for."""
        if last is None:
            if self._find_pool(identity):
                raise Outdated("a snapshot has taken the place of the first entries")
            return self._entries(0, end)
        if identity != self._identity:  # while the file is the same, what was found once is so still
            self._find_pool(identity)
        entries = self._entries(last.seq, end)
        if not entries or entries[0].seq != last.seq or entries[0].text != last.text:
            raise Outdated(f"entry {last.seq} is not there any more")
        return entries[1:]

    def _find_pool(self, identity: str) -> int:
        """Learn the number of the pool; the number of its snapshot's last entry."""
        row = self._execute(_POOL_ID, (self._namespace, identity)).fetchone()
        if row is None:
            raise Outdated(f"{self._path} has another journal")
        self._pool, self._identity = row[0], identity
        return int(row[1])

    def _entries(self, start: int, end: int) -> list[Entry]:
        return [Entry(*row) for row in self._execute(_READ, (start, end, self._pool)).fetchall()]

    # -- writing

    def begin(self, identity: str, snapshot: bytes) -> None:
        """Begin a journal, unless there is one."""
        self._lock_file()
        self._execute(_BEGIN_POOL, (self._namespace, identity, snapshot))
        self._execute("COMMIT")

    def append(self, identity: str, last: Entry | None, texts: Sequence[str], token: bytes | None = None) -> Appended:
        """Add entries, and read what came between ``last`` and them.

        Args:
            identity: That of the journal.
            last: The last entry that the caller knows.
            texts: The new ones, at least one.
            token: Where others are to be woken, the caller's own: ``listeners`` has all but that one then.
        """
        execute = self._execute
        try:
            execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            self._lock_file()
        if identity != self._identity:
            self._find_pool(identity)
        at = self._time.now()
        first: int = execute(_ADD, (self._pool, at, texts[0])).lastrowid  # type: ignore[assignment]
        for text in texts[1:]:
            execute(_ADD, (self._pool, at, text))
        missed: list[Entry] = []
        if (
            last is None or last.seq + 1 != first or last.seq != self._seq or last.text != self._text or last.at > at
        ):  # somebody was in between, or it can't be told without a look
            missed = self._after(identity, last, first)
            newest = missed[-1] if missed else last
            if newest is not None and newest.at > at:
                at = self._set_time(newest.at, first)
        if token is not None:
            self.listeners = execute(_LISTENERS, (self._namespace, token)).fetchall()
        execute("COMMIT")
        end = first + len(texts)
        self._seq, self._text = end - 1, texts[-1]
        return Appended(at, range(first, end), missed)

    def _set_time(self, latest: float, first: int) -> float:
        """Time is behind an entry: another process has anchored it anew, or it is to be done here."""
        self._time.anchor(self._execute, latest)
        at = max(self._time.now(), latest)
        self._execute(_SET_TIME, (at, first))
        return at

    def save(self, identity: str, seq: int, snapshot: bytes) -> None:
        """Keep a snapshot and drop what it stands for; SQLite uses the pages again."""
        self._lock_file()
        if self._execute(_SAVE, (seq, snapshot, self._namespace, identity)).rowcount:
            self._execute(_TRIM, (seq, self._namespace))
        self._execute("COMMIT")

    # -- who listens

    def enlist(self, listener: Listed) -> None:
        """Write down who listens here, for others to find; those who are long gone are dropped."""
        self._listed = listener
        port, token = listener
        now = self._time.now()
        self._lock_file()
        self._execute(_LIST, (token, port, self._namespace, now))
        self._execute(_UNLIST_OLD, (now - _FORGOTTEN, _MOST_LISTENERS))
        self._execute("COMMIT")
        self._list_at = time.monotonic() + _LIST_EVERY

    def strike_out(self, tokens: Sequence[bytes], *, patient: bool = True) -> None:
        """Drop those who listen no more; without patience, the file must not be locked just now."""
        patiently(lambda: self._execute("BEGIN IMMEDIATE"), self._timeout if patient else 0.0)
        for token in tokens:
            self._execute(_UNLIST, (token,))
        self._execute("COMMIT")
