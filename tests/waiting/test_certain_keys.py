"""Calls that only certain keys may serve: they get those or none, and whoever waits for one holds up nobody else."""

from __future__ import annotations

import asyncio

import pytest

from stable_openai import Key, KeyPool, Limits, NoKeyAvailable, RequestTooLarge
from stable_openai.stores.protocol import Ask, Outcome

from .conftest import Recorder

KEYS = [Key(f"sk-certain-{letter * 20}", name=letter) for letter in "abcd"]


def of(*names, **options):
    return Ask(only=frozenset(names), **options)


def stand_in_line(pool, ask, max_wait=100):
    ask.call = pool.line.ticket()
    waiter = Recorder(ask, pool.store.now() + max_wait)
    waiter.pool = pool
    pool.line.join(waiter)
    return waiter


def names(pool, ask, count):
    found = []
    for _ in range(count):
        grant = pool.obtain(ask, 0)
        found.append(grant.name)
        pool.settle(grant, Outcome(success=True))
    return found


def test_they_alone_are_used(make_pool, clock):
    """In turn, the one first that was used longest ago; those in whose way nothing is are not."""
    pool = make_pool(KEYS)
    found = []
    for _ in range(6):
        found += names(pool, of("b", "d"), 1)
        clock.advance(1)
    assert found == ["b", "d", "b", "d", "b", "d"]
    assert sorted(names(pool, Ask(), 4)) == ["a", "b", "c", "d"]


def test_one_is_preferred(make_pool):
    """As long as it has room; then another of them."""
    pool = make_pool(KEYS, rpm=2)
    assert names(pool, of("b", "d", prefer="d"), 4) == ["d", "d", "b", "b"]
    assert names(pool, of("b", prefer="c"), 0) == []
    with pytest.raises(NoKeyAvailable):
        names(pool, of("b", prefer="c"), 1)


def test_those_to_avoid_and_to_shun(make_pool):
    """The first are used when there is no other of them, the second never."""
    pool = make_pool(KEYS, rpm=1)
    assert names(pool, of("a", "b", "c", avoid=frozenset("a"), shun=frozenset("b")), 2) == ["c", "a"]
    with pytest.raises(NoKeyAvailable):
        names(pool, of("a", "b", "c", shun=frozenset("b")), 1)


def test_the_error_is_about_them(make_pool, clock):
    """When they are back, and why they are out: what the others do is beside the point."""
    pool = make_pool(KEYS, rpm=1)
    names(pool, of("a"), 1)
    clock.advance(20)
    names(pool, of("b"), 1)
    with pytest.raises(NoKeyAvailable) as caught:
        pool.obtain(of("b"), 0)
    assert (caught.value.retry_after, set(caught.value.reasons)) == (pytest.approx(60), {"b"})
    waiter = stand_in_line(pool, of("b"), 30)
    clock.advance(30)
    with pytest.raises(NoKeyAvailable) as caught:
        pool._result(waiter)
    assert caught.value.retry_after == pytest.approx(30)


def test_nobody_of_that_name(make_pool):
    """A key that has left serves no call, and there is nothing to wait for."""
    pool = make_pool(KEYS)
    pool.remove("c")
    with pytest.raises(NoKeyAvailable) as caught:
        pool.obtain(of("c", "x"), 100)
    assert caught.value.retry_after is None


def test_more_tokens_than_they_ever_have(make_pool):
    """That others have more does not help."""
    pool = make_pool([Key("sk-certain-small", name="small", limits=Limits(tpm=10)), *KEYS], tpm=1000)
    with pytest.raises(RequestTooLarge) as caught:
        pool.obtain(of("small", tokens=11), 100)
    assert caught.value.largest == 10
    assert pool.obtain(Ask(tokens=11), 0).name != "small"


def test_who_waits_for_one_holds_up_nobody(make_pool, queue_up, clock):
    """Others pass, of the same model too; and he is served as soon as his key is free, before those who came later."""
    pool = make_pool(KEYS[:2], rpm=1)
    names(pool, of("a"), 1)
    waiter = stand_in_line(pool, of("a"))
    assert queue_up(pool).result.name == "b"
    later = queue_up(pool)
    assert waiter.result is later.result is None
    clock.advance(60)
    assert waiter.result.name == "a"
    assert later.result.name == "b"


def test_in_the_order_in_which_they_came(make_pool, clock):
    """Those who wait for the same keys form one line, in which a small request passes no large one."""
    pool = make_pool(KEYS[:2], tpm=1000)
    pool.obtain(of("a", tokens=900), 0)
    large, small = stand_in_line(pool, of("a", tokens=800)), stand_in_line(pool, of("a", tokens=1))
    assert large.result is small.result is None
    clock.advance(60)
    assert (large.result.name, small.result.name) == ("a", "a")


def test_a_running_call_is_waited_for(make_pool):
    """Where the key is busy, the end of its call is what one waits for."""
    pool = make_pool(KEYS[:2], max_concurrency=1)
    running = pool.obtain(of("a"), 0)
    waiter = stand_in_line(pool, of("a"))
    assert waiter.result is None
    pool.settle(running, Outcome(success=True))
    assert waiter.result.name == "a"


async def test_another_process_frees_it(tmp_path):
    """Word comes from there, as for those who wait for any key."""
    options = {"store": f"sqlite:///{tmp_path}/keys.db", "max_concurrency": 1}
    async with KeyPool(KEYS[:2], **options) as one, KeyPool(KEYS[:2], **options) as other:
        running = one.obtain(of("a"), 0)
        waiting = asyncio.ensure_future(other.aobtain(of("a"), 100))
        while not len(other.line):
            await asyncio.sleep(0)
        while len(one.status()) != 2 or not _is_wanted(one, "a"):  # its request has come to the store
            await asyncio.sleep(0)
        one.settle(running, Outcome(success=True))
        assert (await asyncio.wait_for(waiting, 15)).name == "a"  # a lease that is lost comes back later


def _is_wanted(pool, name):
    members = pool.store._link.state.engine.roster.members
    return any(lane.wanted for lane in members[pool.store._prints[name]].lanes.all())
