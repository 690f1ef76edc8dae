"""Measure ``map`` and ``amap``, and write what was found as JSON: a child of ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.environments import versions

from . import memory, overhead
from .contenders import WORKERS

__all__ = ["main", "show"]


def show(found: dict[str, Any]) -> None:
    """Print the tables."""
    overhead.show(found["overhead"])
    memory.show(found["memory"], found["about"]["items"])


def main() -> None:
    """Run it all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bulk", description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, fewer items")
    options = parser.parse_args()
    items = 20_000 if options.quick else 100_000
    rounds, each = (3, 4_000) if options.quick else (5, 20_000)
    found: dict[str, Any] = {
        "about": {"versions": versions(), "workers": WORKERS, "items": items, "items_timed": each},
        "overhead": overhead.measure(rounds, each),
        "memory": memory.measure(items),
    }
    show(found)
    if options.out is not None:
        options.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
