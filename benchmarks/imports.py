"""What importing takes, in fresh interpreters and in turn: a child of ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from benchmarks.environments import child_environment, is_there, versions
from benchmarks.tables import table

__all__ = ["measure"]

NAMES: Final = {
    "import stable_openai": "stable_openai",
    "from stable_openai import KeyPool, stable": "stable_openai",
    "import tenacity": "tenacity",
    "import stamina": "stamina",
    "import backoff": "backoff",
    "import limits": "limits",
    "import pyrate_limiter": "pyrate_limiter",
    "import aiolimiter": "aiolimiter",
    "import wrapt": "wrapt",
    "import openai": "openai",
    "import litellm": "litellm",
}
_SLOWEST: Final = "litellm"
_SLOW: Final = ("openai", _SLOWEST)
_CODE: Final = """
import sys, time
before = len(sys.modules)
started = time.process_time()
{statement}
print((time.process_time() - started) * 1000, len(sys.modules) - before)
"""


def measure(rounds: int, slow_rounds: int, without: tuple[str, ...] = ()) -> dict[str, dict[str, Any]]:
    """Import each in turn, ``rounds`` times; those that take long fewer times, and some not at all."""
    there = {name: module for name, module in NAMES.items() if module not in without and is_there(module)}
    taken: dict[str, list[tuple[float, int]]] = {name: [] for name in there}
    for name in taken:
        _import(name)  # once for the compiled files
    for number in range(rounds):
        for name, found in taken.items():
            if number < slow_rounds or NAMES[name] not in _SLOW:
                found.append(_import(name))
    rows: dict[str, dict[str, Any]] = {}
    for name, found in taken.items():
        rows[name] = {
            "ms": round(statistics.median(took for took, _ in found), 2),
            "modules": found[0][1],
        }
        if "import tenacity" in taken:
            pairs = zip(found, taken["import tenacity"], strict=False)
            rows[name]["of_tenacity"] = round(statistics.median(one[0] / two[0] for one, two in pairs), 3)
    return rows


def _import(statement: str) -> tuple[float, int]:
    code = _CODE.format(statement=statement)
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True, env=child_environment()
    )
    took, modules = done.stdout.split()[-2:]
    return float(took), int(modules)


def main() -> None:
    """Measure, show, and write JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.imports", description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    rows = measure(3, 1, (_SLOWEST,)) if options.quick else measure(11, 2)
    lines = [[name, f"{row['ms']:.1f} ms", row["modules"], row.get("of_tenacity", "")] for name, row in rows.items()]
    print(table(["Importing", "time", "modules", "of tenacity"], lines))
    print(f"  left out with --quick: {_SLOWEST}\n" if options.quick else "", flush=True)
    if options.out is not None:
        options.out.write_text(json.dumps({"about": {"versions": versions()}, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
