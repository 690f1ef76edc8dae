"""The file in which sessions outlive a restart: SQLite, for one server at a time.

A session's own key is not written: whoever brought it has to bring it again. The file is locked as long as the server
runs, so a second one is refused rather than let to overwrite what the first keeps.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from stable_openai.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Kept", "KeptSession"]

APPLICATION_ID: Final = int.from_bytes(b"sOAs", "big")  # SQLite keeps it in the file's header
_OPTION: Final = "sessions"
_VERSION: Final = 1
_SCHEMA: Final = (
    """CREATE TABLE sessions (id TEXT PRIMARY KEY, caller TEXT NOT NULL, config TEXT NOT NULL, messages TEXT NOT NULL,
        created REAL NOT NULL, used REAL NOT NULL) WITHOUT ROWID""",
    "CREATE TABLE own (caller TEXT PRIMARY KEY, session TEXT NOT NULL) WITHOUT ROWID",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {_VERSION}",
)
_PUT: Final = "INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?, ?)"
_DROP: Final = "DELETE FROM sessions WHERE id = ?"
_DROP_OLD: Final = "DELETE FROM sessions WHERE used <= ?"
_LOAD: Final = "SELECT id, caller, config, messages, created, used FROM sessions ORDER BY used DESC LIMIT ?"
_SET_OWN: Final = "INSERT OR REPLACE INTO own VALUES (?, ?)"
_LOAD_OWN: Final = "SELECT caller, session FROM own"
_DROP_OWN: Final = "DELETE FROM own WHERE session NOT IN (SELECT id FROM sessions)"


class KeptSession(NamedTuple):
    """A session as it stands in the file; moments are in seconds since 1970."""

    id: str
    caller: str
    config: dict[str, Any]
    messages: list[dict[str, Any]]
    created: float
    used: float


class Kept:
    """The file.

    Args:
        path: Where it is; it is made where there is none.

    Raises:
        ConfigurationError: It is another program's, or newer, or in use, or can't be read: it is left as it was.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path).absolute()
        with self._explained():
            is_new = self._make_or_look()
            self._connection = sqlite3.connect(
                self._path.as_uri() + "?mode=rw", uri=True, timeout=0, isolation_level=None, check_same_thread=False
            )
        try:
            with self._explained():
                self._prepare(is_new=is_new)
        except BaseException:
            self._connection.close()
            raise

    def _make_or_look(self) -> bool:
        """Whether the file is new; one that is there is looked at before anything may write to it."""
        try:
            os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))  # what is said is private
        except FileExistsError:
            pass
        else:
            return True
        if not self._path.is_file():
            raise ConfigurationError(_OPTION, f"{self._path} is no file")
        if not self._path.stat().st_size:
            return True
        look = sqlite3.connect(self._path.as_uri() + "?mode=ro&immutable=1", uri=True, timeout=0)
        with contextlib.closing(look):
            if look.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
                raise ConfigurationError(_OPTION, f"{self._path} is another program's database; name another file")
            version = look.execute("PRAGMA user_version").fetchone()[0]
        if version > _VERSION:
            told = f"{self._path} is of a newer stable_openai (format {version}; this one reads {_VERSION})"
            raise ConfigurationError(_OPTION, told)
        return False

    def _prepare(self, *, is_new: bool) -> None:
        execute = self._connection.execute
        execute("PRAGMA locking_mode = EXCLUSIVE").fetchone()
        if is_new:
            execute("BEGIN EXCLUSIVE")
            for statement in _SCHEMA:  # before WAL, so that the file's first page tells whose it is
                execute(statement)
            execute("COMMIT")
        execute("PRAGMA journal_mode = WAL").fetchone()
        execute("PRAGMA synchronous = NORMAL")
        execute("BEGIN EXCLUSIVE")
        execute("COMMIT")

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Say what is wrong with the file."""
        try:
            yield
        except OSError as error:
            raise ConfigurationError(_OPTION, f"{self._path} can't be used: {error.strerror or error}") from None
        except sqlite3.DatabaseError as error:
            told = "is in use by another server" if "locked" in str(error) else f"is no file of sessions ({error})"
            raise ConfigurationError(_OPTION, f"{self._path} {told}") from None

    # -- reading

    def load(self, most: int, not_before: float) -> tuple[list[KeptSession], dict[str, str]]:
        """The sessions, the one used last first, and which one is each caller's own on ``/ask``.

        Args:
            most: The most to read.
            not_before: Those that were last used before this are dropped.

        Raises:
            ConfigurationError: The file is damaged.
        """
        with self._explained():
            self._connection.execute(_DROP_OLD, (not_before,))
            self._connection.execute(_DROP_OWN)
            rows = self._connection.execute(_LOAD, (most,)).fetchall()
            own = dict(self._connection.execute(_LOAD_OWN).fetchall())
        try:
            return [KeptSession(row[0], row[1], json.loads(row[2]), json.loads(row[3]), *row[4:]) for row in rows], own
        except ValueError:
            raise ConfigurationError(_OPTION, f"{self._path} is damaged: a session in it is no JSON") from None

    # -- writing: each call is one transaction

    def put(self, session: KeptSession) -> None:
        """Write a session, in the place of what stood there of it."""
        config, messages = json.dumps(session.config), json.dumps(session.messages)
        row = (session.id, session.caller, config, messages, session.created, session.used)
        self._connection.execute(_PUT, row)

    def drop(self, session_id: str) -> None:
        """Remove a session."""
        self._connection.execute(_DROP, (session_id,))

    def set_own(self, caller: str, session_id: str) -> None:
        """Write which session is a caller's own on ``/ask``."""
        self._connection.execute(_SET_OWN, (caller, session_id))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
