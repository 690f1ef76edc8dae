"""Recorded answers of real providers, read where they lie; the thresholds are what this table reaches."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from stable_openai.verdict import Answer, judge, observe_limits

RIGHT_VERDICTS = 1.0
RIGHT_WAITS = 1.0


def _folder():
    named = os.environ.get("STABLE_OPENAI_RECORDED")
    places = (
        [Path(named)] if named else [up / "shared" / "provider_responses" for up in Path(__file__).resolve().parents]
    )
    return next((place for place in places if (place / "errors.jsonl").is_file()), None)


FOLDER = _folder()
pytestmark = pytest.mark.skipif(FOLDER is None, reason="the recorded answers are not here: set STABLE_OPENAI_RECORDED")


def _lines(name):
    return [json.loads(line) for line in (FOLDER / name).read_text("utf-8").splitlines() if line.strip()]


def test_recorded_errors():
    """Reason, scope and retry_elsewhere together, and the wait, agree with the recorded judgement."""
    recorded = _lines("errors.jsonl")
    wrong, wrong_waits = [], []
    for line in recorded:
        expected = line["expected"]
        verdict = judge(Answer(line["status"], line["headers"], line["body"]))
        got = {"reason": verdict.reason.value, "scope": verdict.scope.value, "retry_elsewhere": verdict.retry_elsewhere}
        wrong += [
            f"{line['id']}: {key} {value}, not {expected[key]}" for key, value in got.items() if value != expected[key]
        ]
        if verdict.wait_s != pytest.approx(expected["wait_s"], abs=1e-6):
            wrong_waits.append(f"{line['id']}: wait {verdict.wait_s}, not {expected['wait_s']}")
    bad = {entry.split(":")[0] for entry in wrong}
    assert 1 - len(bad) / len(recorded) >= RIGHT_VERDICTS, "\n".join(wrong)
    assert 1 - len(wrong_waits) / len(recorded) >= RIGHT_WAITS, "\n".join(wrong_waits)


def test_recorded_success_headers():
    """Each set of headers that names a limit gives one; numbers are sane; the known periods are found."""
    for line in _lines("success_headers.jsonl"):
        limits = observe_limits(line["headers"])
        counts_other_things = all("requests" not in name and "token" not in name for name in line["headers"])
        assert limits or counts_other_things, line["id"]
        for limit in limits:
            assert limit.limit is None or 0 < limit.limit < 10**12, line["id"]
            assert limit.remaining is None or limit.limit is None or 0 <= limit.remaining <= limit.limit, line["id"]
            assert limit.period_s in {None, 10.0, 60.0, 300.0, 3600.0, 86_400.0, 2_592_000.0}, line["id"]
            assert (limit.period_s is None) == (limit.evidence == ""), line["id"]
            if limit.reset_s is not None and limit.period_s is not None:
                assert limit.reset_s <= limit.period_s * 1.01, line["id"]


def test_openai_periods_are_inferred():
    """Of OpenAI's recorded sets every limit of which something is used gets its period."""
    for line in _lines("success_headers.jsonl"):
        if line["provider"] == "openai":
            assert all(limit.period_s for limit in observe_limits(line["headers"])), line["id"]
