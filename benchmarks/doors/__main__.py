"""Run the crawl through each door, and write what was found as JSON: a child of ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
from pathlib import Path
from typing import Any, Final

from benchmarks.child import Child
from benchmarks.environments import versions
from benchmarks.goodput.provider import Host
from benchmarks.tables import table
from stable_openai.simulator import equal_keys

from .crawl import AS_IS, INJECTED, SHARED

__all__ = ["main", "run", "show"]

DOORS: Final = (AS_IS, SHARED, INJECTED)
LATENCY_S: Final = 0.02
KEYS: Final = 10
HEAD: Final = ("64 threads over 20 ms", "answered", "time", "a second", "CPU a call", "p50", "p99", "times the first")


def run(requests: dict[str, int], threads: int) -> dict[str, dict[str, Any]]:
    """So many requests through each door, in turn; each with a provider and a process of its own, loaded before."""
    keys = equal_keys(KEYS)
    with contextlib.ExitStack() as stack:
        command = [sys.executable, "-m", "benchmarks.doors.crawl"]
        children = {door: stack.enter_context(Child(command)) for door in requests}
        hosts = {door: stack.enter_context(Host({"latency_s": LATENCY_S}, keys)) for door in requests}
        for child in children.values():
            child.wait()
        spec = {"keys": [key.secret for key in keys], "threads": threads}
        return {
            door: children[door].do({**spec, "door": door, "base_url": hosts[door].base_url, "requests": number})
            for door, number in requests.items()
        }


def compare(rounds: list[dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Of each door the run of median throughput, and how many times the first one's that is, round by round."""
    rows = {}
    for door in rounds[0]:
        runs = [found[door] for found in rounds]
        whole = [one for one in runs if "per_second" in one]
        row = dict(sorted(whole, key=lambda one: one["per_second"])[len(whole) // 2] if whole else runs[0])
        ratios = [
            found[door]["per_second"] / found[AS_IS]["per_second"]
            for found in rounds
            if "per_second" in found[door] and found[AS_IS].get("per_second")
        ]
        if ratios:
            row["times_the_first"] = round(statistics.median(ratios), 1)
        rows[door] = row
    return rows


def show(rows: dict[str, dict[str, Any]]) -> None:
    """Print the table."""
    lines = []
    for door, row in rows.items():
        if "per_second" in row:
            lost = (
                f" ({', '.join(f'{kind} {count}' for kind, count in row['errors'].items())})" if row["errors"] else ""
            )
            times = row.get("times_the_first", "")
            lines.append(
                [
                    door,
                    f"{row['answered']}{lost}",
                    f"{row['seconds']:.2f} s",
                    f"{row['per_second']:.0f}",
                    f"{row['cpu_ms_per_call']:.1f} ms",
                    f"{row['p50_ms']:.0f} ms",
                    f"{row['p99_ms']:.0f} ms",
                    times,
                ]
            )
    print(table(HEAD, lines))
    for door, row in rows.items():
        if "per_second" not in row:
            print(f"  {door}: {'skipped: ' + row['skipped'] if 'skipped' in row else 'failed: ' + row['failed']}")
    print(flush=True)


def main() -> None:
    """Run the doors in turn."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.doors", description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--quick", action="store_true", help="fewer requests")
    parser.add_argument(
        "--requests", type=int, help="default: 1,000; with --quick 400, of which a client per call has a third"
    )
    parser.add_argument("--threads", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    requests = options.requests or (400 if options.quick else 1_000)
    each = dict.fromkeys(DOORS, requests)
    if options.quick and not options.requests:
        each[AS_IS] = requests // 3  # it is compared by the second, and takes ten times as long
    rounds = [run(each, options.threads) for _ in range(options.rounds)]
    about = {"versions": versions(), "requests": requests, "threads": options.threads, "latency_s": LATENCY_S}
    found = {"about": about, "rows": compare(rounds), "rounds": rounds}
    show(found["rows"])
    if options.out is not None:
        options.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
