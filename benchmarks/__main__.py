"""Run the benchmarks: ``python -m benchmarks [overhead] [goodput] [doors] [stores] [bulk] [gateway] [import]``.

Installs the peers in environments of their own, runs each section there, writes ``results/*.json``, prints tables and
draws ``charts/*.svg``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from benchmarks.charts import draw
from benchmarks.environments import OLD, PEERS, ROOT, child_environment

HERE: Final = Path(__file__).parent
SECTIONS: Final = {
    "overhead": "overhead",
    "goodput": "goodput",
    "doors": "doors",
    "stores": "stores",
    "bulk": "bulk",
    "gateway": "gateway",
    "import": "imports",
}


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("sections", nargs="*", help=f"{', '.join(SECTIONS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, fewer peers: under two minutes")
    parser.add_argument(
        "--no-install", action="store_true", help="install nothing: use what is there already; without the peers' own "
        "environment, this interpreter with whatever peers it has",
    )  # fmt: skip
    parser.add_argument("--real-minute", action="store_true", help="goodput in real minutes: over an hour")
    parser.add_argument("--out", type=Path, default=HERE, help="where results/ and charts/ go (default: here)")
    options = parser.parse_args()
    unknown = [section for section in options.sections if section not in SECTIONS]
    if unknown:
        parser.error(f"there is no section {unknown[0]!r}: choose from {', '.join(SECTIONS)}")
    return options


def main() -> int:
    """Run what was asked for; 1 if a section failed."""
    options = arguments()
    if not options.no_install:
        for environment in (PEERS, OLD):
            environment.install()
            if environment.missing:
                print(f"could not be installed: {', '.join(environment.missing)}")
    python = PEERS.python or sys.executable
    results = options.out / "results"
    charts = options.out / "charts" / ("quick" if options.quick else "")  # a look does not redraw what was recorded
    results.mkdir(parents=True, exist_ok=True)
    failed = False
    for section in options.sections or SECTIONS:
        out = results / f"{section}{'-quick' if options.quick else ''}.json"
        command = [python, "-m", f"benchmarks.{SECTIONS[section]}", "--out", str(out)]
        command += ["--quick"] if options.quick else []
        command += ["--minute", "60"] if options.real_minute and section == "goodput" else []
        started = time.monotonic()
        code = subprocess.run(command, check=False, env=child_environment(), cwd=ROOT).returncode
        print(f"{section}: {'failed' if code else 'done'} after {time.monotonic() - started:.0f} s\n", flush=True)
        failed = failed or bool(code)
        if not code:
            draw(section, json.loads(out.read_text()), charts)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
