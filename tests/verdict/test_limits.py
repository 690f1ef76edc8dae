"""Limits are read from headers in every dialect, and from texts."""

from __future__ import annotations

import pytest

from stable_openai.verdict import Answer, Headers, ObservedLimit, judge, observe_limits
from stable_openai.verdict.periods import infer_period

DAY = 86_400.0


def _seen(headers, now=None):
    return {
        (limit.dimension, limit.limit, limit.remaining, limit.period_s) for limit in observe_limits(headers, now=now)
    }


def _openai(limit, remaining, reset, kind="requests"):
    return {
        f"x-ratelimit-limit-{kind}": str(limit),
        f"X-RateLimit-Remaining-{kind}": str(remaining),
        f"x-ratelimit-reset-{kind}": reset,
    }


@pytest.mark.parametrize(
    ("limit", "remaining", "reset", "period_s"),
    [
        (10_000, 9_999, "8.64s", DAY),
        (10_000, 9_999, "6ms", 60.0),
        (200, 198, "14m20.852s", DAY),  # between one and two are missing
        (10_000, 9_998, "6ms", 60.0),
        (100_000, 80_000, "144h", 2_592_000.0),
        (50, 49, "1.2s", 60.0),
        (30_000, 29_999, "1m0s", 60.0),  # a whole window
        (100_000, 99_998, "0s", 60.0),
        (200, 0, "23h59m59s", DAY),
        (200, 200, "0s", None),
        (1_000, 999, "0s", None),
        (1_000, 999, "7s", None),
    ],
)
def test_periods_are_inferred_from_the_refill(limit, remaining, reset, period_s):
    """The speed of the refill tells a day's bucket from a minute's, with its evidence in words."""
    (seen,) = observe_limits(_openai(limit, remaining, reset))
    assert seen.period_s == period_s
    assert bool(seen.evidence) == (period_s is not None)


def test_evidence_names_the_numbers():
    """The evidence can be read by people."""
    assert infer_period(10_000, 9_999, 8.64) == (DAY, "reset 8.64s refills 1 of 10000: a day")
    assert infer_period(None, 1, 1.0) == infer_period(0, 0, 1.0) == infer_period(5, 7, 1.0) == (None, "")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (
            {"anthropic-ratelimit-input-tokens-limit": "50000", "anthropic-ratelimit-input-tokens-remaining": "1000"},
            {("input_tokens", 50_000, 1_000, 60.0)},
        ),
        (
            {"anthropic-ratelimit-output-tokens-limit": "8000", "anthropic-ratelimit-output-tokens-remaining": "8000"},
            {("output_tokens", 8_000, 8_000, 60.0)},
        ),
        (
            {"x-ratelimit-limit-requests-day": "14400", "x-ratelimit-remaining-requests-day": "14399"},
            {("requests", 14_400, 14_399, DAY)},
        ),
        (
            {"x-ratelimit-limit-tokens-minute": "60000", "x-ratelimit-remaining-tokens-minute": "0"},
            {("tokens", 60_000, 0, 60.0)},
        ),
        (
            {"x-ratelimitbysize-limit-minute": "5000", "x-ratelimitbysize-remaining-minute": "4000"},
            {("tokens", 5_000, 4_000, 60.0)},
        ),
        (
            {"x-ratelimit-limit-req-10-second": "6", "x-ratelimit-remaining-req-10-second": "5"},
            {("requests", 6, 5, 10.0)},
        ),
        ({"x-ratelimit-limit": "20", "x-ratelimit-remaining": "0"}, {("requests", 20, 0, None)}),
        ({"ratelimit-limit": "100, 100;w=60", "ratelimit-remaining": "99"}, {("requests", 100, 99, 60.0)}),
        ({"ratelimit": '"api";r=49;t=12', "ratelimit-policy": '"api";q=50;w=30'}, {("requests", 50, 49, 30.0)}),
        (
            {"ratelimit": "limit=100, remaining=50, reset=5", "ratelimit-policy": "100;w=10"},
            {("requests", 100, 50, 10.0)},
        ),
        (
            {"x-ratelimit-limit-requests": "50", "x-ratelimit-renewalperiod-requests": "10"},
            {("requests", 50, None, 10.0)},
        ),
        ({"x-ratelimit-limit-requests": "50", "apim-request-id": "x"}, {("requests", 50, None, 60.0)}),
        ({"x-ratelimit-requests": "4000", "x-ratelimit-remaining-requests": "1"}, {("requests", 4_000, 1, None)}),
        ({"x-ratelimit-limit-input-images": "5", "x-ratelimit-limit-audio-seconds-minute": "9"}, set()),
    ],
)
def test_dialects(headers, expected):
    """Each provider's names give dimension, numbers and window."""
    assert _seen(headers) == expected


@pytest.mark.parametrize("maximum", [0, 2**31 - 1, 2**63 - 1, 999_999_999, 9223372036854767616])
def test_no_limit_is_no_limit(maximum):
    """Maxima that stand for "none" are not taken for limits."""
    assert observe_limits(_openai(maximum, maximum, "0s")) == ()


@pytest.mark.parametrize("value", ["-5", "x", "", "1e9", "1.5"])
def test_nonsense_numbers(value):
    """What is no whole number is ignored."""
    assert observe_limits({"x-ratelimit-limit-requests": value}) == ()


def test_more_left_than_allowed():
    """A rest above the limit says nothing of what is left."""
    assert _seen(_openai(10, 19, "2s")) == {("requests", 10, None, None)}


def test_resets_as_instants():
    """Epoch resets and ISO resets become durations by `date` or by `now`, and stay unknown without."""
    headers = {"x-ratelimit-limit": "20", "x-ratelimit-reset": "1767225630000"}
    assert [limit.reset_s for limit in observe_limits(headers)] == [None]
    assert [limit.reset_s for limit in observe_limits(headers, now=1_767_225_600.0)] == [30.0]
    dated = {**headers, "date": "Thu, 01 Jan 2026 00:00:10 GMT"}
    assert [limit.reset_s for limit in observe_limits(dated)] == [20.0]


@pytest.mark.parametrize(("reset", "seconds"), [("500", 0.5), ("7", 0.007), ("2146", 2.146)])
def test_azure_milliseconds(reset, seconds):
    """Plain resets beside a renewal period are milliseconds where that fits what is used."""
    used = round(seconds / 60 * 120_000)
    headers = {
        **_openai(120_000, 120_000 - used, reset, "tokens"),
        "x-ratelimit-renewalperiod-tokens": "60",
    }
    assert [limit.reset_s for limit in observe_limits(headers)] == [seconds]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Limit hit for acme-4 on tokens per day (TPD): Limit 1,000, Used 900, Requested 200.",
            ObservedLimit("tokens", 1_000, 100, 900, 200, period_s=DAY, evidence="the text says: a day"),
        ),
        (
            "You are limited to 10 API calls / minute",
            ObservedLimit("requests", 10, period_s=60.0, evidence="the text says: a minute"),
        ),
        (
            "Rate limit of 8 per 86400s exceeded",
            ObservedLimit("requests", 8, period_s=DAY, evidence="the text says: a day"),
        ),
        (
            "your account reached max RPM: 20",
            ObservedLimit("requests", 20, period_s=60.0, evidence="the text says: a minute"),
        ),
        ("Limit: 2 active requests at once", ObservedLimit("concurrency", 2)),
    ],
)
def test_limits_in_texts(text, expected):
    """The limit that was hit is read from the words."""
    assert judge(Answer(429, {}, text)).limits == (expected,)
    assert observe_limits(Answer(429, {}, text)) == (expected,)


def test_texts_without_a_limit():
    """Several windows at once, absurd numbers and no numbers tell nothing."""
    for text in ("RPM or TPM limit reached: 5", "limit: 9223372036854775807 requests per minute", "slow down"):
        assert observe_limits(Answer(429, {}, text)) == ()


def test_headers_inside_a_body():
    """A gateway puts the headers of its upstream into its body."""
    body = {"error": {"message": "no", "code": 429, "metadata": {"headers": {"X-RateLimit-Limit": "20"}}}}
    assert [limit.limit for limit in observe_limits(Answer(429, {}, body))] == [20]
    assert [limit.limit for limit in judge(Answer(429, {}, body)).limits] == [20]


def test_a_prompt_is_no_limit():
    """The words of a success are the model's, not the provider's."""
    assert observe_limits(Answer(200, {}, "limited to 10 API calls / minute")) == ()
    assert observe_limits(Headers()) == ()
