"""A pool's options are checked when it is made."""

from __future__ import annotations

import pytest

from stable_openai import ConfigurationError, KeyPool


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"stratgy": "random"}, "stratgy"),
        ({"given": ()}, "given"),
        ({"strategy": "fastest"}, "strategy"),
        ({"strategy": None}, "strategy"),
        ({"strategy": object()}, "strategy"),
        ({"strategy": type("Ranker", (), {"rank": lambda self, candidate: 0})}, "strategy"),
        ({"limits": 60}, "limits"),
        ({"limits": {"speed": 1}}, "limits.speed"),
        ({"limits": {"rpm": 1}, "rpm": 2}, "limits"),
        ({"owners": ["org-1"]}, "owners"),
        ({"owners": {"org-1": 60}}, "owners['org-1']"),
        ({"owners": {"org-1": {"gpt-4o": {"rpm": -1}}}}, "owners['org-1']['gpt-4o'].rpm"),
        ({"store": "postgres://"}, "store"),
        ({"max_wait": -1}, "max_wait"),
        ({"max_wait": "2 minutes"}, "max_wait"),
        ({"max_wait": float("nan")}, "max_wait"),
        ({"max_wait": None}, "max_wait"),
        ({"timeout": -0.1}, "timeout"),
        ({"timeout": True}, "timeout"),
        ({"rules": 5}, "rules"),
        ({"rules": [5]}, "rules"),
        ({"clock": 5}, "clock"),
    ],
)
def test_a_wrong_option_is_named(options, field):
    """The message starts with the option's name."""
    with pytest.raises(ConfigurationError) as caught:
        KeyPool(["sk-1"], **options)
    assert caught.value.field == field
    assert str(caught.value).startswith(f"{field}: ")


def test_the_known_strategies_are_listed():
    """Who misspells one is shown them all."""
    with pytest.raises(ConfigurationError, match="round-robin, random, least-used, rest-time, weighted, fill-first"):
        KeyPool(["sk-1"], strategy="robin-round")


def test_a_configuration_error_is_a_value_error():
    """So that code which knows nothing of this library can catch it."""
    with pytest.raises(ValueError, match="^strategy: "):
        KeyPool(["sk-1"], strategy="fastest")
