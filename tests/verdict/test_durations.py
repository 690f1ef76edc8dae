"""One parser for durations and instants."""

from __future__ import annotations

import pytest

from stable_openai.verdict.durations import find_wait, parse_duration, parse_instant, parse_when

YEAR_2026 = 1_767_225_600.0  # 2026-01-01T00:00:00Z


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (20, 20.0),
        (0.5, 0.5),
        ("20", 20.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("6m0s", 360.0),
        ("120ms", 0.12),
        ("2m59.56s", 179.56),
        ("1h2m", 3720.0),
        ("23h 59m", 86_340.0),
        ("1 day, 2 hours and 3 minutes", 93_780.0),
        ("00:01:30", 90.0),
        ("1.02:00:00", 93_600.0),
        ("43.2s", 43.2),
        ("1 seconds", 1.0),
        ("20 秒", 20.0),
        ("3分钟", 180.0),
        ("1小时", 3600.0),
        ("PT1M30S", 90.0),
        ("P1DT1H", 90_000.0),
        ("18.04s", 18.04),
        ("83h10m39.057s", 299_439.057),
        ("11.999999999s", 11.999999999),
    ],
)
def test_durations(text, seconds):
    """Every form in which providers write a duration."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "-1", "nan", "inf", "1e400", "-5s", "99999999999999", "soon", "5 apples", "P", "1:2", None, True, [], 10**400],
)
def test_nonsense_is_no_duration(text):
    """Negative, infinite, absurd and foreign values are ignored."""
    assert parse_duration(text) is None


@pytest.mark.parametrize(
    ("text", "epoch"),
    [
        ("1767225600", YEAR_2026),
        (1_767_225_600, YEAR_2026),
        ("1767225600000", YEAR_2026),
        ("1767225600000000", YEAR_2026),
        ("Thu, 01 Jan 2026 00:00:00 GMT", YEAR_2026),
        ("2026-01-01T00:00:00Z", YEAR_2026),
        ("2026-01-01T00:00:00.500Z", YEAR_2026 + 0.5),
        ("2026-01-01 08:00:00 +0800", YEAR_2026),
        ("2026-01-01T01:00:00+01:00", YEAR_2026),
        ("2025-12-31T19:00:00-05:00", YEAR_2026),
        ("2026-01-01 00:00 UTC", YEAR_2026),
    ],
)
def test_instants(text, epoch):
    """Epochs in three scales, HTTP dates and ISO 8601 with a zone."""
    assert parse_instant(text) == epoch


@pytest.mark.parametrize(
    "text", ["", "20", "2026-01-01 00:00:00", "2026-13-01T00:00:00Z", "tomorrow", None, 5, "9" * 200]
)
def test_nonsense_is_no_instant(text):
    """A local time without a zone, an impossible date and small numbers are no instants."""
    assert parse_instant(text) is None


def test_a_header_is_one_or_the_other():
    """`parse_when` tells a duration from an instant."""
    assert parse_when("30") == (30.0, None)
    assert parse_when("1767225600") == (None, YEAR_2026)
    assert parse_when("later") == (None, None)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Please try again in 7m12s. Visit the site.", 432.0),
        ("Please retry after 9 seconds.", 9.0),
        ("Retry in 900.2ms.", 0.9002),
        ("It is replenished in 03:14:17.", 11_657.0),
        ("Try again in 22h 58m", 82_680.0),
        ("please try again after 1 seconds", 1.0),
        ("Please wait 5 seconds before retrying.", 5.0),
        ("请在 20 秒后重试", 20.0),
        ("请等待20秒", 20.0),
        ("after 20 秒 retry", 20.0),
        ("retry-after: 30", 30.0),
        ("The limit resets in ~9s", 9.0),
        ("Made within the last 5 minutes? Please wait a moment and try again.", None),
        ("Limit 3 / min. Try again later. Used 12 seconds.", None),
        ("retry up to 3 times", None),
    ],
)
def test_waits_in_prose(text, seconds):
    """The number that follows a word of waiting is taken, others are not."""
    assert find_wait(text) == (seconds, None)


def test_instants_in_prose():
    """An instant with a zone after a word of waiting is found."""
    assert find_wait("You regain access on 2026-01-01 at 00:00 UTC.") == (None, YEAR_2026)
    assert find_wait("Your limit will reset at 2026-01-01 00:00:00") == (None, None)
