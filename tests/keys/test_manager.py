"""One pool a process: made once however many ask, merged afterwards, and never contradicted in silence."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from stable_openai import AKPool, ConfigurationError, KeyManager, KeyPool, Limits, PoolClosed, stable

A, B, C = (f"sk-managertest-{letter * 20}" for letter in "abc")


def test_one_instance_though_32_threads_ask_first_at_once():
    """All get the same pool, and every key is in it once."""
    together = threading.Barrier(32)

    def make(index):
        together.wait()
        return KeyManager([f"sk-thread-{index % 8:020d}"], rpm=500)

    with ThreadPoolExecutor(32) as threads:
        pools = list(threads.map(make, range(32)))
    assert len({id(pool) for pool in pools}) == 1
    assert len(KeyManager()) == 8


def test_the_instance_is_a_pool():
    """It is a KeyPool, which is also known as AKPool; a KeyPool of one's own is another thing."""
    manager = KeyManager([A])
    assert isinstance(manager, KeyPool)
    assert AKPool is KeyPool
    assert KeyPool([A]) is not manager
    assert KeyManager() is manager
    assert repr(manager).startswith("<KeyManager of 1 keys")


def test_again_with_keys_adds_those_that_are_new():
    """Those that it has keep their counts."""
    manager = KeyManager([A], rpm=2)
    ask = stable(lambda api_key: str(api_key))
    assert ask() == A
    assert KeyManager([A, B]) is manager
    assert [key.secret for key in manager.keys] == [A, B]
    assert [status.uses for status in manager.status()] == [1, 0]
    assert sorted(ask() for _ in range(3)) == [A, B, B]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"rpm": 500}, {"rpm": 500}),
        ({"rpm": 500, "rpd": 9}, {"rpm": 500}),
        ({"limits": Limits(rpm=500)}, {"rpm": 500}),
        ({"rpm": 500}, {"limits": Limits(rpm=500)}),
        ({"strategy": "roll-polling"}, {"strategy": "round-robin"}),
        ({}, {"strategy": "default", "max_wait": 120}),
        ({"owners": {"o": {"rpm": 3}}}, {"owners": {"o": Limits(rpm=3)}}),
    ],
)
def test_options_that_agree_are_fine(first, second):
    """Saying the same again, wholly or in part, contradicts nothing."""
    manager = KeyManager([A], **first)
    assert KeyManager([B], **second) is manager


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"rpm": 400}, "rpm"),
        ({"rpd": 400}, "rpd"),
        ({"limits": Limits(rpm=400)}, "limits"),
        ({"strategy": "random"}, "strategy"),
        ({"max_wait": 3}, "max_wait"),
        ({"timeout": 3}, "timeout"),
        ({"owners": {"o": {"rpm": 3}}}, "owners"),
    ],
)
def test_options_that_contradict_raise(options, field):
    """The option is named, what to do is said, and nothing was added."""
    manager = KeyManager([A], rpm=500)
    with pytest.raises(ConfigurationError, match=r"KeyManager.reset\(\)") as caught:
        KeyManager([B], **options)
    assert caught.value.field == field
    assert [key.secret for key in manager.keys] == [A]
    with pytest.raises(ConfigurationError, match="^rmp: "):
        KeyManager(rmp=3)


def test_a_bad_key_at_first_makes_nothing():
    """The next call can do better."""
    with pytest.raises(ConfigurationError):
        KeyManager([A, ""])
    KeyManager([B])
    assert [key.secret for key in KeyManager().keys] == [B]


def test_reset_forgets_it_and_releases_who_holds_it():
    """The next call makes a new pool; the old one is closed."""
    old = KeyManager([A], rpm=500)
    KeyManager.reset()
    KeyManager.reset()
    new = KeyManager([B], rpm=3)
    assert new is not old
    with pytest.raises(PoolClosed), old.lease():
        pass


def test_after_closing_the_next_call_makes_a_new_one():
    """``with KeyManager(keys):`` ends with its block, and does not stand in the way of the next."""
    with KeyManager([A]) as first:
        assert KeyManager() is first
    assert KeyManager([B], rpm=3) is not first
    assert [key.secret for key in KeyManager().keys] == [B]


def test_a_decorated_function_finds_the_pool_that_is_there_when_it_is_called():
    """Decorated before there was a pool, and called after it was replaced."""
    ask = stable(lambda api_key: str(api_key))
    KeyManager([A])
    assert ask() == A
    KeyManager.reset()
    KeyManager([C])
    assert ask() == C
