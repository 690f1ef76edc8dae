"""A journal in a SQLite file, for the processes of one machine.

Rules of this file:

* Each exchange is one short transaction. Who finds the file locked waits, and is ``Lost`` after the time-out.
* After an error nothing is half done, and SQLite's own errors end here: they are ``Lost``, or ``StoreError`` where
  waiting would not help.
* There is no open connection while a process forks: SQLite counts the locks of a process in memory, and a child that
  took over its parent's count would write to a file that the others believe nobody uses.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Final

from stable_openai.errors import StoreError
from stable_openai.stores.shared.journal import Lost, Outdated

from .files import check_access, file_at
from .machine_time import GivenTime, MachineTime
from .nudges import Bell, Listener
from .session import Session
from .urls import check_sqlite_url
from .waiting import is_busy, meaning_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from stable_openai.stores.shared.journal import Appended, Entry, Opened

    from .machine_time import StoreTime

__all__ = ["SqliteJournal", "check_sqlite_url"]

logger: Final = logging.getLogger("stable_openai")

_living: Final[weakref.WeakSet[SqliteJournal]] = weakref.WeakSet()
_NOBODY: Final = b""  # no listener's token
_inherited: Final[list[Any]] = []  # kept, for a connection that is collected is closed


class SqliteJournal:
    """A journal in a SQLite file.

    Args:
        url: ``sqlite:///keys.db`` and its like, as ``check_sqlite_url`` reads it.
        timeout: Seconds that an exchange waits while another process holds the file locked.
        time: Where moments come from, for tests; the machine's clock where it is not given.

    Raises:
        ConfigurationError: The URL is none.
    """

    def __init__(self, url: str, *, timeout: float = 2.0, time: Callable[[], float] | None = None) -> None:
        self._place = check_sqlite_url(url)
        self._timeout = timeout
        self._time: StoreTime = MachineTime() if time is None else GivenTime(time)
        self._session: Session | None = None
        self._listener: Listener | None = None
        self._bell = Bell()
        self._start_afresh()
        _living.add(self)

    def _start_afresh(self) -> None:
        self._lock = threading.Lock()
        self._deaf = False

    def __repr__(self) -> str:
        state = "closed" if self._session is None else "open"
        return f"<SqliteJournal {self._place.path!r} namespace={self._place.namespace!r} {state}>"

    # -- what a journal does

    def open(self) -> Opened | None:
        """Read everything; None where there is no journal yet. No file is made for that."""
        with self._exchange():
            session = self._ready(look=True)
            if session is None:
                check_access(self._place.path)
                return None
            return session.read_all()

    def begin(self, identity: str, snapshot: bytes) -> None:
        """Begin a journal, in a file that is made where there is none; nothing happens where there is one by now."""
        with self._exchange():
            session = self._ready(look=True) or self._connect()
            session.begin(identity, snapshot)

    def append(self, identity: str, last: Entry | None, texts: Sequence[str], *, wake: bool) -> Appended:
        """Add entries, and read those that came after ``last``, in one transaction."""
        with self._lock:
            try:  # this is _exchange, spelled out: as a generator it would cost a tenth more
                session = self._session
                if session is None or time.monotonic() >= session.look_at:
                    session = self._ready()
                    if session is None:
                        raise Outdated(f"{self._place.path} is not there any more")
                if not wake:
                    return session.append(identity, last, texts) if texts else session.read_on(identity, last)
                own = _NOBODY if self._listener is None else self._listener.token
                if texts:
                    appended = session.append(identity, last, texts, own)
                else:
                    appended = session.read_on(identity, last)
                    session.find_listeners(own)
                if session.listeners:
                    self._ring(session)
            except BaseException as error:
                self._fail(error)
                raise
            return appended

    def save(self, identity: str, seq: int, snapshot: bytes) -> None:
        """Keep this snapshot, and drop the entries before ``seq``."""
        with self._exchange():
            session = self._ready()
            if session is not None:
                session.save(identity, seq, snapshot)

    def listen(self, callback: Callable[[], None]) -> None:
        """Call back, in a thread of its own, whenever another process says ``wake``; idempotent."""
        with contextlib.suppress(Lost), self._exchange():  # once the file is free it is written down who listens
            if self._listener is not None or self._deaf:
                return
            try:
                self._listener = Listener(callback)
            except OSError as error:
                self._deaf = True
                logger.debug("no loopback (%s): who waits for a key here looks again at its own time only", error)
                return
            if self._session is None:
                self._ready()
            else:
                self._enlist(self._session)

    def close(self) -> None:
        """Close the connection and end the listener; idempotent."""
        with self._exchange():
            listener, self._listener = self._listener, None
            if listener is not None:
                with contextlib.suppress(Lost, StoreError, sqlite3.Error):  # others will find that nobody is there
                    session = self._ready()
                    if session is not None:
                        session.strike_out([listener.token])
            self._drop()
            self._bell.close()
        if listener is not None:
            listener.close(self._timeout)

    def after_fork(self) -> None:
        """Forget the parent's connection and threads without touching them, and be as one that was never opened."""
        if self._session is not None:  # it was forked behind Python's back
            _inherited.append(self._session)
            self._session = None
        if self._listener is not None:
            self._listener.abandon()
            self._listener = None
        self._bell.close()
        self._start_afresh()

    # -- the connection

    @contextlib.contextmanager
    def _exchange(self) -> Iterator[None]:
        """One exchange at a time, and what is to be done when it fails."""
        with self._lock:
            try:
                yield
            except BaseException as error:
                self._fail(error)
                raise

    def _ready(self, *, look: bool = False) -> Session | None:
        """The connection to the file that is there now; None where there is none."""
        session = self._session
        if session is not None and (look or time.monotonic() >= session.look_at) and not session.is_of_this_file():
            self._drop()
        if self._session is None and file_at(self._place.path) is not None:
            self._connect()
        return self._session

    def _connect(self) -> Session:
        self._session = session = Session(self._place, self._time, self._timeout)
        self._enlist(session)
        return session

    def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _fail(self, error: BaseException) -> None:
        """What follows an error: nothing of the exchange is left, and the caller hears in our words what it was."""
        try:
            if self._session is not None:
                self._session.undo()
        except sqlite3.Error:
            self._drop()
        if isinstance(error, sqlite3.DatabaseError):
            if not is_busy(error):
                self._drop()  # the next exchange begins with a fresh one
            raise meaning_of(error, self._place.path, self._timeout) from error

    # -- those who listen

    def _enlist(self, session: Session) -> None:
        if self._listener is not None:
            session.enlist((self._listener.port, self._listener.token))

    def _ring(self, session: Session) -> None:
        gone = self._bell.ring(session.listeners)
        if gone:
            try:
                session.strike_out(gone, patient=False)
            except sqlite3.Error:  # the next one who rings sees it too
                session.undo()

    # -- a fork

    def before_fork(self) -> None:
        """Close the connection, once what other threads do there is over; it is opened again when it is needed."""
        self._lock.acquire()
        self._drop()

    def go_on(self) -> None:
        """Undo ``before_fork`` in the parent."""
        self._lock.release()


_forking: Final[list[SqliteJournal]] = []


def _before_fork() -> None:
    for journal in list(_living):
        journal.before_fork()
        _forking.append(journal)


def _after_fork_in_parent() -> None:
    while _forking:
        _forking.pop().go_on()


def _after_fork_in_child() -> None:
    while _forking:
        _forking.pop().after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
