"""What the workers of one server tell each other, by way of the process that has started them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Callable

__all__ = ["Exchange", "Siblings"]

_LONGEST: Final = 1 << 20  # bytes of a line
_CAUGHT_UP: Final = "caught up"  # what a newcomer hears once it has heard all that was told before


class Siblings:
    """The other workers: what one tells, the others hear, and those that start later too."""

    def __init__(self) -> None:
        self._listeners: dict[str, Callable[[str], None]] = {}
        self._writer: asyncio.StreamWriter | None = None

    def hear(self, kind: str, listener: Callable[[str], None]) -> None:
        """Call this, in the loop, with what others tell of a kind."""
        self._listeners[kind] = listener

    def tell(self, kind: str, about: str, lasts: float | None = None) -> None:
        """Tell all others, in the loop.

        Args:
            kind: What it is.
            about: What it is about.
            lasts: Seconds for which those who start later are to hear it; None: for good.
        """
        if self._writer is not None:
            until = None if lasts is None else time.time() + lasts
            self._writer.write(_line({"kind": kind, "about": about, "until": until}))

    @contextlib.asynccontextmanager
    async def connected(self, sock: socket.socket, orphaned: Callable[[], object]) -> AsyncIterator[None]:
        """Talk over the socket that this worker was given; what was told before is heard first.

        Args:
            sock: One end of a pair, whose other end the parent's ``Exchange`` has.
            orphaned: Called once the parent is gone.
        """
        caught_up = asyncio.Event()
        reader, self._writer = await asyncio.open_unix_connection(sock=sock, limit=_LONGEST)
        listening = asyncio.ensure_future(self._listen(reader, caught_up, orphaned))
        try:
            await caught_up.wait()
            yield
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening
            writer, self._writer = self._writer, None
            writer.close()

    async def _listen(
        self, reader: asyncio.StreamReader, caught_up: asyncio.Event, orphaned: Callable[[], object]
    ) -> None:
        async for told in _lines(reader):
            if told["kind"] == _CAUGHT_UP:
                caught_up.set()
            elif told["kind"] in self._listeners:
                self._listeners[told["kind"]](told["about"])
        orphaned()
        caught_up.set()


class Exchange:
    """The parent's end: passes on what a worker tells, and keeps it for those that start later."""

    def __init__(self) -> None:
        self._told: dict[bytes, float | None] = {}  # lines, and until when they matter
        self._writers: set[asyncio.StreamWriter] = set()

    async def serve(self, sock: socket.socket) -> None:
        """Talk to one worker until it has gone.

        Args:
            sock: One end of a pair, whose other end that worker has.
        """
        reader, writer = await asyncio.open_unix_connection(sock=sock, limit=_LONGEST)
        self._forget_old()
        for line in (*self._told, _line({"kind": _CAUGHT_UP})):
            writer.write(line)
        self._writers.add(writer)
        try:
            async for told in _lines(reader):
                line = _line(told)
                self._told[line] = told["until"]
                for other in self._writers - {writer}:
                    other.write(line)
        finally:
            self._writers.discard(writer)
            writer.close()

    def _forget_old(self) -> None:
        now = time.time()
        self._told = {line: until for line, until in self._told.items() if until is None or until > now}


def _line(told: dict[str, Any]) -> bytes:
    return json.dumps(told).encode() + b"\n"


async def _lines(reader: asyncio.StreamReader) -> AsyncIterator[dict[str, Any]]:
    """What comes, until the other end has gone."""
    with contextlib.suppress(ConnectionError):
        while line := await reader.readline():
            yield json.loads(line)
