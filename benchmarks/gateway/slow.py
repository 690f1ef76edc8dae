"""A reader that does not read, and then leaves: what a worker takes from the provider all the same, and keeps."""

from __future__ import annotations

import os
import socket
import time
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from benchmarks.gateway.memory import Watched
from benchmarks.gateway.servers import DIRECT, TOKEN
from benchmarks.tables import table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from benchmarks.gateway.streams import Stream

__all__ = ["Slow", "measure", "show"]

_BUFFER: Final = 1 << 16  # bytes that the reader's own system keeps for it
_PIECE: Final = 1 << 14
_MB: Final = 1e6


@dataclass(frozen=True)
class Slow:
    """One stream and its reader.

    Args:
        stream: The stream, sent as fast as it is taken.
        still: Seconds in which nothing is read.
        slowly: Seconds in which a little is read, until the reader leaves.
        rate: Bytes that are read a second then.
        after: Seconds from then on, in which nothing more is wanted.
    """

    stream: Stream
    still: float
    slowly: float
    rate: float
    after: float


def measure(
    names: Iterable[str], ports: Mapping[str, int], pids: Mapping[str, int], slow: Slow
) -> dict[str, dict[str, Any]]:
    """What each of them does."""
    found = {}
    for name in names:
        with Watched(pids[name]) as memory:
            row = _read(ports[name], ports[DIRECT], slow)
        if name != DIRECT:
            row.update(memory.found())
        if "peak_mib" in row:
            row["grown_mib"] = round(row["peak_mib"] - row["idle_mib"], 1)
        found[name] = row
    return found


def _read(port: int, provider: int, slow: Slow) -> dict[str, Any]:
    """Ask for the stream, read nothing and then a little of it, and leave; returns how much, and what was taken."""
    before = _taken(provider)
    asked = slow.stream.request()
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        sock.settimeout(5.0)
        sock.connect(("127.0.0.1", port))
        sock.sendall(
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Authorization: Bearer {os.environ[TOKEN]}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(asked)}\r\n\r\n".encode()
            + asked
        )
        time.sleep(slow.still)
        read, began = 0, time.monotonic()
        while (passed := time.monotonic() - began) < slow.slowly:
            if read >= passed * slow.rate:
                time.sleep(0.005)
            elif not (piece := sock.recv(_PIECE)):
                break
            else:
                read += len(piece)
        taken = _taken(provider)
    time.sleep(slow.after)
    found = {"read_mb": read, "taken_mb": taken - before, "after_mb": _taken(provider) - taken}
    return {name: round(count / _MB, 2) for name, count in found.items()}


def _taken(port: int) -> int:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://127.0.0.1:{port}/taken") as got:
        return int(got.read())


def show(rows: Mapping[str, Mapping[str, Any]], slow: Slow) -> None:
    """Print the table."""
    size = slow.stream.events * slow.stream.size / _MB
    print(
        f"A reader of {size:.0f} MB that reads nothing for {slow.still:g} s, then {slow.rate / _MB:g} MB/s "
        f"for {slow.slowly:g} s, and leaves"
    )
    head = ["", "read", "taken of the provider", f"in {slow.after:g} s after", "memory", "at most", "grown by"]
    lines = [
        [
            name, *(f"{row[key]} MB" for key in ("read_mb", "taken_mb", "after_mb")),
            *(f"{row[key]} MiB" if key in row else "" for key in ("idle_mib", "peak_mib", "grown_mib")),
        ]
        for name, row in rows.items()
    ]  # fmt: skip
    print(table(head, lines))
