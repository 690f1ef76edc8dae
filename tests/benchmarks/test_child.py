"""Processes that load at once and work in turn."""

from __future__ import annotations

import sys

from benchmarks.child import Child

SUMS = """
import json, sys
first = json.loads(sys.stdin.readline())
print('"ready"', flush=True)
print(json.dumps({"sum": first + json.loads(sys.stdin.readline())}))
"""


def test_each_is_told_who_it_is_and_later_what_to_do():
    """Two are there at once; what each was told first is its own."""
    command = [sys.executable, "-c", SUMS]
    with Child(command, first=1) as one, Child(command, first=10) as ten:
        one.wait()
        ten.wait()
        assert ten.do(5) == {"sum": 15}
        assert one.do(5) == {"sum": 6}


def test_the_last_words_of_one_that_fails():
    """They are what came of it, whether it had loaded or not."""
    with Child([sys.executable, "-c", "raise SystemExit('no module of that name')"], first={}) as broken:
        broken.wait()
        assert broken.do({}) == {"failed": "no module of that name"}
    with Child([sys.executable, "-c", ""]) as silent:
        silent.wait()
        assert silent.do({}) == {"failed": "it ended without a word"}
