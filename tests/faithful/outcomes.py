"""What became of each test, and what differs between two runs."""

from __future__ import annotations

import collections
import dataclasses
import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ABSENT: Final = "absent"
_BADNESS: Final = {"passed": 0, "skipped": 1, "failed": 2}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """``state`` is passed, failed, skipped or absent; ``why`` says why not passed."""

    state: str
    why: str = ""
    seconds: float = 0.0


def read(report: Path) -> dict[str, Outcome]:
    """The outcome of each test in a report of the plugin faithful_outcomes, by id."""
    outcomes: dict[str, Outcome] = {}
    for line in report.read_text(encoding="utf-8").splitlines():
        phase = json.loads(line)
        before = outcomes.get(phase["id"], Outcome("passed"))
        now = Outcome(phase["outcome"], phase.get("why", ""))
        worst = now if _BADNESS[now.state] > _BADNESS[before.state] else before
        outcomes[phase["id"]] = dataclasses.replace(worst, seconds=before.seconds + phase["seconds"])
    return outcomes


def count(outcomes: Mapping[str, Outcome]) -> dict[str, int]:
    """How many passed, failed and were skipped."""
    counted = collections.Counter(outcome.state for outcome in outcomes.values())
    return {state: counted[state] for state in ("passed", "failed", "skipped")}


def lost(theirs: Mapping[str, Outcome], ours: Mapping[str, Outcome]) -> dict[str, Outcome]:
    """What passes with openai's own classes and doesn't with ours, with what became of it there."""
    return {
        test: ours.get(test, Outcome(ABSENT, "not collected"))
        for test, outcome in theirs.items()
        if outcome.state == "passed" and (test not in ours or ours[test].state != "passed")
    }
