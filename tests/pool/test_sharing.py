"""Limits that keys share, limits by model, and keys that are for some models only."""

from __future__ import annotations

from collections import Counter

import pytest

from stable_openai import Key, KeyPool, Limits, ManualClock, NoKeyAvailable, RequestTooLarge

A, B, C = (f"sk-sharing-{letter * 20}" for letter in "abc")


def used(pool, model=None, tokens=0):
    with pool.lease(model, tokens=tokens, max_wait=0) as lease:
        return str(lease.api_key)


def all_used(pool, model=None):
    """Take keys until there is none, and count them."""
    found = Counter()
    with pytest.raises(NoKeyAvailable):
        while True:
            found[used(pool, model)] += 1
    return found


@pytest.fixture
def clock():
    return ManualClock()


def test_keys_of_one_owner_share_its_limits(clock):
    """Together they may use what the owner may, each what it may itself; a key of another owner is not concerned."""
    keys = [Key(A, owner="org", limits={"rpm": 3}), Key(B, owner="org"), Key(C, owner="other", limits={"rpm": 2})]
    pool = KeyPool(keys, owners={"org": {"rpm": 5}}, clock=clock)
    found = all_used(pool)
    assert found[A] + found[B] == 5
    assert found[A] <= 3
    assert found[C] == 2
    clock.advance(60)
    assert sum(all_used(pool).values()) == 7


def test_an_owner_that_nobody_described_has_no_limits():
    """Naming an owner on a key alone limits nothing."""
    pool = KeyPool([Key(A, owner="org", limits={"rpm": 2})])
    assert all_used(pool) == {A: 2}


def test_owners_limits_by_model(clock):
    """What an owner's keys may use of one model, together."""
    keys = [Key(A, owner="org"), Key(B, owner="org"), Key(C, limits={"rpm": 1})]
    pool = KeyPool(keys, owners={"org": {"*": Limits(rpm=9), "gpt-4o": Limits(rpm=4)}}, clock=clock)
    found = all_used(pool, "gpt-4o")
    assert (found[A] + found[B], found[C]) == (4, 1)
    found = all_used(pool, "mini")
    assert found[A] + found[B] == 5
    assert found[C] == 0
    assert not all_used(pool)


def test_limits_by_model_count_that_model_alone(clock):
    """A key that has used up one model goes on with others, within its own limit for all."""
    pool = KeyPool([Key(A, limits={"*": {"rpm": 5}, "gpt-4o": {"rpm": 2}})], clock=clock)
    assert all_used(pool, "gpt-4o") == {A: 2}
    assert all_used(pool, "mini") == {A: 3}
    assert not all_used(pool)
    clock.advance(60)
    assert all_used(pool) == {A: 5}


def test_a_key_with_limits_of_a_model_takes_the_pools_for_the_whole():
    """``limits={"gpt-4o": …}`` says nothing of the key as a whole."""
    pool = KeyPool([Key(A, limits={"gpt-4o": {"rpm": 2}}), Key(B, limits={"rpm": 1})], rpm=3)
    assert all_used(pool) == {A: 3, B: 1}


def test_keys_are_used_for_their_models_only():
    """``models`` restricts a key; calls without a model take any."""
    pool = KeyPool([Key(A, models=["gpt-4o"]), Key(B, models=["mini", "gpt-4o"])], rpm=4)
    assert {used(pool, "mini") for _ in range(3)} == {B}
    assert {used(pool, "gpt-4o") for _ in range(2)} == {A, B}
    with pytest.raises(NoKeyAvailable, match="is not for the model o1") as caught:
        used(pool, "o1")
    assert caught.value.reasons == {"key-1": "is not for the model o1", "key-2": "is not for the model o1"}
    assert caught.value.model == "o1"
    assert caught.value.retry_after is None


def test_a_cooldown_of_one_model_leaves_the_others(clock):
    """After a rejection the key rests for that model only."""
    pool = KeyPool([A, B], clock=clock)
    with pool.lease("gpt-4o") as lease:
        lease.settle(Rejected())
        assert lease.api_key == A
    assert {used(pool, "gpt-4o") for _ in range(3)} == {B}
    assert {used(pool, "mini") for _ in range(4)} == {A, B}
    clock.advance(7)
    assert A in {used(pool, "gpt-4o") for _ in range(3)}


def test_tokens_are_reserved_and_counted(clock):
    """A call that finds too few tokens waits; one that needs more than any limit fails at once and says so."""
    pool = KeyPool([Key(A, limits={"tpm": 100}), Key(B, limits={"tpm": 50})], clock=clock)
    assert used(pool, tokens=80) == A
    assert used(pool, tokens=50) == B
    with pytest.raises(NoKeyAvailable) as caught:
        used(pool, tokens=30)
    assert caught.value.retry_after == 60.0
    assert used(pool, tokens=20) == A
    with pytest.raises(
        RequestTooLarge, match="needs 101 tokens, but the largest token limit of any key is 100"
    ) as caught:
        used(pool, tokens=101)
    assert (caught.value.tokens, caught.value.largest) == (101, 100)
    clock.advance(60)
    assert used(pool, tokens=100) == A


def test_requests_in_flight(clock):
    """``max_concurrency`` bounds the leases that run at once, of a key and of an owner."""
    keys = [Key(A, owner="org", limits={"max_concurrency": 1}), Key(B, owner="org"), C]
    pool = KeyPool(keys, owners={"org": {"max_concurrency": 2}}, max_concurrency=1, clock=clock)
    leases = [pool.acquire(max_wait=0) for _ in range(3)]
    assert {str(lease.api_key) for lease in leases} == {A, B, C}
    with pytest.raises(NoKeyAvailable, match="calls at once are running"):
        used(pool)
    leases[0].settle()
    assert used(pool) == leases[0].api_key
    for lease in leases:
        lease.settle()


class Rejected(Exception):
    """A rate limit with a moment to come back at."""

    status_code = 429
    headers = {"retry-after": "7"}  # noqa: RUF012  # as a response has them
    body = {"error": {"message": "Too many requests", "type": "requests", "code": "rate_limit_exceeded"}}  # noqa: RUF012
