"""A provider that answers at once, on loopback: ``python -m benchmarks.gateway.upstream PORT``.

It streams as it is asked to; ``/taken`` tells how many bytes of streams were taken from it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from typing import Final

from aiohttp import web

from benchmarks.gateway.streams import Stream

ANSWER: Final = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": int(time.time()),
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello there."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
}
BODY: Final = json.dumps(ANSWER).encode()
HEADERS: Final = {"Content-Type": "application/json", "openai-processing-ms": "1", "x-request-id": "req_1"}


async def main(port: int) -> None:
    """Answer until the process is ended."""
    taken = 0

    async def answer(http: web.BaseRequest) -> web.StreamResponse:
        if http.path == "/taken":
            return web.Response(text=str(taken))
        stream = Stream.asked_for(await http.read())
        return web.Response(body=BODY, headers=HEADERS) if stream is None else await send(http, stream)

    async def send(http: web.BaseRequest, stream: Stream) -> web.StreamResponse:
        nonlocal taken
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        loop = asyncio.get_running_loop()
        began, gap = loop.time(), stream.seconds / stream.events
        with contextlib.suppress(ConnectionError):  # whoever asked has gone
            await response.prepare(http)
            for number, piece in enumerate(stream.pieces()):
                if gap:
                    await asyncio.sleep(max(began + number * gap - loop.time(), 0.0))
                await response.write(piece)
                taken += len(piece)
        return response

    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1_024).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
