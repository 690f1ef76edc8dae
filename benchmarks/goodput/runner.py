"""One crawl by one client, in a process of its own: told by JSON on stdin, it tells what came of it on stdout.

First it is told who it is; it says when it has loaded that, and then waits for what to crawl.

It is run by its path, not as a module of the package, so that the old stable-openai can be run by it as well.
"""

from __future__ import annotations

import collections
import json
import os
import statistics
import sys
import threading
import time
from typing import Any

from crawlers import CRAWLERS, load, warm

__all__: list[str] = []


def crawl(spec: dict[str, Any]) -> dict[str, Any]:
    """Ask every prompt once, with so many threads."""
    ask = CRAWLERS[spec["client"]](spec)
    warm(spec["base_url"])
    todo = collections.deque(f"question {number}" for number in range(spec["requests"]))
    answered: set[str] = set()
    errors: collections.Counter[str] = collections.Counter()
    latencies: list[float] = []
    deadline = time.monotonic() + spec["deadline"]

    def work() -> None:
        while time.monotonic() < deadline:
            try:
                prompt = todo.popleft()
            except IndexError:
                return
            started = time.perf_counter()
            try:
                answer = ask(prompt)
                if answer is None:
                    errors["None returned"] += 1
                elif answer.choices[0].message.content == f"You said: {prompt}":
                    answered.add(prompt)
                    latencies.append(time.perf_counter() - started)
                else:
                    errors["wrong answer"] += 1
            except Exception as error:  # noqa: BLE001  # whatever it is, the request is lost
                errors[type(error).__name__] += 1

    threads = [threading.Thread(target=work, daemon=True) for _ in range(spec["threads"])]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline + 5.0 - time.monotonic()))
    took = time.perf_counter() - started
    lost = spec["requests"] - len(answered)
    if lost > sum(errors.values()):
        errors["not finished in time"] = lost - sum(errors.values())
    quantiles = statistics.quantiles(latencies, n=100) if len(latencies) > 1 else [0.0] * 99
    return {
        "seconds": round(took, 3),
        "answered": len(answered),
        "lost": lost,
        "errors": dict(errors),
        "p50_s": round(quantiles[49], 3),
        "p99_s": round(quantiles[98], 3),
    }


def _main() -> None:
    out, sys.stdout = sys.stdout, sys.stderr  # what a client prints is no answer
    first = json.loads(sys.stdin.readline())
    load(first["client"], first["scale"])
    print(json.dumps("ready"), file=out, flush=True)
    print(json.dumps(crawl(json.loads(sys.stdin.readline()))), file=out, flush=True)
    os._exit(0)  # the old package has a thread that never ends


if __name__ == "__main__":
    _main()
