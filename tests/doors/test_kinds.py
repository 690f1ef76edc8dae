"""Functions, coroutine functions, generators and async generators: the same story for all four."""

from __future__ import annotations

import asyncio

import pytest

from stable_openai import NoKeyAvailable

A, B, C = (f"sk-doors-{letter * 20}" for letter in "abc")


def test_each_call_has_a_key(pool, kind):
    """In turn, settled when the call is over."""
    ask = kind.make(lambda api_key: str(api_key))
    assert [kind.call(ask) for _ in range(4)] == [A, B, C, A]
    assert [(row.uses, row.in_flight, row.failed) for row in pool.status()] == [(2, 0, 0), (1, 0, 0), (1, 0, 0)]


def test_the_next_key_where_one_fails(pool, kind, answer):
    """The dead one is retired, the limited one rests; the call is answered and nobody notices."""
    met = []

    def plain(prompt, api_key):
        met.append(str(api_key))
        if api_key == A:
            raise answer(401, "invalid_api_key")
        if api_key == B:
            raise answer(429, retry_after="30")
        return f"{prompt}!"

    ask = kind.make(plain)
    assert kind.call(ask, "hello") == "hello!"
    assert met == [A, B, C]
    assert kind.call(ask, "again") == "again!"
    assert met == [A, B, C, C]
    assert [row.standing for row in pool.status()] == ["retired", "cooling down", "open"]
    assert [row.in_flight for row in pool.status()] == [0, 0, 0]


def test_trouble_of_the_provider_is_tried_again(pool, kind, answer):
    """With back-off, preferably elsewhere, and no key is blamed."""
    met = []

    def plain(api_key):
        met.append(str(api_key))
        if len(met) < 3:
            raise answer(500, "server_error")
        return "fine"

    assert kind.call(kind.make(plain)) == "fine"
    assert met == [A, B, C]
    assert {row.standing for row in pool.status()} == {"open"}


def test_a_fault_of_the_request_is_raised_at_once(pool, kind, answer):
    """The very exception, untouched; the key is fine."""
    error = answer(400, "invalid_value")

    def plain(api_key):
        raise error

    with pytest.raises(type(error)) as caught:
        kind.call(kind.make(plain))
    assert caught.value is error
    assert not getattr(error, "__notes__", [])
    assert error.__cause__ is None
    assert [(row.uses, row.standing) for row in pool.status()] == [(1, "open"), (0, "open"), (0, "open")]


def test_an_exception_that_is_not_the_providers(pool, kind):
    """Raised at once, untouched, and no key is blamed."""
    error = ZeroDivisionError("mine")

    def plain(api_key):
        raise error

    with pytest.raises(ZeroDivisionError) as caught:
        kind.call(kind.make(plain))
    assert caught.value is error
    assert not getattr(error, "__notes__", [])
    assert [(row.uses, row.failed, row.in_flight) for row in pool.status()] == [(1, 0, 0), (0, 0, 0), (0, 0, 0)]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_interruptions_cost_no_key_anything(pool, kind, error):
    """They pass through at once; nothing stays in flight."""

    def plain(api_key):
        raise error

    with pytest.raises(error):
        kind.call(kind.make(plain))
    assert [(row.uses, row.failed, row.in_flight, row.standing) for row in pool.status()] == [
        (1, 0, 0, "open"),
        (0, 0, 0, "open"),
        (0, 0, 0, "open"),
    ]


def test_an_explicit_key_wins_and_is_not_rotated(pool, kind, answer):
    """The caller's own credential is used as it is; the pool has nothing to do with the call."""
    met = []

    def plain(api_key):
        met.append(api_key)
        raise answer(429)

    with pytest.raises(answer):
        kind.call(kind.make(plain), api_key="mine")
    assert met == ["mine"]
    assert [row.uses for row in pool.status()] == [0, 0, 0]


@pytest.mark.parametrize("nothing", [None, ""])
def test_an_empty_key_means_not_given(pool, kind, nothing):
    """None and an empty text are what callers pass when they have none."""
    ask = kind.make(lambda api_key: str(api_key))
    assert kind.call(ask, api_key=nothing) == A


def test_an_explicit_key_needs_no_pool(kind):
    """Nobody ever made one, and nothing is in the environment."""
    assert kind.call(kind.make(lambda api_key: api_key), api_key="mine") == "mine"


def test_a_pool_of_its_own(pool, kind, clock):
    """``pool=`` is used instead of the process-wide one, even while it has no keys."""
    from stable_openai import KeyPool

    other = KeyPool([], clock=clock)
    ask = kind.make(lambda api_key: str(api_key), pool=other)
    with pytest.raises(NoKeyAvailable, match="the pool has no keys"):
        kind.call(ask)
    other.add("sk-doors-other-00000000")
    assert kind.call(ask) == "sk-doors-other-00000000"
    assert [row.uses for row in pool.status()] == [0, 0, 0]


def test_keys_run_out(pool, kind, answer):
    """Each key is out: ``NoKeyAvailable`` with the moment, each key's reason, and the provider's last error."""

    def plain(api_key):
        raise answer(429, retry_after="300")

    with pytest.raises(NoKeyAvailable) as caught:
        kind.call(kind.make(plain))
    assert caught.value.retry_after == 300.0
    assert set(caught.value.reasons) == {"key-1", "key-2", "key-3"}
    assert isinstance(caught.value.__cause__, answer)
    notes = "\n".join(caught.value.__notes__)
    assert notes.count("attempt ") == 3
    assert "attempt 1 with key-1 (sk-…aaaa): rate_limited_unspecified, to come back in 300 s" in notes
    with pytest.raises(NoKeyAvailable) as caught:
        kind.call(kind.make(plain))
    assert caught.value.__cause__ is None


def test_two_pools_one_within_the_other(pool, kind, clock, answer):
    """A decorated function that calls another one on another pool: each rotates its own keys."""
    from stable_openai import KeyPool

    inner_pool = KeyPool(["sk-inner-1-00000000000", "sk-inner-2-00000000000"], clock=clock)
    met = []

    def inner(api_key):
        met.append(str(api_key))
        if api_key.startswith("sk-inner-1"):
            raise answer(401, "invalid_api_key")
        return "inner"

    def outer(api_key):
        met.append(str(api_key))
        if api_key == A:
            raise answer(401, "invalid_api_key")
        return stable_inner()

    from stable_openai import stable

    stable_inner = stable(pool=inner_pool)(lambda api_key: inner(api_key))
    assert kind.call(kind.make(outer)) == "inner"
    assert met == [A, B, "sk-inner-1-00000000000", "sk-inner-2-00000000000"]
    assert [row.standing for row in inner_pool.status()] == ["retired", "open"]
    assert [row.standing for row in pool.status()] == ["retired", "open", "open"]
