"""Opening the file of a SQLite store: made where there is none, and left alone where it is not ours.

A file is looked at before anything may write to it. The look is SQLite's own, without locks and without files beside it
(``immutable``): to open the file by hand would not do, for closing it again would drop every lock that this process has
on it (POSIX), those of other connections included.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from stable_openai.errors import StoreError

from .schema import APPLICATION_ID, check_version, refuse_newer, upgrade
from .waiting import damaged, is_busy, patiently

if TYPE_CHECKING:
    from .schema import Execute

__all__ = ["check_access", "connect", "file_at"]

_LOOK: Final = "?mode=ro&immutable=1"
_LOOK_WITH_LOCKS: Final = "?mode=ro"
_WAL_LIMIT: Final = 8 * 1024 * 1024  # bytes; it is that long only where a long reader held it up

_making = threading.Lock()


def file_at(path: str) -> tuple[int, int] | None:
    """What tells this file from another one of the same name; None where there is none, or it is empty."""
    try:
        status = os.stat(path)  # noqa: PTH116  # a third of the cost of Path.stat
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if status.st_size else None


def connect(path: str, timeout: float) -> sqlite3.Connection:
    """Open the file, and make it first where there is none.

    Raises:
        StoreError: It can't be ours, or the folder is not there, or the system does not let us.
        sqlite3.DatabaseError: What ``meaning_of`` explains.
    """
    check_access(path)
    with _making:
        if not os.path.lexists(path):
            _make(path)
    if file_at(path) is not None:
        _look(path, timeout)
    connection = sqlite3.connect(
        _uri(path, "?mode=rw"), uri=True, timeout=0, isolation_level=None, check_same_thread=False
    )
    try:
        patiently(lambda: _prepare(connection, path), timeout)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: str) -> None:
    try:
        with closing(connection.cursor()) as cursor:
            if not check_version(cursor.execute, path):
                upgrade(connection, path)
            mode = cursor.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            if mode != "wal":
                raise StoreError(f"{path} is where SQLite can't share a file (a network folder?): use a local disk")
            cursor.execute("PRAGMA synchronous = NORMAL")
            cursor.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT}").fetchone()
    except BaseException:
        if connection.in_transaction:
            connection.rollback()
        raise


# -- a file that is not there yet


def check_access(path: str) -> None:
    """Refuse a place where no store can be.

    Raises:
        StoreError: It is a folder, has no folder to be in, or the system does not let us.
    """
    folder = os.path.dirname(path)  # noqa: PTH120
    if not os.path.isdir(folder):  # noqa: PTH112
        raise StoreError(f"the SQLite store {path} has no folder to be in: make {folder} first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StoreError(f"the SQLite store {path} can't be used: this user may not write into {folder}")
    if os.path.isdir(path):  # noqa: PTH112
        raise StoreError(f"the SQLite store {path} is a folder: name a file in it")
    if os.path.lexists(path) and not os.access(path, os.R_OK | os.W_OK):
        raise StoreError(f"the SQLite store {path} can't be used: this user may not read and write it")


def _make(path: str) -> None:
    """Make an empty file that is this user's alone; what SQLite puts beside it has the same mode.

    Nobody in this process has it open when this one closes it: whoever opens it has seen it under the lock before.
    """
    with contextlib.suppress(FileNotFoundError):
        # Where a file was deleted while processes had it open, they share this with whoever makes the next one.
        os.unlink(f"{path}-shm")  # noqa: PTH108
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _start_afresh() -> None:
    global _making  # noqa: PLW0603  # one lock a process: another thread of the parent may hold the old one
    _making = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_afresh)


# -- a file that is there


def _look(path: str, timeout: float) -> None:
    """Refuse a file that is not ours, or damaged, before anything is written.

    While another process is writing, what is in the file alone may not fit together: then one looks again.
    """

    def look() -> None:
        before = _signs(path)
        try:
            _peek(path, _LOOK, whole=not before.wal and not before.journal)
        except sqlite3.DatabaseError as error:
            now = _signs(path)
            if now.wal:
                _peek(path, _LOOK_WITH_LOCKS, whole=False)
            elif now != before or now.journal:
                raise sqlite3.OperationalError("database is locked") from error
            else:
                raise

    try:
        patiently(look, timeout)
    except sqlite3.DatabaseError as error:
        said = str(error)
        if is_busy(error):
            raise damaged(path, "it was left half written") from error
        if "not a database" in said:
            raise StoreError(
                f"{path} is no SQLite database, so it can't be a pool's store: nothing was changed; name another file"
            ) from error
        raise damaged(path, said) from error


class _Signs(NamedTuple):
    """How a file and those beside it look from outside."""

    file: tuple[int, int]
    wal: int
    journal: int


def _signs(path: str) -> _Signs:
    return _Signs(_size_and_time(path), _size_and_time(f"{path}-wal")[0], _size_and_time(f"{path}-journal")[0])


def _size_and_time(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _peek(path: str, how: str, *, whole: bool) -> None:
    with closing(sqlite3.connect(_uri(path, how), uri=True, timeout=0, isolation_level=None)) as connection:
        execute = connection.execute
        if execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            tables = [name for (name,) in execute("SELECT name FROM sqlite_master WHERE type = 'table' LIMIT 3")]
            shown = ", ".join(tables) or "none"
            raise StoreError(
                f"{path} is a SQLite database of another program (tables: {shown}), so it can't be "
                "a pool's store: nothing was changed; name another file"
            )
        refuse_newer(execute, path, execute("PRAGMA user_version").fetchone()[0])
        if whole:
            _check_whole(execute, path)


def _check_whole(execute: Execute, path: str) -> None:
    """Read all of it. Who opens a file that nobody uses can do so, and it takes milliseconds."""
    if os.stat(path).st_size % execute("PRAGMA page_size").fetchone()[0]:  # noqa: PTH116
        raise sqlite3.DatabaseError("its end is missing")
    found = execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise sqlite3.DatabaseError(found.replace("\n", ": "))


def _uri(path: str, options: str) -> str:
    return Path(path).as_uri() + options
