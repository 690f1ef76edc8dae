"""Requests with short answers: how many a worker answers, and what each takes more than going direct."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.environments import ROOT, child_environment
from benchmarks.gateway.servers import DIRECT, OURS, THEIRS, cpu_seconds
from benchmarks.tables import table

__all__ = ["CONNECTIONS", "Pace", "measure", "show"]

CONNECTIONS: Final = 50
_CALM: Final = 0.4  # of what it can do


@dataclass(frozen=True)
class Pace:
    """How much of it.

    Args:
        rounds: How often each has its turn.
        seconds: What a turn lasts.
        rate: Requests a second where nobody is to be full.
    """

    rounds: int
    seconds: float
    rate: float


def load(port: int, seconds: float, rate: float | None = None) -> dict[str, Any]:
    """Have a process of its own ask for so long."""
    command = [sys.executable, "-m", "benchmarks.gateway.load", str(port), str(CONNECTIONS), str(seconds)]
    command += [] if rate is None else [str(rate)]
    done = subprocess.run(command, check=True, env=child_environment(), cwd=ROOT, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def measure(ports: dict[str, int], pids: dict[str, int], pace: Pace) -> dict[str, Any]:
    """What each does, round by round."""
    full: dict[str, list[dict[str, Any]]] = {name: [] for name in ports}
    calm: dict[str, list[dict[str, Any]]] = {name: [] for name in ports}
    # What is made at the first requests is made here; and who is full at that rate is asked more seldom.
    rates = {
        name: min(pace.rate, load(port, min(0.7, pace.seconds))["per_second"] * _CALM) for name, port in ports.items()
    }
    for number in range(pace.rounds):
        turn = number % len(ports)
        for name in [*list(ports)[turn:], *list(ports)[:turn]]:
            before = cpu_seconds(pids[name])
            found = load(ports[name], pace.seconds)
            after = cpu_seconds(pids[name])
            if before is not None and after is not None:
                found["cpu_ms"] = (after - before) / max(found["requests"], 1) * 1000
            full[name].append(found)
            calm[name].append(load(ports[name], pace.seconds, rates[name]))
    return {name: _row(name, full[name], calm, rates[name]) for name in ports}


def _row(name: str, full: list[dict[str, Any]], calm: dict[str, list[dict[str, Any]]], rate: float) -> dict[str, Any]:
    added = [one["median_ms"] - two["median_ms"] for one, two in zip(calm[name], calm[DIRECT], strict=True)]
    row = {
        "per_second": round(statistics.median(one["per_second"] for one in full)),
        "full_median_ms": round(statistics.median(one["median_ms"] for one in full), 2),
        "full_p99_ms": round(statistics.median(one["p99_ms"] for one in full), 2),
        "failed": sum(one["failed"] for one in (*full, *calm[name])),
        "rate": round(rate, 1),
        "median_ms": round(statistics.median(one["median_ms"] for one in calm[name]), 2),
        "p99_ms": round(statistics.median(one["p99_ms"] for one in calm[name]), 2),
        "added_ms": round(statistics.median(added), 2),
    }
    if all("cpu_ms" in one for one in full):
        row["cpu_ms"] = round(statistics.median(one["cpu_ms"] for one in full), 3)
        row["per_core"] = round(1000 / row["cpu_ms"]) if row["cpu_ms"] else None
    return row


def show(rows: dict[str, dict[str, Any]]) -> None:
    """Print the table."""
    print(f"A worker at {CONNECTIONS} connections that never rest; then at a rate that it is not full at")
    head = ["", "a second", "median", "p99", "CPU each", "per core", "rate", "median", "p99", "added"]
    lines = [
        [
            name, row["per_second"], f"{row['full_median_ms']} ms", f"{row['full_p99_ms']} ms",
            f"{row.get('cpu_ms', '?')} ms", row.get("per_core", "?"), row["rate"],
            f"{row['median_ms']} ms", f"{row['p99_ms']} ms", f"{row['added_ms']} ms",
        ]
        for name, row in rows.items()
    ]  # fmt: skip
    print(table(head, lines))
    if THEIRS in rows:
        ratio = rows[OURS]["per_second"] / max(rows[THEIRS]["per_second"], 1)
        print(f"  {ratio:.1f} times the requests of LiteLLM's proxy per second and worker")
