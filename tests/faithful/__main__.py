"""openai's own test-suite with our clients in place of its own: what passed with its own must pass with ours.

    python tests/faithful                      # the openai that this interpreter has
    python tests/faithful --openai 2.54.0      # another one
    python tests/faithful --full               # with openai's own classes too, all of it, for the figures

The suite comes with openai's source distribution; it is fetched, never kept. It runs in an environment of its own
with our classes; what doesn't pass there runs again with openai's own. A test that passes with openai's own classes,
fails twice with ours and isn't listed in expected.py is a fault, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import sys
import tempfile
import time
from pathlib import Path

from expected import reason
from outcomes import Outcome, count, lost, read
from suite import Suite

_LIMIT = 900.0  # seconds for one run of the suite; a test that hangs ends by itself after one minute


def main() -> int:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="faithful-") as made:
        folder = Path(options.folder or made).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        version = options.openai or importlib.metadata.version("openai")
        _say(f"openai {version}: fetching its suite")
        suite = Suite.prepare(version, folder, options.workers)
        modules = options.modules or suite.modules()
        ours = _run(suite, options.clients, modules, folder / "ours.jsonl")
        if options.full:
            theirs = _run(suite, "openai", modules, folder / "theirs.jsonl")
        else:
            rest = [test for test, outcome in ours.items() if outcome.state != "passed"]
            theirs = _run(suite, "openai", rest, folder / "theirs.jsonl") if rest else {}
        return _verdict(suite, options.clients, theirs, ours, folder)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python tests/faithful", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--openai", metavar="VERSION", help="the version of openai; default: the installed one")
    parser.add_argument("--clients", default="stable_openai", help="the module to take the clients from")
    parser.add_argument("--full", action="store_true", help="run everything with openai's own classes too")
    parser.add_argument("--folder", help="keep environment, suite, logs and outcomes here, and use them again")
    parser.add_argument("--workers", type=int, default=2, help="how many processes run tests")
    parser.add_argument("modules", nargs="*", help="modules or ids of tests; default: all that have to do with clients")
    return parser.parse_args()


def _run(suite: Suite, clients: str, tests: list[str], report: Path) -> dict[str, Outcome]:
    began = time.monotonic()
    suite.run(clients, tests, report, limit=_LIMIT)
    outcomes = read(report)
    figures = ", ".join(f"{number:6} {state}" for state, number in count(outcomes).items())
    _say(f"with the clients of {clients:14} {figures}   ({time.monotonic() - began:.0f} s)")
    return outcomes


def _verdict(suite: Suite, clients: str, theirs: dict[str, Outcome], ours: dict[str, Outcome], folder: Path) -> int:
    differing = lost(theirs, ours)
    expected = {test: why for test in differing if (why := reason(test)) is not None}
    suspects = [test for test in differing if test not in expected]
    again = _run(suite, clients, suspects, folder / "again.jsonl") if suspects else {}
    faults = [test for test in suspects if again.get(test, Outcome("absent")).state != "passed"]
    for test, why in expected.items():
        _say(f"differs as it should: {test}: {why}")
    for test in sorted(set(suspects) - set(faults)):
        _say(f"unsteady: {test}: {differing[test].why}")
    for test in faults:
        _say(f"FAULT {test}: {differing[test].state}: {differing[test].why}")
    _say(f"{len(faults)} faults, {len(expected)} expected differences, {len(suspects) - len(faults)} unsteady")
    return 1 if faults else 0


def _say(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
