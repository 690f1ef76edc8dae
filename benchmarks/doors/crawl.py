"""One crawl through one door, in a process of its own: told by JSON on stdin, it tells what came of it on stdout.

It says when it has loaded, and then waits for what to crawl.
"""

from __future__ import annotations

import collections
import contextlib
import json
import statistics
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import openai

from stable_openai import InjectionError, Key, KeyManager, share_connections, stable

if TYPE_CHECKING:
    from collections.abc import Callable

    from openai.types.chat import ChatCompletion

__all__ = ["AS_IS", "INJECTED", "SHARED", "crawl"]

AS_IS = "a client per call"
SHARED = "stable_openai, share_connections()"
INJECTED = "stable_openai, injected client"


def _ask(client: openai.OpenAI, prompt: str) -> ChatCompletion:
    return client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": prompt}])


def door(name: str, base_url: str) -> Callable[[str], ChatCompletion]:
    """The decorated function; the first two are the same function, as it stands in many a crawler."""
    if name == INJECTED:

        @stable
        def ask_injected(prompt: str, *, client: openai.OpenAI) -> ChatCompletion:
            return _ask(client, prompt)

        return ask_injected

    @stable
    def ask(prompt: str, api_key: str = "") -> ChatCompletion:
        return _ask(openai.OpenAI(api_key=api_key, base_url=base_url), prompt)

    return ask


def crawl(spec: dict[str, Any]) -> dict[str, Any]:
    """Ask every prompt once, with so many threads."""
    KeyManager([Key(secret, base_url=spec["base_url"]) for secret in spec["keys"]])
    with share_connections() if spec["door"] == SHARED else contextlib.nullcontext():
        try:
            ask = door(spec["door"], spec["base_url"])
        except InjectionError as error:
            return {"skipped": str(error)}
        ask("warm up")  # imports, and the TLS context where there is but one
        todo = collections.deque(f"question {number}" for number in range(spec["requests"]))
        latencies: list[float] = []
        errors: collections.Counter[str] = collections.Counter()

        def work() -> None:
            while True:
                try:
                    prompt = todo.popleft()
                except IndexError:
                    return
                began = time.perf_counter()
                try:
                    right = ask(prompt).choices[0].message.content == f"You said: {prompt}"
                except Exception as error:  # noqa: BLE001  # it is counted
                    errors[type(error).__name__] += 1
                else:
                    errors["wrong answer"] += not right
                    latencies.append(time.perf_counter() - began)

        threads = [threading.Thread(target=work) for _ in range(spec["threads"])]
        cpu, started = time.process_time(), time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    latencies.sort()
    return {
        "answered": len(latencies),
        "errors": {kind: count for kind, count in errors.items() if count},
        "seconds": round(seconds, 3),
        "per_second": round(len(latencies) / seconds, 1),
        "cpu_ms_per_call": round(1000 * cpu / max(1, spec["requests"]), 2),
        "p50_ms": round(1000 * statistics.median(latencies), 1) if latencies else None,
        "p99_ms": round(1000 * latencies[int(len(latencies) * 0.99)], 1) if latencies else None,
    }


if __name__ == "__main__":
    print(json.dumps("ready"), flush=True)
    print(json.dumps(crawl(json.loads(sys.stdin.readline()))))
