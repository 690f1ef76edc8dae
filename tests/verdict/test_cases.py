"""Answers in the shapes of many providers, in words of our own, come out as they mean."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stable_openai.verdict import Answer, Reason, Scope, judge

CASES = [json.loads(line) for line in Path(__file__).with_name("cases.jsonl").read_text("utf-8").splitlines()]


def _answer(case):
    return Answer(case["status"], case.get("headers", {}), case["body"])


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_own_cases(case):
    """Reason, scope and wait are those of the case, and the scope decides whether another key is worth trying."""
    verdict = judge(_answer(case))
    assert (verdict.reason.value, verdict.scope.value, verdict.wait_s) == (
        case["reason"],
        case["scope"],
        case["wait_s"],
    )
    assert verdict.retry_elsewhere is (verdict.scope not in {Scope.NONE, Scope.ENDPOINT})


def test_each_reason_has_a_case():
    """The table of cases leaves no reason out that an answer can have."""
    told = {Reason(case["reason"]) for case in CASES}
    assert told == set(Reason) - {Reason.CONNECTION_LOST, Reason.NOT_PROVIDER}


@pytest.mark.parametrize("as_what", ["text", "bytes", "inside a message", "in a list", "cut"])
@pytest.mark.parametrize("name", ["openai style, tokens by the minute", "openai style, requests by the day"])
def test_the_same_in_every_wrapping(name, as_what):
    """A body means the same as text, as bytes, as JSON in a message, in a list, and cut at its end."""
    case = next(case for case in CASES if case["name"] == name)
    text = json.dumps(case["body"])
    body = {
        "text": text,
        "bytes": text.encode(),
        "inside a message": {"error": {"message": text, "code": 429}},
        "in a list": [case["body"]],
        "cut": text[:-2],
    }[as_what]
    verdict = judge(Answer(429, {}, body))
    assert (verdict.reason.value, verdict.scope.value, verdict.wait_s) == (
        case["reason"],
        case["scope"],
        case["wait_s"],
    )


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, "bad_request"),
        (401, "invalid_key"),
        (402, "quota_exhausted"),
        (403, "permission_denied"),
        (404, "not_found"),
        (405, "bad_request"),
        (408, "timeout"),
        (409, "bad_request"),
        (410, "not_found"),
        (413, "bad_request"),
        (415, "bad_request"),
        (422, "bad_request"),
        (424, "server_error"),
        (429, "rate_limited_unspecified"),
        (451, "region_blocked"),
        (499, "timeout"),
        (500, "server_error"),
        (501, "server_error"),
        (502, "server_error"),
        (503, "overloaded"),
        (504, "timeout"),
        (520, "server_error"),
        (522, "timeout"),
        (524, "timeout"),
        (529, "overloaded"),
        (599, "timeout"),
    ],
)
def test_what_the_status_alone_says(status, reason):
    """Without a body the status decides."""
    assert judge(Answer(status)).reason.value == reason
