"""Limits and windows are checked, and the named limits are shorthands for windows."""

from __future__ import annotations

import pytest

from stable_openai import ConfigurationError, KeyPool, Limits, Window


@pytest.mark.parametrize("name", ["rpm", "rpd", "tpm", "tpd", "max_concurrency"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "60", True, float("inf")])
def test_a_limit_is_a_whole_number_from_one_up(name, value):
    """In Limits and as an option of a pool, the message names the limit and shows the value."""
    with pytest.raises(ConfigurationError, match=f"^limits.{name}: must be a whole number") as caught:
        Limits(**{name: value})
    assert repr(value) in str(caught.value)
    with pytest.raises(ConfigurationError, match=f"^limits.{name}: "):
        KeyPool(["sk-1"], **{name: value})


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"what": "calls", "limit": 1, "seconds": 1}, "window.what"),
        ({"what": "requests", "limit": 0, "seconds": 1}, "window.limit"),
        ({"what": "requests", "limit": 1}, "window"),
        ({"what": "requests", "limit": 1, "seconds": 1, "calendar": "day"}, "window"),
        ({"what": "requests", "limit": 1, "seconds": 0}, "window.seconds"),
        ({"what": "requests", "limit": 1, "seconds": float("inf")}, "window.seconds"),
        ({"what": "requests", "limit": 1, "calendar": "week"}, "window.calendar"),
        ({"what": "requests", "limit": 1, "calendar": "day", "zone": "Mars/Olympus"}, "window.zone"),
        ({"what": "requests", "limit": 1, "calendar": "day", "zone": "/etc/passwd"}, "window.zone"),
    ],
)
def test_a_wrong_window_is_refused(fields, field):
    """The message names the field; in a table of limits (a TOML file's) it names the window's place too."""
    with pytest.raises(ConfigurationError) as caught:
        Window(**fields)
    assert caught.value.field == field
    with pytest.raises(ConfigurationError) as caught:
        KeyPool(["sk-1"], limits={"windows": [{"what": "requests", "limit": 1, "seconds": 1}, fields]})
    assert caught.value.field == field.replace("window", "limits.windows[1]", 1)


@pytest.mark.parametrize("windows", [5, Window("requests", 1, seconds=1), "no", [5], [{"what": "requests", "limt": 1}]])
def test_windows_are_a_list_of_windows(windows):
    """Anything else is refused by name."""
    with pytest.raises(ConfigurationError, match=r"^limits\.windows"):
        KeyPool(["sk-1"], windows=windows)


def test_a_wrong_zone_is_refused():
    """``zone`` is a time zone's name."""
    with pytest.raises(ConfigurationError, match=r"^limits\.zone: must be an IANA time zone"):
        Limits(rpd=1, zone="California")


def test_shorthands_are_windows():
    """``rpm`` and its like spell out to windows, the shortest first; a zone makes days calendar days."""
    limits = Limits(rpd=9, rpm=3, tpm=100, windows=[Window("requests", 2, seconds=10)])
    assert [str(window) for window in limits.all_windows()] == [
        "2 requests per 10 s",
        "3 requests per minute",
        "100 tokens per minute",
        "9 requests per day",
    ]
    (day,) = Limits(rpd=9, zone="Asia/Tokyo").all_windows()
    assert str(day) == "9 requests per calendar day (Asia/Tokyo)"


def test_no_limits_are_false():
    """So that a key that says nothing takes the pool's."""
    assert not Limits()
    assert Limits(max_concurrency=1)
    assert not Limits(zone="UTC")
