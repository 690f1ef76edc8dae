"""Many streams at once: ``python -m benchmarks.gateway.many PORT NUMBER EVENTS SIZE SECONDS BEGIN WITHIN``.

They begin evenly over the first ``BEGIN`` seconds, and their time counts from when each was due. What has not ended
after ``WITHIN`` seconds is given up.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any

from benchmarks.gateway.servers import TOKEN
from benchmarks.gateway.streams import Stream, unchunked


class Crowd:
    """How many have begun, and not ended yet."""

    def __init__(self) -> None:
        self.now = self.most = 0

    def add(self, number: int) -> None:
        self.now += number
        self.most = max(self.now, self.most)


class Reader(asyncio.Protocol):
    """One stream on a connection of its own."""

    def __init__(self, request: bytes, crowd: Crowd) -> None:
        self._request = request
        self._crowd = crowd
        self.got = bytearray()
        self.first: float | None = None
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self.got += data
        if self.first is None and b"data: " in self.got:
            self.first = time.perf_counter()
            self._crowd.add(1)
        if self.got.endswith(b"\r\n0\r\n\r\n"):
            self._end()

    def connection_lost(self, _error: Exception | None) -> None:
        self._end()

    def _end(self) -> None:
        if not self.over.done():
            self.over.set_result(None)
            self._crowd.add(-1 if self.first is not None else 0)

    def body(self) -> bytes:
        """What has come, without the head."""
        head, _, body = bytes(self.got).partition(b"\r\n\r\n")
        return unchunked(body) if head.startswith(b"HTTP/1.1 200 ") else b""


async def run(port: int, number: int, stream: Stream, begin: float, within: float) -> dict[str, Any]:
    """Have so many streams."""
    loop = asyncio.get_running_loop()
    asked = stream.request()
    request = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {os.environ[TOKEN]}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(asked)}\r\n\r\n"
    ).encode() + asked
    crowd = Crowd()
    readers: list[Reader] = []
    firsts: list[float] = []
    started = time.perf_counter()

    async def read(place: int) -> None:
        due = started + begin * place / number
        await asyncio.sleep(max(due - time.perf_counter(), 0))
        transport, reader = await loop.create_connection(lambda: Reader(request, crowd), "127.0.0.1", port)
        readers.append(reader)
        try:
            await reader.over
        finally:
            if reader.first is not None:
                firsts.append(reader.first - due)
            transport.abort()

    tasks = [asyncio.ensure_future(read(place)) for place in range(number)]
    _, late = await asyncio.wait(tasks, timeout=within)
    lasted = time.perf_counter() - started
    for task in late:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return {**_told(readers, stream), "streams": number, "at_once": crowd.most, "seconds": lasted, **_times(firsts)}


def _told(readers: list[Reader], stream: Stream) -> dict[str, int]:
    wanted = b"".join(stream.pieces())
    bodies = [reader.body() for reader in readers]
    unchanged = sum(body == wanted for body in bodies)
    return {"unchanged": unchanged, "whole": unchanged + sum(b != wanted and stream.is_told_by(b) for b in bodies)}


def _times(firsts: list[float]) -> dict[str, float]:
    firsts.sort()
    if not firsts:
        return {}
    return {"first_ms": firsts[len(firsts) // 2] * 1000, "first_p99_ms": firsts[int(len(firsts) * 0.99)] * 1000}


if __name__ == "__main__":
    told = sys.argv[1:]
    wanted = Stream(int(told[2]), int(told[3]), float(told[4]))
    print(json.dumps(asyncio.run(run(int(told[0]), int(told[1]), wanted, *map(float, told[5:7])))))
