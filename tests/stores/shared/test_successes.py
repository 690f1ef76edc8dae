"""A call that ended well, with nothing else to be told of it, is told with what comes next, or in a moment."""

from __future__ import annotations

import gc
import json
import sqlite3
import threading
from types import SimpleNamespace

import pytest

from stable_openai import KeyPool, ManualClock
from stable_openai.stores.shared import speaking
from stable_openai.stores.shared.ops import Op, seated

KEYS = [f"sk-successes-{number:024d}" for number in range(3)]


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/keys.db"


@pytest.fixture
def said(tmp_path):
    """``said()``: the entries about calls, without the worker's name."""

    def said():
        with sqlite3.connect(tmp_path / "keys.db") as connection:
            entries = [json.loads(text)[1:] for (text,) in connection.execute("SELECT text FROM log ORDER BY seq")]
        connection.close()
        return [entry for entry in entries if entry[1] in {"grant", "settle"}]

    return said


@pytest.fixture
def later(monkeypatch):
    """No success is told by itself before an hour is over."""
    monkeypatch.setattr(speaking, "_SOON", 3600.0)


def in_flight(pool):
    return sum(row.in_flight for row in pool.status())


def test_successes_ride_with_the_next_grant(url, said, later):
    """One entry for each lease but the last; whoever looks, in this process or another, sees all of it."""
    with KeyPool(KEYS, rpm=100, store=url) as pool, KeyPool(KEYS, rpm=100, store=url) as other:
        for _ in range(3):
            with pool.lease():
                pass
        assert [entry[1] for entry in said()] == ["grant"] * 3
        assert [type(entry[0]) for entry in said()] == [int, list, list]
        assert in_flight(other) == 1
        assert in_flight(pool) == 0
        assert in_flight(other) == 0
        assert sum(row.uses for row in other.status()) == 3


def test_a_success_is_told_in_a_moment(url, said):
    """With nothing else to say: by the store's own thread."""
    with KeyPool(KEYS, rpm=100, store=url) as pool:
        told = threading.Event()
        heard = pool.store._settled_soon
        pool.store._settled_soon = lambda op: (heard(op), told.set())
        with pool.lease():
            pass
        assert told.wait(30)
        assert [entry[1] for entry in said()] == ["grant", "settle"]


async def test_tasks(url, said, later):
    """Likewise."""
    with KeyPool(KEYS, rpm=100, store=url) as pool:
        for _ in range(3):
            async with pool.lease():
                pass
        assert [entry[1] for entry in said()] == ["grant"] * 3
        assert in_flight(pool) == 0


@pytest.mark.parametrize("limits", [{"max_concurrency": 1}, {"tpm": 1000}], ids=["places", "tokens"])
def test_what_others_may_wait_for_is_told_at_once(url, said, later, limits):
    """A place in flight, or tokens that were not used."""
    with KeyPool(KEYS[:1], store=url, **limits) as pool:
        for _ in range(2):
            with pool.lease(tokens=900 if "tpm" in limits else 0) as lease:
                lease.settle(tokens=100)
        assert [entry[1] for entry in said()] == ["grant", "settle"] * 2


def test_a_failure_and_what_follows_it_are_told_at_once(url, said, later):
    """What a success clears is told as well."""
    with KeyPool(KEYS[:1], store=url) as pool:
        with pool.lease() as lease:
            lease.settle(SimpleNamespace(status_code=500, headers={}, text="trouble"))
        for _ in range(2):
            with pool.lease():
                pass
        assert [entry[1] for entry in said()] == ["grant", "settle", "grant", "settle", "grant"]


def test_a_clock_that_is_moved_by_hand(url, said, later):
    """Nothing waits for a moment that may never come."""
    with KeyPool(KEYS, store=url, clock=ManualClock()) as pool:
        with pool.lease():
            pass
        assert [entry[1] for entry in said()] == ["grant", "settle"]


def test_a_pool_that_is_closed_or_forgotten_has_told_all(url, later):
    """Whoever comes next finds nothing that runs."""
    with KeyPool(KEYS, store=url) as pool, pool.lease():
        pass
    pool = KeyPool(KEYS, store=url)
    with pool.lease():
        pass
    thread = pool.store._speaker._service._thread
    del pool
    gc.collect()
    thread.join(30)
    with KeyPool(KEYS, store=url) as pool:
        assert in_flight(pool) == 0
        assert sum(row.uses for row in pool.status()) == 2


def test_order_is_kept():
    """A success rides with what was said right after it; the last one has an entry of its own."""
    grants, ends = [Op("grant", None, 0, number) for number in range(2)], [Op("settle", number) for number in range(4)]
    failed = Op("settle", 9, False)
    ops = [ends[0], ends[1], grants[0], ends[2], failed, grants[1], ends[3]]
    assert seated(ops) == [(grants[0], ends[:2]), (failed, [ends[2]]), (grants[1], []), (ends[3], [])]
    assert seated([]) == []


@pytest.mark.parametrize("model", [None, "gpt-4o", 'quoted "\\ \n', "größer \ud800 😀"])
def test_entries_by_hand_are_json(model):
    """The same text as JSON's own."""
    for op in (
        Op("grant", model, 5, 7),
        Op("settle", 3),
        Op("settle", 3, True, None),
        Op("beat"),
        Op("rest", model, 0.1),
    ):
        op.number = 12
        text = json.dumps(["w", 12, op.kind, *op.rest], separators=(",", ":"))
        assert op.text("w") == text
        assert op.text("w", [Op("settle", 1), Op("settle", 2)]) == text.replace("12", "[12,1,2]", 1)
