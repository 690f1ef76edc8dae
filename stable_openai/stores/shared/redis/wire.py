"""Commands and answers over a connection that redis-py has opened.

redis-py connects, authenticates and speaks TLS. What follows is said here, in one write and one read where that is
enough: it takes half the time. The protocol is RESP 2.
"""

from __future__ import annotations

import contextlib
import socket
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Refused", "Wire", "packed"]

_READ_SIZE: Final = 65536
_END: Final = b"\r\n"


class Refused(Exception):
    """The server answers with an error.

    Attributes:
        code: The word that it begins with, such as ``NOSCRIPT``.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.code = text.partition(" ")[0]


def packed(words: Sequence[bytes]) -> bytes:
    """Pack the words of a command, without their number."""
    return b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words])


class Wire:
    """A connection, from when it is ready to when it is closed; one thread at a time but for ``shut_down``.

    What it raises, beside ``Refused``: ``TimeoutError`` where there is no answer in time, and another ``OSError`` where
    the connection is lost.

    Args:
        connection: That of redis-py, connected.
        timeout: Seconds that an answer may take, from its first byte to its last as well.
    """

    __slots__ = ("_buffer", "_connection", "_place", "_socket", "_timeout", "host", "recv", "send")

    def __init__(self, connection: Any, timeout: float) -> None:
        self._connection = connection
        self._socket: socket.socket = connection._sock  # noqa: SLF001  # its name since redis-py 2, and there is no other
        self._timeout: float | None = timeout
        self.host: str = getattr(connection, "host", "")
        self.send = self._socket.sendall
        self.recv = self._socket.recv
        self._buffer = b""
        self._place = 0

    def ask(self, *words: bytes) -> Any:
        """Send a command, and return its answer."""
        self.send(b"*%d\r\n%b" % (len(words), packed(words)))
        return self.read()

    def read(self) -> Any:
        """Read one answer: a bytes, an int, None, or a list of these."""
        if self._place == len(self._buffer):
            self._buffer, self._place = self._receive(), 0
            # the usual one: one short text, whole, and nothing behind
            head, _, rest = self._buffer.partition(_END)
            if head[:1] == b"$" and head != b"$-1" and len(rest) == int(head[1:]) + 2:
                self._place = len(self._buffer)
                return rest[:-2]
        return self._parse(None if self._timeout is None else time.monotonic() + self._timeout)

    def wait_without_end(self) -> None:
        """Let answers take as long as they like from now on."""
        self._timeout = None
        self._socket.settimeout(None)

    def shut_down(self) -> None:
        """Wake the thread that reads: it is told that the connection is lost, and has to close it."""
        with contextlib.suppress(OSError):
            # that of the bare socket: TLS would say goodbye first, and meet with the thread that reads
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close it; in a forked child the parent's end stays as it is, redis-py sees to that."""
        self._connection.disconnect()

    def _receive(self) -> bytes:
        received: bytes = self.recv(_READ_SIZE)
        if not received:
            raise ConnectionResetError("the server has closed the connection")
        return received

    def _more(self, least: int, deadline: float | None) -> None:
        """Receive until there are so many bytes in all."""
        parts, length = [self._buffer], len(self._buffer)
        while length < least:
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError
            parts.append(self._receive())
            length += len(parts[-1])
        self._buffer = b"".join(parts)

    def _parse(self, deadline: float | None) -> Any:
        while (end := self._buffer.find(_END, self._place)) < 0:
            self._more(len(self._buffer) + 1, deadline)
        kind, rest = self._buffer[self._place], self._buffer[self._place + 1 : end]
        self._place = end + 2
        if kind == ord("+"):
            return rest
        if kind == ord("-"):
            raise Refused(rest.decode("utf-8", "replace"))
        if kind not in b":$*":
            raise ConnectionError("the server does not speak the protocol of Redis")
        number = int(rest)
        if kind == ord(":"):
            return number
        if number < 0:
            return None
        if kind == ord("*"):
            return [self._parse(deadline) for _ in range(number)]
        begin, self._place = self._place, self._place + number + 2
        if len(self._buffer) < self._place:
            self._more(self._place, deadline)
        return self._buffer[begin : self._place - 2]
