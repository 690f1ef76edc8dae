"""The strategy is changed while the pool runs: only the order is another then."""

from __future__ import annotations

import itertools
import threading
from collections import Counter

import pytest

from stable_openai import ConfigurationError, Key, KeyManager, KeyPool, Limits, ManualClock, NoKeyAvailable

STRATEGIES = ("round-robin", "random", "least-used", "rest-time", "weighted", "fill-first")


def pool_of(*names, clock=None, **options):
    return KeyPool(
        [Key(f"sk-changed-{name}-0000", name=name) for name in names], clock=clock or ManualClock(), **options
    )


def used(pool, count=1):
    found = []
    for _ in range(count):
        with pool.lease(max_wait=0) as lease:
            found.append(lease.name)
    return found


def test_the_new_order_goes_by_what_was_used_before():
    """Uses and the moments of uses are kept."""
    clock = ManualClock()
    pool = pool_of("a", "b", "c", clock=clock)
    assert used(pool, 4) == ["a", "b", "c", "a"]
    pool.set_strategy("least-used")
    assert sorted(used(pool, 2)) == ["b", "c"]
    pool.set_strategy("fill-first")
    for name in ("c", "a", "b"):
        clock.advance(1)
        for other in {"a", "b", "c"} - {name}:
            pool.park(other)
        assert used(pool) == [name]
        pool.revive()
    pool.set_strategy("rest-time")
    clock.advance(1)
    assert used(pool) == ["c"]


def test_it_is_told():
    """Under its own name, by the pool and in its ``repr``; other names of it are taken."""
    pool = pool_of("a")
    assert pool.strategy == "round-robin"
    for name in ("default", "roll-polling"):
        pool.set_strategy("random")
        assert (pool.strategy, "random" in repr(pool)) == ("random", True)
        pool.set_strategy(name)
        assert pool.strategy == "round-robin"


def test_what_is_unknown_changes_nothing():
    """It is refused by name; the pool goes on in the order that it had."""
    pool = pool_of("a", "b", strategy="fill-first")
    for wrong in ("first", None, int):
        with pytest.raises(ConfigurationError, match="^strategy: "):
            pool.set_strategy(wrong)
    assert (pool.strategy, used(pool, 2)) == ("fill-first", ["a", "a"])


def test_the_same_again_goes_on_where_it_was():
    """Round-robin does not begin anew."""
    pool = pool_of("a", "b", "c")
    order = []
    for _ in range(6):
        order += used(pool)
        pool.set_strategy("round-robin")
    assert order == ["a", "b", "c"] * 2


@pytest.mark.parametrize(("old", "new"), list(itertools.permutations(STRATEGIES, 2)))
def test_limits_and_rests_stay(old, new):
    """What is full stays full, what is parked stays parked, and comes back in its time."""
    clock = ManualClock()
    pool = pool_of("a", "b", "c", clock=clock, strategy=old, rpm=2)
    pool.park("c", 90)
    used(pool, 3)
    pool.set_strategy(new)
    assert len(used(pool)) == 1
    for strategy in (old, new):
        with pytest.raises(NoKeyAvailable) as caught:
            pool.acquire(max_wait=0)
        assert caught.value.retry_after == pytest.approx(60)
        pool.set_strategy(strategy)
    clock.advance(60)
    assert Counter(used(pool, 4)) == {"a": 2, "b": 2}
    clock.advance(60)
    assert Counter(used(pool, 6)) == {"a": 2, "b": 2, "c": 2}


def test_orders_of_models_change_too():
    """Each model has an order of its own."""
    pool = KeyPool(
        [Key(f"sk-changed-{name}-0000", name=name, limits={"gpt-4o": Limits(rpm=9)}) for name in "ab"],
        clock=ManualClock(),
    )

    def of_model():
        with pool.lease("gpt-4o", max_wait=0) as lease:
            return lease.name

    assert [of_model(), of_model()] == ["a", "b"]
    pool.set_strategy("fill-first")
    assert [of_model(), of_model()] == ["a", "a"]


def test_who_waits_goes_on_waiting_and_is_served():
    """A change loses no waiter."""
    pool = KeyPool([Key("sk-changed-a-0000", name="a")], max_concurrency=1)
    lease = pool.acquire()
    got = []
    thread = threading.Thread(target=lambda: got.append(pool.acquire(max_wait=30)))
    thread.start()
    while not len(pool.line):
        thread.join(0.001)
    pool.set_strategy("least-used")
    assert got == []
    lease.settle()
    thread.join()
    got[0].settle()
    assert got[0].name == "a"


@pytest.mark.stress
def test_changes_in_the_midst_of_grants():
    """Threads take keys while another changes the strategy: no slot is lost, and none is granted twice."""
    pool = KeyPool([Key(f"sk-changed-{n}-0000", name=f"k{n}") for n in range(8)], rpm=100)
    counts, over = Counter(), threading.Event()
    lock = threading.Lock()

    def take():
        mine = []
        while True:
            try:
                mine += used(pool)
            except NoKeyAvailable:
                break
        with lock:
            counts.update(mine)

    def change():
        for strategy in itertools.cycle(STRATEGIES):
            if over.is_set():
                return
            pool.set_strategy(strategy)

    changer = threading.Thread(target=change)
    takers = [threading.Thread(target=take) for _ in range(4)]
    for thread in (changer, *takers):
        thread.start()
    for thread in takers:
        thread.join()
    over.set()
    changer.join()
    assert counts == {f"k{n}": 100 for n in range(8)}


def test_the_process_wide_pool_knows_its_new_strategy():
    """Asking for the old one contradicts it then."""
    manager = KeyManager(["sk-changed-a-0000"], strategy="random")
    manager.set_strategy("least-used")
    assert KeyManager(strategy="least-used") is manager
    with pytest.raises(ConfigurationError, match="^strategy: differs"):
        KeyManager(strategy="random")


def test_names_of_keys():
    """By the secret, the ``Key`` or itself; others are none."""
    pool = pool_of("a")
    (key,) = pool.keys
    assert {pool.name_of(each) for each in (key, key.secret, "a")} == {"a"}
    with pytest.raises(KeyError, match="there is no such key"):
        pool.name_of("sk-changed-b-0000")
