"""Which sessions there are: found by their ids, cleared when idle, and written to the file of those that last."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from .errors import InvalidArgument, SessionNotFound
from .kept import Kept, KeptSession
from .texts import clean

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from stable_openai.clock import Alarm, Clock

    from .options import SessionOptions
    from .session import Session

__all__ = ["Registry", "shown"]

_logger: Final = logging.getLogger("stable_openai.service")
_SHOWN: Final = 8  # characters of a session's id in a log: the rest is what lets one in


class Registry:
    """The sessions of a server; all of it belongs to one event loop.

    Args:
        options: Bounds.
        clock: Where time comes from.
        path: The file in which sessions outlive a restart; None: they don't.
    """

    def __init__(self, options: SessionOptions, clock: Clock, path: str | os.PathLike[str] | None) -> None:
        self._options = options
        self._clock = clock
        self._path = path
        self._sessions: OrderedDict[str, Session] = OrderedDict()  # the one used longest ago first
        self._own: dict[str, str] = {}  # each caller's session on /ask
        self._alarm: Alarm | None = None
        self._kept: Kept | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self, restore: Callable[[KeptSession, float], Session | None]) -> None:
        """Begin, with the sessions that are in the file.

        Args:
            restore: Makes a session of what stands there, and of the moment at which it was last used.

        Raises:
            ConfigurationError: The file is not ours, or in use by another server.
        """
        self._loop = asyncio.get_running_loop()
        if self._path is None:
            return
        kept = Kept(self._path)
        try:
            rows, self._own = kept.load(self._options.max_sessions, self._clock.time() - self._options.idle)
            for row in reversed(rows):
                idle = max(self._clock.time() - row.used, 0.0)
                session = restore(row, self._clock.monotonic() - idle)
                if session is not None:
                    self._sessions[session.id] = session
        except BaseException:
            kept.close()
            raise
        self._kept = kept
        self._set_alarm()

    def close(self) -> None:
        """Close the file, and forget the rest."""
        self._loop = None
        if self._alarm is not None:
            self._alarm.cancel()
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.close()
        self._sessions.clear()

    def __len__(self) -> int:
        return len(self._sessions)

    # -- finding

    def find(self, session_id: str, caller: str, *, may_lack_key: bool = False) -> Session:
        """A caller's session.

        Raises:
            InvalidArgument: The id is missing.
            SessionNotFound: There is none; or it lacks its key, and must not.
        """
        if not session_id:
            raise InvalidArgument("session_id is required")
        session = self._sessions.get(session_id)
        if session is not None and self._is_over(session):
            self.end(session, "idle")
            session = None
        if session is None or session.caller != caller:
            raise SessionNotFound(f"Session {clean(session_id)[:64]} not found")
        if session.chat is None and not may_lack_key:
            raise SessionNotFound(
                f"Session {session.id} was kept without its key: make a new one, or give this one its key again by a "
                'config with "session_id" and the key'
            )
        return session

    def own_of(self, caller: str) -> Session | None:
        """A caller's session on ``/ask``."""
        return self._sessions.get(self._own.get(caller, ""))

    def has_had_own(self, caller: str) -> bool:
        """Whether a caller has made a session for ``/ask``, even if it is no more."""
        return caller in self._own

    # -- changing

    def add(self, session: Session) -> None:
        """Add a session."""
        self._sessions[session.id] = session
        self.keep(session)
        self._set_alarm()
        by = f" by {session.caller}" if session.caller else ""
        _logger.info("session %s made%s", shown(session.id), by)

    def set_own(self, session: Session) -> None:
        """Make a session its caller's on ``/ask``."""
        self._own[session.caller] = session.id
        with self._writing() as kept:
            if kept is not None:
                kept.set_own(session.caller, session.id)

    def end(self, session: Session, why: str) -> None:
        """End a session."""
        session.ended = True
        self._sessions.pop(session.id, None)
        if session.is_plain and self._own.get(session.caller) == session.id:
            del self._own[session.caller]  # /ask makes such a one by itself
        with self._writing() as kept:
            if kept is not None:
                kept.drop(session.id)
        _logger.info("session %s ended: %s", shown(session.id), why)

    def touch(self, session: Session) -> None:
        """A session was in use until now."""
        session.used = self._clock.monotonic()
        if not session.ended:
            self._sessions.move_to_end(session.id)
            self._set_alarm()

    def keep(self, session: Session) -> None:
        """Write a session to the file, as it is now."""
        with self._writing() as kept:
            if kept is not None and not session.ended:
                now, config = self._clock.time(), session.config.kept()
                kept.put(KeptSession(session.id, session.caller, config, session.said(), session.created, now))

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Kept | None]:
        """Write to the file, if there is one. A full disk does not cost a caller the answer."""
        try:
            yield self._kept
        except sqlite3.Error as error:
            _logger.warning("the file of sessions can't be written: %s", error)

    # -- clearing

    def clear(self) -> None:
        """End the sessions that nobody has used for long, and set the alarm for the next."""
        for session in list(self._sessions.values()):
            if session.waiting:
                continue
            if not self._is_over(session):
                break
            self.end(session, "idle")
        self._set_alarm()

    def _is_over(self, session: Session) -> bool:
        return not session.waiting and session.used + self._options.idle <= self._clock.monotonic()

    def _set_alarm(self) -> None:
        """Have an alarm where a session may become idle. It is never too late: one that is used only lives longer."""
        if self._alarm is None and self._loop is not None:
            used = next((session.used for session in self._sessions.values() if not session.waiting), None)
            if used is not None:
                self._alarm = self._clock.call_at(used + self._options.idle, self._ring)

    def _ring(self) -> None:
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop was closed
                loop.call_soon_threadsafe(self._rung)

    def _rung(self) -> None:
        self._alarm = None
        self.clear()


def shown(session_id: str) -> str:
    """As much of a session's id as a log may hold."""
    return f"{session_id[:_SHOWN]}…"
