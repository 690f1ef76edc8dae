"""Measure what a gateway costs, beside LiteLLM's proxy: ``python -m benchmarks.gateway [--quick] [--out FILE]``.

One provider that answers at once; before it each gateway with one worker, ten keys and limits. Each in turn, round by
round: how many requests it answers at 50 connections that never rest, and what a request takes at 50 connections and a
rate that none of them is full at. All processes share the machine's cores, so what a worker could do with a core of its
own is told by the processor's time that each request takes of it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from benchmarks.environments import ROOT, child_environment, versions
from benchmarks.gateway.servers import (
    TOKEN,
    cpu_seconds,
    free_port,
    litellm_command,
    ours_command,
    server,
    upstream_command,
)
from benchmarks.tables import table

CONNECTIONS: Final = 50
DIRECT: Final = "direct"
OURS: Final = "stable_openai"
THEIRS: Final = "LiteLLM proxy"
_CALM: Final = 0.4  # of what it can do


def load(port: int, seconds: float, rate: float | None = None) -> dict[str, Any]:
    """Have a process of its own ask for so long."""
    command = [sys.executable, "-m", "benchmarks.gateway.load", str(port), str(CONNECTIONS), str(seconds)]
    command += [] if rate is None else [str(rate)]
    done = subprocess.run(command, check=True, env=child_environment(), cwd=ROOT, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def measure(ports: dict[str, int], pids: dict[str, int], *, rounds: int, seconds: float, rate: float) -> dict[str, Any]:
    """What each does, round by round."""
    full: dict[str, list[dict[str, Any]]] = {name: [] for name in ports}
    calm: dict[str, list[dict[str, Any]]] = {name: [] for name in ports}
    # What is made at the first requests is made here; and who is full at that rate is asked more seldom.
    rates = {name: min(rate, load(port, 0.7)["per_second"] * _CALM) for name, port in ports.items()}
    for number in range(rounds):
        turn = number % len(ports)
        for name in [*list(ports)[turn:], *list(ports)[:turn]]:
            before = cpu_seconds(pids[name])
            found = load(ports[name], seconds)
            after = cpu_seconds(pids[name])
            if before is not None and after is not None:
                found["cpu_ms"] = (after - before) / max(found["requests"], 1) * 1000
            full[name].append(found)
            calm[name].append(load(ports[name], seconds, rates[name]))
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


def show(found: dict[str, Any]) -> None:
    """Print it."""
    rows = found["rows"]
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
    else:
        print(f"  {THEIRS}: not installed here (pip install 'litellm[proxy]' into the peers' environment)")


def main() -> None:
    """Run it all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway", description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    options = parser.parse_args()
    os.environ[TOKEN] = f"sk-{secrets.token_hex(32)}"
    size: dict[str, Any] = {
        "rounds": 1 if options.quick else 3,
        "seconds": 1.0,
        "rate": 100.0,
    }
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        ports = {name: free_port() for name in (DIRECT, OURS, THEIRS)}
        pids = {DIRECT: stack.enter_context(server(upstream_command(ports[DIRECT]), ports[DIRECT]))}
        pids[OURS] = stack.enter_context(server(ours_command(ports[OURS], ports[DIRECT]), ports[OURS]))
        theirs = litellm_command(ports[THEIRS], ports[DIRECT], folder)
        if theirs is None:
            del ports[THEIRS]
        else:
            pids[THEIRS] = stack.enter_context(server(theirs, ports[THEIRS]))
        rows = measure(ports, pids, **size)
    found = {
        "about": {"versions": versions(), "cores": os.cpu_count(), "connections": CONNECTIONS, **size},
        "rows": rows,
    }
    show(found)
    if options.out is not None:
        options.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
