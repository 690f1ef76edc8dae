"""The thread that hears when another process says that it is worth looking."""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, Any, Final

from stable_openai.stores.shared.journal import Lost

from .errors import told

if TYPE_CHECKING:
    from collections.abc import Callable

    from .links import Link
    from .wire import Wire

__all__ = ["Listener"]

_logger: Final = logging.getLogger("stable_openai")
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 1.0  # as between attempts to reach a lost store: who waits may be waiting for a word
_REFUSED_PAUSE_S: Final = 5.0  # where the server is there, and refuses


class Listener:
    """Listens on a channel, over a connection of its own, until it is closed.

    Nothing polls: the thread is blocked in reading. When the connection is lost it opens another, after a pause that
    grows. Each time that it has begun to listen it calls back as well, as something may have been missed before.

    Args:
        link: Which server to talk to; this thread's own.
        callback: What to call.
        channel: The channel.
        own: The words that are to be ignored, for they are the journal's own.
        namespace: The pool's, for messages.
        timeout: Seconds to connect.
    """

    def __init__(
        self,
        link: Link,
        callback: Callable[[], None],
        *,
        channel: str,
        own: bytes,
        namespace: str,
        timeout: float,
    ) -> None:
        self._link = link
        self._channel = channel
        self._own = own
        self._callback = callback
        self._namespace = namespace
        self._timeout = timeout
        self._pause = _FIRST_PAUSE_S
        self._pid = os.getpid()
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._wire: Wire | None = None
        self._thread = threading.Thread(target=self._run, name="stable_openai listener", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread, and its connection."""
        if os.getpid() != self._pid:
            return  # they are the parent's
        self._closed.set()
        with self._lock:
            if self._wire is not None:
                self._wire.shut_down()
        if self._thread is not threading.current_thread():
            self._thread.join(2 * self._timeout)  # where it is connecting just now, that is bounded

    def _run(self) -> None:
        known = ""
        while not self._closed.is_set():
            longest = _LONGEST_PAUSE_S
            try:
                self._listen()
            except Exception as error:  # noqa: BLE001
                problem = told(error, self._link.place, self._namespace, self._timeout)
                known = self._log(problem, known)
                longest = _LONGEST_PAUSE_S if isinstance(problem, Lost) else _REFUSED_PAUSE_S
            self._closed.wait(self._pause)
            self._pause = min(2 * self._pause, longest)

    def _log(self, problem: Exception, known: str) -> str:
        """Say once what is wrong: calls say for themselves when the store is lost, but not when it refuses this."""
        if self._closed.is_set():
            return known
        if str(problem) != known:
            level = logging.DEBUG if isinstance(problem, Lost) else logging.WARNING
            _logger.log(level, "a pool can't hear when it is worth looking: %s", problem)
        return str(problem)

    def _listen(self) -> None:
        wire = self._link.connect()
        try:
            answer = wire.ask(b"SUBSCRIBE", self._channel.encode())
            with self._lock:
                if self._closed.is_set():
                    return
                self._wire = wire
                wire.wait_without_end()
            self._pause = _FIRST_PAUSE_S
            while True:
                if self._is_worth_it(answer):
                    self._call_back()
                answer = wire.read()
        finally:
            with self._lock:
                self._wire = None
            wire.close()

    def _is_worth_it(self, answer: Any) -> bool:
        kind, _, words = answer
        return bool(kind == b"subscribe" or (kind == b"message" and words != self._own))

    def _call_back(self) -> None:
        try:
            self._callback()
        except Exception:
            _logger.exception("what a pool's listener calls has failed")
