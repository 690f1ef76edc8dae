"""Our gateway, one worker: ``python -m benchmarks.gateway.ours PORT UPSTREAM_PORT``."""

from __future__ import annotations

import asyncio
import os
import sys

from benchmarks.gateway.servers import TOKEN
from stable_openai import KeyPool
from stable_openai.gateway import GatewayOptions, create_app, serve
from stable_openai.serving import Address, Tokens


async def main(port: int, upstream: int) -> None:
    """Serve until the process is ended. The keys have limits, so that all of the pool's counting is paid for."""
    keys = [f"sk-benchmark-{number:04d}" for number in range(10)]
    with KeyPool(keys, rpm=10_000_000, tpm=1_000_000_000) as pool:
        app = create_app(
            pool, GatewayOptions(base_url=f"http://127.0.0.1:{upstream}/v1", tokens=Tokens([os.environ[TOKEN]]))
        )
        async with serve(app, Address("127.0.0.1", port)):
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
