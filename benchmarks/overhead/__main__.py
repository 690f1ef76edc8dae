"""Measure the overhead, and write what was found as JSON: a child of ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.environments import OLD, child_environment, versions

from . import sections
from .report import show
from .scale import TASKS as SCALES


def _scale(name: str, *, quick: bool) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.overhead.scale", name, *(["--quick"] if quick else [])]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=child_environment())
    return json.loads(done.stdout)


def main() -> None:
    """Run the parts."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="*", default=["kinds", "keys", "threads", "tasks", "routers", "scale"])
    options = parser.parse_args()
    pace = sections.Pace(rounds=4, seconds=0.01, quick=True) if options.quick else sections.Pace()
    found: dict[str, Any] = {
        "about": {
            "versions": versions(),
            "processors": os.cpu_count(),
            "collector": f"{'on' if gc.isenabled() else 'off'}, thresholds {gc.get_threshold()}",
            "quick": options.quick,
        }
    }
    for name in ("kinds", "keys", "threads", "tasks"):
        if name in options.only:
            found[name] = getattr(sections, name)(pace)
            show(name, found[name])
    if "routers" in options.only:
        found["routers"] = sections.routers(pace, OLD.python, sys.executable)
        show("routers", found["routers"])
    if "scale" in options.only:
        found["scale"] = {name: _scale(name, quick=options.quick) for name in SCALES}
        show("scale", found["scale"])
    if options.out is not None:
        options.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
