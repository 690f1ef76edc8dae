"""The memory of many items, each contender in a process of its own; as a program it is one of these."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.environments import ROOT, child_environment
from benchmarks.tables import table

from .contenders import IN_TASKS, IN_THREADS, go_through

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["measure", "show"]

_KIB: Final = 1024
_STATUS: Final = Path("/proc/self/status")


def measure(count: int) -> dict[str, dict[str, Any]]:
    """The resident memory at the start, half-way, at the end, and at most, in MiB; empty where nothing tells it."""
    if not _STATUS.exists():
        return {}
    found = {}
    for name in (*IN_THREADS, *IN_TASKS):
        command = [sys.executable, "-m", "benchmarks.bulk.memory", name, str(count)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=child_environment(), cwd=ROOT)
        found[name] = json.loads(done.stdout)
    return found


def show(rows: Mapping[str, Mapping[str, Any]], count: int) -> None:
    """Print the table."""
    lines = [[name, *(f"{row[when]} MiB" for when in ("start", "half", "end", "most"))] for name, row in rows.items()]
    print(table([f"{count:,} items", "at the start", "half-way", "at the end", "at most"], lines))
    if not rows:
        print("  skipped: there is no /proc here")
    print(flush=True)


def _resident(field: str = "VmRSS") -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(field))
    return round(int(line.split()[1]) / _KIB)


def _main() -> None:
    name, count = sys.argv[1], int(sys.argv[2])
    found = {"start": _resident()}

    def see(number: int) -> None:
        if number == count // 2:
            found["half"] = _resident()
        elif number == count:
            found["end"] = _resident()

    with tempfile.TemporaryDirectory() as folder:
        go_through(name, iter(range(count)), folder, see)
    print(json.dumps({**found, "most": _resident("VmHWM")}))


if __name__ == "__main__":
    _main()
