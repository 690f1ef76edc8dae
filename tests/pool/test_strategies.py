"""The order among eligible keys: each strategy by the property that defines it."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from stable_openai import Candidate, ConfigurationError, Key, KeyPool, ManualClock, Strategy

NAMES = ["a", "b", "c", "d"]


def pool_of(strategy, names=NAMES, *, weights=(), clock=None, **options):
    weights = dict(zip(names, weights, strict=False))
    keys = [Key(f"sk-strategies-{name * 20}", name=name, weight=weights.get(name, 1)) for name in names]
    return KeyPool(keys, strategy=strategy, clock=clock or ManualClock(), **options)


def used(pool, times=1, model=None):
    found = []
    for _ in range(times):
        with pool.lease(model, max_wait=0) as lease:
            found.append(lease.name)
    return found


@pytest.mark.parametrize("name", ["round-robin", "roll-polling", "default"])
def test_round_robin_takes_turns(name):
    """One after the other, again and again; the names of older releases mean the same."""
    pool = pool_of(name)
    assert used(pool, 9) == [*NAMES, *NAMES, "a"]
    assert "round-robin" in repr(pool)


def test_round_robin_is_the_default():
    """Where nobody says otherwise."""
    assert used(KeyPool([Key("sk-1", name="a"), Key("sk-2", name="b")]), 4) == ["a", "b", "a", "b"]


def test_random_takes_any():
    """Each has its share, and the order is no cycle."""
    found = used(pool_of("random"), 2_000)
    assert all(350 < count < 650 for count in Counter(found).values())
    assert any(one == other for one, other in pairwise(found))


def test_least_used_takes_the_one_with_the_fewest_calls():
    """No key is ever more than one call ahead; who joins late catches up."""
    pool = pool_of("least-used", ["a", "b"])
    used(pool, 6)
    pool.add(Key("sk-strategies-late-0000", name="late"))
    assert used(pool, 3) == ["late"] * 3
    assert Counter(used(pool, 9)) == {"a": 3, "b": 3, "late": 3}


def test_rest_time_takes_the_one_that_has_rested_longest():
    """By the moment of the last use, whatever the number of uses."""
    clock = ManualClock()
    pool = pool_of("rest-time", ["a", "b", "c"], clock=clock)
    used(pool, 3), clock.advance(1)
    pool.park("a", 5)
    for _ in range(4):
        used(pool), clock.advance(1)
    clock.advance(1)
    assert used(pool) == ["a"]
    clock.advance(1)
    order = used(pool) + (clock.advance(1) or used(pool)) + (clock.advance(1) or used(pool))
    assert set(order) == {"a", "b", "c"}
    assert order[2] == "a"


def test_weighted_gives_shares():
    """Calls in proportion to the weights, at every moment within one call of it."""
    pool = pool_of("weighted", ["a", "b", "c"], weights=(1, 2, 5))
    found = Counter()
    for total in range(1, 161):
        found[used(pool)[0]] += 1
        for name, weight in (("a", 1), ("b", 2), ("c", 5)):
            assert abs(found[name] - total * weight / 8) <= 1.5
    assert found == {"a": 20, "b": 40, "c": 100}


def test_weighted_does_not_catch_up():
    """A key that rested, or joined late, gets its share from then on, and no flood for what it missed."""
    pool = pool_of("weighted", ["a", "b"])
    pool.park("b")
    used(pool, 50)
    pool.revive("b")
    pool.add(Key("sk-strategies-late-0000", name="late"))
    found = Counter(used(pool, 30))
    assert all(9 <= found[name] <= 11 for name in ("a", "b", "late"))


def test_fill_first_stays_with_the_first():
    """The first key until it is out, then the second; back to the first as soon as it is back."""
    clock = ManualClock()
    pool = pool_of("fill-first", ["a", "b", "c"], clock=clock, rpm=2)
    assert used(pool, 5) == ["a", "a", "b", "b", "c"]
    clock.advance(60)
    assert used(pool, 3) == ["a", "a", "b"]
    clock.advance(60)
    pool.park("a", 5)
    assert used(pool) == ["b"]
    clock.advance(5)
    assert used(pool) == ["a"]


def test_a_strategy_of_ones_own():
    """An object with ``rank(candidate)``: the lowest rank among the eligible keys is used."""

    class ByName:
        seen: Candidate

        def rank(self, candidate):
            self.seen = candidate
            return -ord(candidate.name)

    own = ByName()
    pool = pool_of(own, rpm=2)
    assert isinstance(own, Strategy)
    assert used(pool, 5) == ["d", "d", "c", "c", "b"]
    assert isinstance(own.seen, Candidate)
    assert own.seen.weight == 1.0
    assert "ByName" in repr(pool)


def test_a_rank_that_changes_with_use():
    """Ranks are looked at again: this one prefers what runs least."""

    class LeastBusy:
        def rank(self, candidate):
            return candidate.in_flight

    pool = pool_of(LeastBusy(), ["a", "b"])
    leases = [pool.acquire() for _ in range(4)]
    assert Counter(lease.name for lease in leases) == {"a": 2, "b": 2}
    for lease in leases:
        if lease.name == "b":
            lease.settle()
    assert used(pool, 2) == ["b", "b"]
    for lease in leases:
        lease.settle()


@pytest.mark.parametrize("strategy", ["round-robin", "random", "least-used", "rest-time", "weighted", "fill-first"])
def test_only_eligible_keys_whatever_the_strategy(strategy):
    """A parked key, one without headroom and one for other models are never chosen; all the others' room is used."""
    pool = pool_of(strategy, [*NAMES, "parked"], rpm=3)
    pool.add(Key("sk-strategies-other-0000", name="other", models=["mini"]))
    pool.park("parked")
    assert Counter(used(pool, 12, model="gpt-4o")) == dict.fromkeys(NAMES, 3)


def test_unknown_strategies_are_refused():
    """By name, and what can't rank."""
    for strategy in ("Round-Robin", "", 5, object()):
        with pytest.raises(ConfigurationError, match="^strategy: "):
            pool_of(strategy)
