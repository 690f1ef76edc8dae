"""Looking ahead in a shared pool: as in memory, and without a trace in what all processes have in common."""

from __future__ import annotations

import json

import pytest

from stable_openai import Key, KeyPool, ManualClock

A, B, C = (f"sk-looking-{letter * 20}" for letter in "abc")


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture(params=["memory", "sqlite"])
def pool(request, clock, tmp_path):
    """Two keys of one owner and one of its own, all used at different times."""
    store = "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/keys.db"
    keys = [Key(A, owner="lab"), Key(B, owner="lab", limits={"tpm": 50}), Key(C, limits={"tpm": 70})]
    with KeyPool(keys, owners={"lab": {"tpm": 100}}, clock=clock, store=store) as pool:
        for tokens in (30, 40, 50):
            pool.acquire(tokens=tokens).settle()
            clock.advance(1)
        yield pool


def outlook(pool, clock, tokens):
    return [(way.at - clock.monotonic(), way.key, sorted(way.keys)) for way in pool.store.outlook(None, tokens)]


def test_when_there_is_room(pool, clock):
    """The first is the one that has room first; with each, those that draw on the same quota, where that is short."""
    never = float("inf")
    assert outlook(pool, clock, 45) == [
        (57.0, "key-1", ["key-1", "key-2"]),
        (58.0, "key-2", ["key-1", "key-2"]),
        (59.0, "key-3", ["key-3"]),
    ]
    assert outlook(pool, clock, 60)[1:] == [(59.0, "key-3", ["key-3"]), (never, "key-2", ["key-1", "key-2"])]
    at, key, keys = outlook(pool, clock, 10)[0]
    assert (at <= 0, key, keys) == (True, "key-1", ["key-1"])


def test_a_rest_is_foreseen(pool, clock):
    """A key that rests has room when that is over; one that is retired or gone, never."""
    pool.park("key-1", 500)
    pool.remove("key-2")
    assert [(way[0], way[1]) for way in outlook(pool, clock, 45)] == [(59.0, "key-3"), (500.0, "key-1")]


def test_looking_leaves_no_trace(pool, clock):
    """Not even where what was counted has left the windows meanwhile: the others have not looked."""
    if not pool.store.remote:
        pytest.skip("about shared stores")
    clock.advance(59)
    replica = pool.store._link.replica
    before = json.dumps(replica._packed())
    pool.store.outlook(None, 45)
    assert json.dumps(replica._packed()) == before
