"""Keys come and go while the pool runs: add, remove, reload, revive, park."""

from __future__ import annotations

import pytest

from stable_openai import ConfigurationError, Key, KeyPool, Limits, ManualClock, NoKeyAvailable, Window, stable

A, B, C = (f"sk-changes-{letter * 20}" for letter in "abc")


def used(pool, model=None):
    """The secret of the next grant."""
    with pool.lease(model, max_wait=0) as lease:
        return str(lease.api_key)


def test_keys_get_names_that_stay():
    """Their own, or ``key-N`` in the order in which they came; a number is not used again."""
    pool = KeyPool([A, Key(B, name="lab")])
    assert pool.add(C) == "key-3"
    pool.remove("key-1")
    assert pool.add("sk-changes-another-key-0001") == "key-4"
    assert [status.name for status in pool.status()] == ["lab", "key-3", "key-4"]


def test_a_number_that_is_taken_is_left_out():
    """A key that the user calls ``key-2`` does not clash with those that are numbered."""
    pool = KeyPool([A, Key(B, name="key-2"), C])
    assert [status.name for status in pool.status()] == ["key-1", "key-2", "key-3"]
    with pytest.raises(ConfigurationError, match=r"^key\.name: 'key-1' is the name of another key"):
        pool.add(Key("sk-changes-another-key-0001", name="key-1"))


def test_add_takes_a_secret_with_fields_or_a_key():
    """All fields of a key can be given; the pool's limits hold where it says none of its own."""
    pool = KeyPool([A], rpm=5)
    assert pool.add(B, name="lab", owner="org-1", limits={"gpt-4o": Limits(rpm=2)}, weight=2) == "lab"
    lab = pool.keys[1]
    assert (lab.owner, lab.weight, lab.model_limits) == ("org-1", 2.0, {"gpt-4o": Limits(rpm=2)})
    assert [used(pool) for _ in range(10)].count(B) == 5
    with pytest.raises(NoKeyAvailable):
        used(pool)


def test_adding_what_is_there_is_refused_by_name_and_mask():
    """The message says under which name it is there."""
    pool = KeyPool([Key(A, name="lab")])
    with pytest.raises(ConfigurationError, match=r"sk-…aaaa is in this pool already, as lab"):
        pool.add(A)
    with pytest.raises(ConfigurationError):
        pool.add("")
    assert len(pool) == 1


def test_a_removed_key_is_out_of_use_at_once():
    """The very next call has another key; the lease that runs goes on and settles without harm."""
    pool = KeyPool([A, B])
    running = pool.acquire()
    assert running.api_key == A
    pool.remove(running.key)
    assert {used(pool) for _ in range(4)} == {B}
    running.settle()
    pool.remove(B)  # by name, by secret or by key
    assert len(pool) == 0
    with pytest.raises(NoKeyAvailable, match=r"the pool has no keys: pool.add"):
        used(pool)
    with pytest.raises(KeyError):
        pool.remove("key-1")


def test_a_key_that_comes_back_starts_afresh():
    """Removed and added again, it has its full limits and no past."""
    pool = KeyPool([Key(A, name="lab", limits={"rpm": 1})])
    used(pool)
    pool.park("lab")
    pool.remove("lab")
    pool.add(Key(A, name="lab", limits={"rpm": 1}))
    assert used(pool) == A


def test_merge_adds_what_is_new_and_keeps_what_is_known():
    """The known key's count is kept, and so is its description."""
    pool = KeyPool([Key(A, limits={"rpm": 1})])
    used(pool)
    pool.merge([Key(A, limits={"rpm": 9}), B])
    assert [used(pool) for _ in range(2)] == [B, B]
    assert pool.keys[0].limits == Limits(rpm=1)


def test_reload_reconciles():
    """What left is out at once, what stayed keeps its counts, what is new starts afresh, a new order is fine."""
    pool = KeyPool([A, B], rpm=2)
    for _ in range(3):
        used(pool)
    pool.reload([C, B])
    uses = {status.masked: status.uses for status in pool.status()}
    assert uses == {"sk-…bbbb": 1, "sk-…cccc": 0}
    assert sorted(used(pool) for _ in range(3)) == [B, C, C]
    with pytest.raises(NoKeyAvailable):
        used(pool)


def test_a_replaced_secret_under_an_old_name_starts_afresh():
    """The name stays, the counts and the retirement of the old secret do not."""
    pool = KeyPool([Key(A, name="lab")], rpm=1)
    lease = pool.acquire()
    lease.settle(FakeAnswer(401, {"error": {"code": "invalid_api_key", "message": "no"}}))
    assert pool.status()[0].standing == "retired"
    pool.reload([Key(B, name="lab")])
    assert (pool.status()[0].standing, pool.status()[0].masked) == ("open", "sk-…bbbb")
    assert used(pool) == B


def test_names_can_be_swapped_by_reload():
    """Each secret starts afresh under its new name."""
    pool = KeyPool([Key(A, name="x"), Key(B, name="y")])
    pool.reload([Key(A, name="y"), Key(B, name="x")])
    assert {key.name: key.secret for key in pool.keys} == {"x": B, "y": A}
    assert sorted(used(pool) for _ in range(2)) == [A, B]


def test_reload_takes_new_limits_and_keeps_the_counts():
    """A lower limit counts what was used before; a higher one has room at once."""
    pool = KeyPool([Key(A, limits={"rpm": 5})])
    for _ in range(3):
        used(pool)
    pool.reload([Key(A, limits={"rpm": 3})])
    with pytest.raises(NoKeyAvailable):
        used(pool)
    pool.reload([Key(A, limits={"rpm": 4})])
    assert used(pool) == A
    with pytest.raises(NoKeyAvailable):
        used(pool)


def test_a_reload_with_a_bad_key_changes_nothing():
    """The pool is as it was, counts included."""
    pool = KeyPool([A, B])
    used(pool)
    before = pool.status()
    for bad in ([C, "bad key"], [C, C], [Key(C, name="n"), Key(A, name="n")], [A, Key(C, name="key-1")]):
        with pytest.raises(ConfigurationError):
            pool.reload(bad)
    assert [(status.name, status.uses) for status in pool.status()] == [(s.name, s.uses) for s in before]


def test_models_that_change_by_reload():
    """A key that is no longer for a model is not used for it, and one that is now, is."""
    pool = KeyPool([Key(A, models=["gpt-4o"]), Key(B, models=["mini"])])
    assert used(pool, "gpt-4o") == A
    pool.reload([Key(A, models=["mini"]), Key(B)])
    assert {used(pool, "gpt-4o") for _ in range(3)} == {B}
    assert {used(pool, "mini") for _ in range(4)} == {A, B}


def test_park_and_revive():
    """A parked key rests until it is revived or its time is over; some 600 s, if nothing else is said."""
    clock = ManualClock()
    pool = KeyPool([A, Key(B, name="lab")], clock=clock)
    pool.park(A)
    assert {used(pool) for _ in range(3)} == {B}
    status = pool.status()[0]
    assert (status.standing, status.reason) == ("parked", "parked by hand")
    assert 600.0 <= status.seconds_left < 700.0  # with a little jitter, as nobody named a moment
    pool.revive(A)
    assert {used(pool) for _ in range(4)} == {A, B}
    pool.park("lab", 5, "on holiday")
    assert pool.status()[1].reason == "on holiday"
    clock.advance(4.999)
    assert {used(pool) for _ in range(4)} == {A}
    clock.advance(0.001)
    assert {used(pool) for _ in range(4)} == {A, B}
    with pytest.raises(KeyError, match="no such key"):
        pool.park("nobody")
    with pytest.raises(KeyError, match="no such key"):
        pool.revive("nobody")


def test_a_later_cooldown_replaces_a_shorter_one_and_never_the_reverse():
    """Parked for long, a key is not let out early by a shorter rest."""
    clock = ManualClock()
    pool = KeyPool([A], clock=clock)
    pool.park(A, 100)
    pool.park(A, 10)
    assert pool.status()[0].seconds_left == 100.0
    pool.park(A, 200)
    assert pool.status()[0].seconds_left == 200.0


def test_revive_brings_a_retired_key_back():
    """Never used until then; afterwards like any other. One revives one key, or one model, or all."""
    pool = KeyPool([A, B])
    dead = FakeAnswer(401, {"error": {"code": "invalid_api_key", "message": "no"}})
    for _ in range(2):
        pool.acquire().settle(dead)
    assert [status.standing for status in pool.status()] == ["retired", "retired"]
    with pytest.raises(NoKeyAvailable, match="none is expected back") as caught:
        used(pool)
    assert caught.value.retry_after is None
    assert set(caught.value.reasons) == {"key-1", "key-2"}
    pool.revive(B)
    assert {used(pool) for _ in range(2)} == {B}
    pool.revive()
    assert {used(pool) for _ in range(4)} == {A, B}


def test_events_tell_of_each_change():
    """A listener sees them in order, until it is forgotten; one that fails harms nobody."""
    pool = KeyPool([A])
    seen, failing = [], pool.on_event(lambda event: 1 / 0)
    forget = pool.on_event(seen.append)
    pool.add(B, name="lab")
    pool.park("lab", 5)
    pool.revive("lab")
    pool.remove("lab")
    pool.acquire().settle(FakeAnswer(401, {"error": {"code": "invalid_api_key", "message": "no"}}))
    assert [(event.kind, event.key) for event in seen] == [
        ("added", "lab"),
        ("parked", "lab"),
        ("revived", "lab"),
        ("removed", "lab"),
        ("retired", "key-1"),
    ]
    forget()
    failing()
    pool.revive()
    assert len(seen) == 5


def test_the_functions_of_a_pool_go_on_while_it_changes():
    """A decorated function takes each change at its next call."""
    pool = KeyPool([A])
    ask = stable(pool=pool)(lambda api_key: str(api_key))
    assert ask() == A
    pool.reload([B])
    assert ask() == B
    pool.add(C)
    assert {ask() for _ in range(2)} == {B, C}


def test_windows_beside_the_named_limits():
    """Any window can be given, such as 2 requests in 10 seconds."""
    clock = ManualClock()
    pool = KeyPool([A], windows=[Window("requests", 2, seconds=10)], rpm=3, clock=clock)
    used(pool), used(pool)
    with pytest.raises(NoKeyAvailable) as caught:
        used(pool)
    assert caught.value.retry_after == 10.0
    clock.advance(10)
    used(pool)
    clock.advance(10)
    with pytest.raises(NoKeyAvailable) as caught:
        used(pool)
    assert caught.value.retry_after == 40.0


class FakeAnswer(Exception):
    """An answer as any library's exception carries it."""

    def __init__(self, status, body, headers=None):
        super().__init__(f"HTTP {status}")
        self.status_code = status
        self.body = body
        self.headers = headers or {}
