"""A provider that answers at once, on loopback: ``python -m benchmarks.gateway.upstream PORT``."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Final

from aiohttp import web

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

    async def answer(http: web.BaseRequest) -> web.Response:
        await http.read()
        return web.Response(body=BODY, headers=HEADERS)

    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=256).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
