"""Waking other processes of this machine: a datagram over the loopback to each that listens.

A listener is a port and a random token; both stand in the store, so that whoever changes something there finds them.
A datagram says no more than "look": that it gets lost, or that a process of other people sends one, does no harm. So
nothing is acknowledged, nothing is sent twice, and what has another token is passed over.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Bell", "Listener"]

logger: Final = logging.getLogger("stable_openai")

_LOOPBACK: Final = "127.0.0.1"
_TOKEN_BYTES: Final = 8
_AT_ONCE: Final = 1000  # more than a socket's buffer holds of them


class Listener:
    """A thread that calls back whenever a datagram with its token has come; several that wait are one call.

    Raises:
        OSError: There is no loopback here.

    Attributes:
        port: Where to send to.
        token: What to send.
    """

    def __init__(self, callback: Callable[[], None]) -> None:
        self.token = os.urandom(_TOKEN_BYTES)
        self._callback = callback
        self._closed = False
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.bind((_LOOPBACK, 0))
            self.port: int = self._socket.getsockname()[1]
            self._thread = threading.Thread(target=self._run, name="stable_openai listener", daemon=True)
            self._thread.start()
        except BaseException:
            self._socket.close()
            raise

    def close(self, timeout: float) -> None:
        """End the thread; wait for it at most so many seconds, as its callback may be waiting for the caller."""
        self._closed = True
        bell = Bell()
        bell.ring([(self.port, self.token)])
        bell.close()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout)
        self._socket.close()

    def abandon(self) -> None:
        """In a forked child: let go of the parent's socket, which stays as it is. There is no thread here."""
        self._closed = True
        self._socket.close()

    def _run(self) -> None:
        while self._wait():
            try:
                self._callback()
            except Exception:
                logger.exception("what was to be done when another process says that something has changed went wrong")

    def _wait(self) -> bool:
        """Block until somebody nudges; False at the end."""
        try:
            while self._socket.recv(_TOKEN_BYTES + 1) != self.token:
                pass
            self._drain()
        except OSError:  # closed
            return False
        return not self._closed

    def _drain(self) -> None:
        self._socket.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            for _ in range(_AT_ONCE):
                self._socket.recv(_TOKEN_BYTES + 1)
        self._socket.settimeout(None)


class Bell:
    """What nudges listeners. It has one socket for all, made when it is first needed."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None

    def ring(self, listeners: Iterable[tuple[int, bytes]]) -> list[bytes]:
        """Nudge each, without waiting for anything.

        Args:
            listeners: The port and the token of each.

        Returns:
            The tokens of those where nobody listens any more.
        """
        gone = []
        for port, token in listeners:
            try:
                if self._socket is None:
                    self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                    self._socket.settimeout(0)
                self._socket.connect(
                    (_LOOPBACK, port)
                )  # the system tells only one who is connected that nobody is there
                self._socket.send(token)
                refused = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED
            except ConnectionRefusedError:
                refused = True
            except OSError:  # a full buffer, no loopback: the other one has its deadline
                refused = False
            if refused:
                gone.append(token)
        return gone

    def close(self) -> None:
        """Close the socket. In a forked child it lets go of the parent's, which stays as it is; idempotent."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
