"""The comparison of two runs of openai's suite, by reports of a few lines."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def outcomes():
    spec = importlib.util.spec_from_file_location("faithful_outcomes_read", HERE / "outcomes.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def report(path, *phases):
    lines = [
        json.dumps({"id": test, "when": when, "outcome": outcome, "seconds": 0.5, "why": "because"})
        for test, when, outcome in phases
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_a_test_is_what_its_worst_phase_is(outcomes, tmp_path):
    fine = [("a", "setup", "passed"), ("a", "call", "passed"), ("a", "teardown", "passed")]
    late = [("b", "setup", "passed"), ("b", "call", "passed"), ("b", "teardown", "failed")]
    skipped = [("c", "setup", "skipped"), ("c", "teardown", "passed")]
    both = [("d", "setup", "skipped"), ("d", "teardown", "failed")]
    failed = [("e", "call", "failed"), ("e", "teardown", "passed")]
    found = outcomes.read(report(tmp_path / "report", *fine, *late, *skipped, *both, *failed))
    states = {test: outcome.state for test, outcome in found.items()}
    assert states == {"a": "passed", "b": "failed", "c": "skipped", "d": "failed", "e": "failed"}
    assert found["a"].seconds == 1.5
    assert outcomes.count(found) == {"passed": 1, "failed": 3, "skipped": 1}


def test_only_what_passed_before_can_be_lost(outcomes):
    state = outcomes.Outcome
    theirs = {"a": state("passed"), "b": state("passed"), "c": state("passed"), "d": state("failed")}
    ours = {"a": state("passed"), "b": state("skipped", "no reason"), "d": state("failed"), "new": state("failed")}
    assert outcomes.lost(theirs, ours) == {"b": state("skipped", "no reason"), "c": state("absent", "not collected")}
