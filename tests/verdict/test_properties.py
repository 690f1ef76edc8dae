"""Whatever comes, judge gives a verdict, in time, and no secret shows."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stable_openai.verdict import Answer, Reason, Verdict, judge, observe_limits

WORDS = st.sampled_from(
    [
        "error",
        "message",
        "code",
        "type",
        "model",
        "limit:",
        "3",
        "429",
        "requests",
        "per",
        "minute",
        "try",
        "again",
        "in",
        "5s",
        "tokens",
        "quota",
        "key",
        "account",
        "org-abc",
        "sk-abcdefgh12345678",
        '{"error":',
        "}",
        "[",
        "]",
        "\\",
        '"',
        "\n",
        "每分钟",
        "余额不足",
        "retry-after",
        "9e999",
        "-1",
        "nan",
        "<html>",
        "data:",
        "1,000",
        "/",
    ]
)
TEXTS = st.one_of(st.text(max_size=60), st.lists(WORDS, max_size=12).map(" ".join))
KEYS = st.sampled_from(
    ["error", "message", "code", "type", "details", "status", "metadata", "raw", "headers", "retryDelay", "x"]
)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS, st.binary(max_size=30))
BODIES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=5)),
    max_leaves=12,
)
NAMES = st.sampled_from(
    [
        "retry-after",
        "retry-after-ms",
        "date",
        "x-ratelimit-reset",
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
        "ratelimit",
        "ratelimit-policy",
        "anthropic-ratelimit-tokens-reset",
        "openai-organization",
    ]
)
HEADERS = st.dictionaries(NAMES, TEXTS, max_size=5)
STATUSES = st.one_of(st.none(), st.integers(-1, 1000), st.sampled_from([200, 400, 401, 403, 404, 413, 429, 500, 503]))


@settings(max_examples=300, deadline=None)
@given(status=STATUSES, headers=HEADERS, body=BODIES, now=st.one_of(st.none(), st.floats(0, 2e9)))
def test_any_answer_has_a_verdict(status, headers, body, now):
    """No answer makes judge raise; waits are sane; verdicts are repeatable."""
    answer = Answer(status, headers, body)
    verdict = judge(answer, now=now)
    assert isinstance(verdict, Verdict)
    assert verdict.wait_s is None or 0 <= verdict.wait_s < 4e7
    assert verdict == judge(answer, now=now)
    assert isinstance(repr(answer), str)
    for limit in observe_limits(answer, now=now):
        assert limit.limit is None or limit.limit > 0
        assert limit.reset_s is None or limit.reset_s >= 0


@settings(max_examples=150, deadline=None)
@given(status=STATUSES, body=BODIES, tail=st.text("abcdefgh0123456789", min_size=12, max_size=40), field=KEYS)
def test_no_key_shows(status, body, tail, field):
    """A key in any field of the body is in no field of the verdict."""
    key = f"sk-{tail}"
    for wrapped in ({"error": {field: f"bad {key} !", "more": body}}, f"key {key}", {"error": body, field: key}):
        answer = Answer(status, {"x-key": key, "openai-organization": key}, wrapped)
        assert key not in repr(judge(answer))
        assert key not in repr(answer)


class _Hostile:
    """Raises at every touch."""

    def __getattribute__(self, name):
        if name in {"__class__", "__dict__"}:
            return object.__getattribute__(self, name)
        raise RuntimeError(name)


class _HostileError(Exception):
    @property
    def status_code(self):
        raise RuntimeError

    response = headers = status_code

    def __str__(self):
        raise RuntimeError


@pytest.mark.parametrize("obj", [None, 1, "x", b"x", [], object(), Exception, Reason, {}, iter([])])
def test_anything_else_is_a_result(obj):
    """What is neither response nor exception is a function's own value."""
    assert judge(obj).reason is Reason.OK


def test_hostile_objects():
    """Objects and exceptions whose attributes raise are still judged."""
    assert judge(_Hostile()).reason is Reason.OK
    assert judge(_HostileError()).reason is Reason.NOT_PROVIDER


@pytest.mark.parametrize(
    "piece",
    ["model ", "{", '{"a":', "[", "<script", "<", "try again in ", "12 s 34 ", "1", "1,234,567,", "requests per ", "sk-a",
     "key ", "limit 1 ", "organization ", "not access ", "请求每1", "0:00:00", "\\", "tokens per min limit ", "bearer "],
)  # fmt: skip
@pytest.mark.parametrize("status", [200, 403, 429])
def test_long_bodies_take_bounded_time(piece, status):
    """Two megabytes of anything are judged at once: no search backtracks over them, and most is never looked at."""
    text = piece * (2_000_000 // len(piece))
    before = time.perf_counter()
    judge(Answer(status, {}, text))
    judge(Answer(status, {}, {"error": {"message": text}}))
    assert time.perf_counter() - before < 2


def test_deep_bodies():
    """Nesting beyond any recursion limit is cut."""
    deep = {}
    at = deep
    for _ in range(5000):
        at["error"] = {}
        at = at["error"]
    assert judge(Answer(429, {}, deep)).reason is Reason.RATE_LIMITED_UNSPECIFIED
    assert judge(Answer(500, {}, '{"a":' * 50_000)).reason is Reason.SERVER_ERROR
    loop = {}
    loop["error"] = loop
    assert judge(Answer(403, {}, loop)).reason is Reason.PERMISSION_DENIED
