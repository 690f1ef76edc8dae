"""Many streams at once through each gateway: what came, how soon, and what the worker took for it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.environments import ROOT, child_environment
from benchmarks.gateway.memory import Watched
from benchmarks.gateway.servers import DIRECT, THEIRS, cpu_seconds
from benchmarks.gateway.streams import Stream
from benchmarks.tables import table

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Size", "measure", "show", "warm_up"]


@dataclass(frozen=True)
class Size:
    """How much of it.

    Args:
        stream: What each is.
        streams: How many at once.
        theirs: The same for LiteLLM's proxy, in turn: it can't hold as many.
        begin: Seconds in which they begin, evenly.
        within: Seconds after which what has not ended is given up.
    """

    stream: Stream
    streams: int
    theirs: tuple[int, ...]
    begin: float
    within: float


def warm_up(ports: Mapping[str, int]) -> None:
    """Have each load and make what it does at its first streams."""
    for port in ports.values():
        _read(port, 5, Size(Stream(5, 100, 0.1), 5, (), 0.1, 15.0))


def measure(ports: Mapping[str, int], pids: Mapping[str, int], size: Size) -> dict[str, dict[str, Any]]:
    """What each does."""
    found = {}
    for name, port in ports.items():
        for number in size.theirs if name == THEIRS else (size.streams,):
            found[f"{name}, {number:,}"] = _row(port, pids[name], number, size, is_direct=name == DIRECT)
    return found


def _row(port: int, pid: int, number: int, size: Size, *, is_direct: bool) -> dict[str, Any]:
    before = cpu_seconds(pid)
    with Watched(pid) as memory:
        row = _read(port, number, size)
    after = cpu_seconds(pid)
    if is_direct:
        return row  # the provider's own memory is nobody's business here
    row.update(memory.found())
    if "peak_mib" in row:
        row["kib_each"] = round((row["peak_mib"] - row["idle_mib"]) * 1_024 / max(row["at_once"], 1), 1)
    if before is not None and after is not None:
        row["cpu_s"] = round(after - before, 2)
    return row


def _read(port: int, number: int, size: Size) -> dict[str, Any]:
    """Have a process of its own read so many."""
    stream = size.stream
    told = (port, number, stream.events, stream.size, stream.seconds, size.begin, size.within)
    command = [sys.executable, "-m", "benchmarks.gateway.many", *map(str, told)]
    done = subprocess.run(command, check=True, env=child_environment(), cwd=ROOT, capture_output=True, text=True)
    return {name: round(value, 2) for name, value in json.loads(done.stdout).items()}


def show(rows: Mapping[str, Mapping[str, Any]], stream: Stream) -> None:
    """Print the table."""
    print(f"Streams at once: {stream.events} events of {stream.size} characters each, over {stream.seconds:g} s")
    head = [
        "", "at once", "whole", "unchanged", "first event", "p99", "all after", "CPU", "memory", "at most", "a stream",
    ]  # fmt: skip
    lines = [
        [
            name, f"{row['at_once']:,}", f"{row['whole']:,}", f"{row['unchanged']:,}",
            _with("ms", row.get("first_ms")), _with("ms", row.get("first_p99_ms")), _with("s", row["seconds"]),
            _with("s", row.get("cpu_s")), _with("MiB", row.get("idle_mib")), _with("MiB", row.get("peak_mib")),
            _with("KiB", row.get("kib_each")),
        ]
        for name, row in rows.items()
    ]  # fmt: skip
    print(table(head, lines))


def _with(unit: str, value: float | None) -> str:
    return "" if value is None else f"{value:,g} {unit}"
