"""A bounded load from one process: ``python -m benchmarks.gateway.load PORT CONNECTIONS SECONDS [RATE]``.

Without a rate each connection asks again as soon as it has its answer: what a server can do. With one, so many requests
a second are sent whether the last was answered or not, and their time counts from when each was due: what a request
takes on a server that is not full.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import time
from typing import Any, Final

from benchmarks.gateway.servers import TOKEN

BODY: Final = json.dumps({
    "model": "m",
    "messages": [{"role": "system", "content": "You are helpful."}, {"role": "user", "content": "Say hello. " * 20}],
    "max_tokens": 16,
}).encode()  # fmt: skip


class Connection(asyncio.Protocol):
    """One connection, with one request at a time."""

    def __init__(self) -> None:
        self._got = b""
        self._answer: asyncio.Future[int] | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, found, body = self._got.partition(b"\r\n\r\n")
        if not found:
            return
        lower = head.lower()
        at = lower.find(b"content-length:")
        length = int(lower[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else None
        whole = body.endswith(b"0\r\n\r\n") if length is None else len(body) >= length
        if whole and self._answer is not None:
            status, self._got = int(head[9:12]), b""
            self._answer.set_result(status)

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionError("it was closed"))

    async def ask(self, request: bytes) -> int:
        """Send a request; returns the answer's status."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        self._transport.close()


async def run(port: int, connections: int, seconds: float, rate: float | None) -> dict[str, Any]:
    """Ask for so long."""
    loop = asyncio.get_running_loop()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {os.environ[TOKEN]}\r\n"
    )
    request = f"{head}Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n".encode() + BODY
    free = [(await loop.create_connection(Connection, "127.0.0.1", port))[1] for _ in range(connections)]
    took: list[float] = []
    failed = 0

    async def closed(one: Connection, until: float) -> None:
        nonlocal failed
        while (began := time.perf_counter()) < until:
            failed += await one.ask(request) != 200
            took.append(time.perf_counter() - began)

    async def paced(one: Connection, first: float, until: float, gap: float) -> None:
        nonlocal failed
        due = first
        while due < until:
            await asyncio.sleep(max(due - time.perf_counter(), 0))
            failed += await one.ask(request) != 200
            took.append(time.perf_counter() - due)
            due += gap

    started = time.perf_counter()
    until = started + seconds
    if rate is None:
        await asyncio.gather(*(closed(one, until) for one in free))
    else:
        gap = connections / rate
        firsts = [started + gap * place / connections for place in range(connections)]
        await asyncio.gather(*(paced(one, first, until, gap) for one, first in zip(free, firsts, strict=True)))
    lasted = time.perf_counter() - started
    for one in free:
        one.close()
    took.sort()
    return {
        "requests": len(took),
        "failed": failed,
        "per_second": len(took) / lasted,
        "median_ms": statistics.median(took) * 1000,
        "p99_ms": took[int(len(took) * 0.99)] * 1000,
    }


if __name__ == "__main__":
    told = sys.argv[1:]
    found = asyncio.run(run(int(told[0]), int(told[1]), float(told[2]), float(told[3]) if len(told) > 3 else None))
    print(json.dumps(found))
