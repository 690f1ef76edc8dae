"""What a pool shows of itself: status rows, a table, a repr. Never a secret."""

from __future__ import annotations

import pickle

import pytest

from stable_openai import (
    Answer,
    Key,
    KeyPool,
    KeyStatus,
    Limits,
    ManualClock,
    NoKeyAvailable,
    PoolClosed,
    RequestTooLarge,
)

SECRETS = [f"sk-statustest-{letter * 20}" for letter in "ab"]


@pytest.fixture
def pool():
    keys = [Key(SECRETS[0], name="lab", owner="org-1", limits={"*": {"rpm": 3}, "gpt-4o": Limits(tpm=100)}), SECRETS[1]]
    return KeyPool(keys, owners={"org-1": {"rpd": 50}}, rpm=2, clock=ManualClock())


def test_status_rows(pool):
    """Name, mask, owner, standing, counts, and each lane with its windows."""
    with pool.lease("gpt-4o", tokens=30) as lease:
        running = pool.status()[0]
    assert isinstance(running, KeyStatus)
    assert (running.name, running.masked, running.owner, running.standing) == ("lab", "sk-…aaaa", "org-1", "open")
    assert (running.uses, running.in_flight, running.failed, running.seconds_left) == (1, 1, 0, 0.0)
    assert [(lane.kind, lane.model) for lane in running.lanes] == [
        ("key", None),
        ("key and model", "gpt-4o"),
        ("owner", None),
    ]
    windows = {
        str(lane.kind): [(w.limit, w.used, w.left, w.what, w.per) for w in lane.windows] for lane in running.lanes
    }
    assert windows == {
        "key": [(3, 1, 2, "requests", "minute")],
        "key and model": [(100, 30, 70, "tokens", "minute")],
        "owner": [(50, 1, 49, "requests", "day")],
    }
    assert lease.settled
    assert pool.status()[0].in_flight == 0


def test_the_table(pool):
    """print(pool) is a table: one line a key, under a line of headings."""
    pool.park("lab", 5)
    heading, lab, other = str(pool).splitlines()
    assert heading.split()[:3] == ["key", "secret", "owner"]
    assert lab.split()[:3] == ["lab", "sk-…aaaa", "org-1"]
    assert "parked 5.0 s: parked by hand" in lab
    assert other.startswith("key-2")
    assert "0/2 requests per minute" in other


def test_the_repr_tells_the_state(pool):
    """How many keys, which strategy, how many wait."""
    assert repr(pool) == "<KeyPool of 2 keys, round-robin, 0 waiting>"
    assert "any model" in repr(pool.lease())
    with pool.lease("gpt-4o") as lease:
        assert repr(lease) == "<Lease of lab (sk-…aaaa), running>"
    assert repr(lease) == "<Lease of lab (sk-…aaaa), settled>"


def test_a_pool_is_a_collection_of_keys(pool):
    """len, iteration, and the keys in order."""
    assert len(pool) == 2
    assert [key.secret for key in pool] == [key.secret for key in pool.keys] == SECRETS
    assert str(KeyPool([])).count("\n") == 0


def test_a_pool_is_not_pickled(pool):
    """It holds secrets: another process makes its own."""
    with pytest.raises(TypeError, match="make one in each process"):
        pickle.dumps(pool)


def test_errors_carry_data_and_survive_pickling(pool):
    """``NoKeyAvailable`` and ``RequestTooLarge`` come out of another process as they went in."""
    for _ in range(2):
        with pool.lease("gpt-4o", tokens=50):
            pass
    with pytest.raises(NoKeyAvailable) as caught:
        for _ in range(3):
            with pool.lease("gpt-4o", tokens=90, max_wait=0):
                pass
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert (again.retry_after, again.reasons, again.model) == (60.0, caught.value.reasons, "gpt-4o")
    assert set(again.reasons) == {"lab", "key-2"}
    small = KeyPool([Key(SECRETS[0], limits={"tpm": 10})])
    with pytest.raises(RequestTooLarge) as caught, small.lease(tokens=11):
        pass
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.tokens, again.largest) == (11, 10)


def test_a_closed_pool_says_so(pool):
    """Whoever asks it for a key is told to make a new one; what runs ends as it would."""
    running = pool.acquire()
    with pool:
        pass
    for ask in (lambda: pool.acquire(), lambda: pool.lease().__enter__()):
        with pytest.raises(PoolClosed, match="make a new one"):
            ask()
    running.settle()
    assert pool.status()[0].in_flight == 0


def test_looking_changes_nothing():
    """A look between the moment at which a key's owner is found out, and the one at which that runs out of money."""
    pool = KeyPool(["sk-a", "sk-b"], clock=ManualClock())
    for _ in range(4):
        with pool.lease() as lease:
            lease.settle(Answer(200, {"openai-organization": f"org-{lease.name}"}, {"id": "x"}))
    assert {row.owner for row in pool.status()} == {"org-key-1", "org-key-2"}
    quota = {
        "error": {
            "code": "insufficient_quota",
            "message": "You exceeded your current quota",
            "type": "insufficient_quota",
        }
    }
    names = []
    for _ in range(6):
        with pool.lease() as lease:
            names.append(lease.name)
            answer = Answer(429, {}, quota) if lease.name == "key-1" else Answer(200, {}, {"id": "x"})
            lease.settle(answer)
        str(pool), pool.explain()
    assert names.count("key-1") == 1
