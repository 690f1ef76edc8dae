"""Scale and fairness, each in a process of its own: a million calls, 100,000 keys, 64 waiting threads, latency."""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import statistics
import sys
import threading
import time
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.goodput.provider import Host
from stable_openai import KeyPool, Limits, Window, stable

from .functions import EMPTY
from .ours import make_keys

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TASKS", "fairness", "keys", "latency", "million"]

MEGABYTE: Final = 1_000_000
BLOCK: Final = 150


def resident() -> float:
    """The memory of this process in megabytes; where the system does not tell, the most that it ever was."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MEGABYTE
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / MEGABYTE if sys.platform == "darwin" else most * 1024 / MEGABYTE


def million(*, quick: bool) -> dict[str, Any]:
    """A million calls through one pool: memory stays flat, counters are exact."""
    calls, keys = 100_000 if quick else 1_000_000, 100
    pool = KeyPool(make_keys(keys), rpm=calls, rpd=calls)
    function = stable(pool=pool)(EMPTY["function"])
    threads = 8

    def work(each: int) -> None:
        for _ in repeat(None, each):
            function()

    def part(each: int) -> None:
        workers = [threading.Thread(target=work, args=(each,)) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    part(calls // 10 // threads)
    gc.collect()
    before, started = resident(), time.perf_counter()
    part(calls * 9 // 10 // threads)
    took = time.perf_counter() - started
    gc.collect()
    status = pool.status()
    return {
        "calls": calls,
        "counted": sum(row.uses for row in status),
        "in_flight": sum(row.in_flight for row in status),
        "seconds": round(took, 2),
        "megabytes_after_a_tenth": round(before, 1),
        "megabytes_more_at_the_end": round(resident() - before, 1),
    }


def keys(*, quick: bool) -> dict[str, Any]:
    """100,000 keys: the time and the memory of building the pool, and of using each key once."""
    count = 10_000 if quick else 100_000
    secrets = make_keys(count)
    gc.collect()
    before, started = resident(), time.perf_counter()
    pool = KeyPool(secrets, rpm=500, rpd=10_000)
    built = time.perf_counter() - started
    after = resident()
    function = stable(pool=pool)(EMPTY["function"])
    started = time.perf_counter()
    for _ in repeat(None, count):
        function()
    first = time.perf_counter() - started
    return {
        "keys": count,
        "built_s": round(built, 2),
        "megabytes": round(after - before, 1),
        "first_use_us": round(first / count * 1e6, 2),
        "megabytes_when_each_was_used": round(resident() - before, 1),
    }


def fairness(*, quick: bool) -> dict[str, Any]:
    """64 threads in line for one key: how far behind its turn a caller is served."""
    window, threads, turns = Window("requests", 16, seconds=0.1), 64, 3 if quick else 8
    pool = KeyPool(make_keys(1), limits=Limits(windows=(window,)), max_wait=60)
    calls: list[tuple[float, float]] = []
    together = threading.Barrier(threads)

    @stable(pool=pool)
    def ask(api_key: str = "") -> float:  # noqa: ARG001
        return time.perf_counter()

    def work() -> None:
        together.wait()
        for _ in range(turns):
            asked = time.perf_counter()
            calls.append((asked, ask()))

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    # The n-th to ask is due when the n-th is served.
    due = sorted(served for _, served in calls)
    late = [served - turn for (_, served), turn in zip(sorted(calls), due, strict=True)]
    waits = [served - asked for asked, served in calls]
    mean = statistics.fmean(waits)
    return {
        "threads": threads,
        "calls": len(calls),
        "mean_wait_ms": round(mean * 1e3, 1),
        "longest_wait_to_mean": round(max(waits) / mean, 2),
        "latest_beyond_turn_to_mean": round(max(late) / mean, 3),
    }


def latency(*, quick: bool) -> dict[str, Any]:
    """Calls through a pool with room to spare, and directly, in turn over one connection to the simulator."""
    import openai

    from stable_openai.simulator import equal_keys

    calls = BLOCK if quick else 6 * BLOCK
    sim_keys = equal_keys(10)
    with Host({"latency_s": 0.005, "limit_headers": True}, sim_keys) as host:
        http = openai.DefaultHttpxClient(trust_env=False)
        clients = {
            key.secret: openai.OpenAI(api_key=key.secret, base_url=host.base_url, http_client=http, max_retries=0)
            for key in sim_keys
        }
        pool = KeyPool([key.secret for key in sim_keys], rpm=100_000, rpd=10_000_000)
        first = sim_keys[0].secret

        def direct(api_key: str = first) -> None:
            clients[api_key].chat.completions.create(model="m", messages=[{"role": "user", "content": "hello"}])

        @stable(pool=pool)
        def through(api_key: str = "") -> None:
            clients[api_key].chat.completions.create(model="m", messages=[{"role": "user", "content": "hello"}])

        times: dict[str, list[float]] = {"direct": [], "through": []}
        for number in range(calls + 20):
            pair: list[tuple[str, Callable[[], None]]] = [("direct", direct), ("through", through)]
            for name, function in pair if number % 2 else reversed(pair):
                started = time.perf_counter()
                function()
                if number >= 20:
                    times[name].append(time.perf_counter() - started)
    found: dict[str, Any] = {"calls": calls}
    for place in (50, 99):
        # By blocks: one hiccup of the machine then spoils one p99, and not the median of all.
        at = {name: [_quantile(block, place) for block in _blocks(values)] for name, values in times.items()}
        found[f"p{place}_direct_ms"] = round(statistics.median(at["direct"]), 3)
        ratios = [through / direct for through, direct in zip(at["through"], at["direct"], strict=True)]
        found[f"p{place}_ratio"] = round(statistics.median(ratios), 3)
    return found


def _blocks(values: list[float]) -> list[list[float]]:
    return [values[start : start + BLOCK] for start in range(0, len(values), BLOCK)]


def _quantile(values: list[float], place: int) -> float:
    return statistics.quantiles(values, n=100)[place - 1] * 1e3


TASKS: Final = {"million": million, "keys": keys, "fairness": fairness, "latency": latency}


def main() -> None:
    """Run one of them and print what was found as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead.scale")
    parser.add_argument("task", choices=sorted(TASKS))
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    print(json.dumps(TASKS[options.task](quick=options.quick)))


if __name__ == "__main__":
    main()
