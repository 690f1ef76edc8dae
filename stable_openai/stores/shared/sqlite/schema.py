"""What stands in the file of a SQLite store, and the steps that bring an older one to it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

from stable_openai.errors import StoreError

from .waiting import damaged

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Execute = Callable[..., sqlite3.Cursor]

__all__ = ["APPLICATION_ID", "STEPS", "check_version", "refuse_newer", "upgrade"]

APPLICATION_ID: Final = int.from_bytes(b"sOAI", "big")  # SQLite keeps it in the header; `file` and others show it

# A number is never given out twice, although rows are dropped: SQLite counts on from the largest that is there, and the
# last entry of a pool is always kept. AUTOINCREMENT would keep that count in a table of its own, a third more work.
_FIRST: Final = (
    "CREATE TABLE about (made_by TEXT NOT NULL)",
    "CREATE TABLE clock (id INTEGER PRIMARY KEY, boot TEXT NOT NULL, offset REAL NOT NULL)",
    """CREATE TABLE pools (id INTEGER PRIMARY KEY, namespace TEXT NOT NULL UNIQUE, identity TEXT NOT NULL,
        seq INTEGER NOT NULL, snapshot BLOB NOT NULL)""",
    "CREATE TABLE log (seq INTEGER PRIMARY KEY, pool INTEGER NOT NULL, at REAL NOT NULL, text TEXT NOT NULL)",
    "CREATE TABLE listeners (token BLOB PRIMARY KEY, port INTEGER NOT NULL, namespace TEXT NOT NULL, at REAL NOT NULL)",
)

STEPS: Sequence[Sequence[str]] = (_FIRST,)
"""Step n leads from version n to version n + 1; a file's version is its ``user_version``, and a new file has 0."""


def check_version(execute: Execute, path: str) -> bool:
    """Whether the file is of this version; False where it is older or new.

    Raises:
        StoreError: It is newer, or not what it was made as.
    """
    version = execute("PRAGMA user_version").fetchone()[0]
    refuse_newer(execute, path, version)
    if version < len(STEPS):
        return False
    there = {name for (name,) in execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    missing = {"about", "clock", "pools", "log", "listeners"} - there
    if missing:
        raise damaged(path, f"it has no table {min(missing)}")
    return True


def refuse_newer(execute: Execute, path: str, version: int) -> None:
    """Refuse a file of a version that this library does not know."""
    if version <= len(STEPS):
        return
    try:
        made_by = execute("SELECT made_by FROM about").fetchone()[0]
    except (sqlite3.DatabaseError, TypeError):
        made_by = "a newer stable_openai"
    raise StoreError(
        f"the SQLite store {path} was written by {made_by} (its format is {version}; this one reads up to "
        f"{len(STEPS)}): upgrade stable_openai here, or give this pool another file"
    )


def upgrade(connection: sqlite3.Connection, path: str) -> None:
    """Bring an older file, or an empty one, to this version in one transaction. Another process may have been first."""
    with closing(connection.cursor()) as cursor:
        execute = cursor.execute
        execute("BEGIN IMMEDIATE")
        if not check_version(execute, path):
            for step in STEPS[execute("PRAGMA user_version").fetchone()[0] :]:
                for statement in step:
                    execute(statement)
            execute("DELETE FROM about")
            execute("INSERT INTO about VALUES (?)", (_this_library(),))
            execute(f"PRAGMA application_id = {APPLICATION_ID}")
            execute(f"PRAGMA user_version = {len(STEPS)}")
        execute("COMMIT")


def _this_library() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"stable_openai {version('stable-openai')}"
    except PackageNotFoundError:  # a copy that was never installed
        return "stable_openai"
