"""Who speaks for others, and what happens when that one is interrupted, or has been closed."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest

from stable_openai import KeyPool
from stable_openai.errors import PoolClosed
from stable_openai.stores.protocol import Ask
from stable_openai.stores.shared.ops import Op

KEYS = ["sk-speaking-a-0123456789abcdef", "sk-speaking-b-0123456789abcdef"]


@pytest.fixture
def pool(tmp_path):
    with KeyPool(KEYS, store=f"sqlite:///{tmp_path}/keys.db", max_concurrency=5, store_timeout=20) as pool:
        yield pool


@pytest.mark.parametrize("before", [True, False])
def test_interrupted_while_it_speaks_for_others(before, pool, monkeypatch):
    """What the others have asked is said by the next; a grant that nobody has got is given back."""
    speaker = pool.store._speaker
    exchange, others = pool.store._link.exchange, [Op("grant", None, 0, 1), Op("grant", None, 0, 2)]
    armed = [True]

    def interrupted(ops, **options):
        if not before:
            exchange(ops, **options)
        if armed and armed.pop():
            raise KeyboardInterrupt
        if before:
            exchange(ops, **options)

    monkeypatch.setattr(pool.store._link, "exchange", interrupted)
    told = [threading.Event() for _ in others]
    for op, event in zip(others, told, strict=True):
        op.then = lambda _op, event=event: event.set()
        speaker._queue.append(op)
    with pytest.raises(KeyboardInterrupt):
        pool.acquire()
    for op, event in zip(others, told, strict=True):
        assert event.wait(20)
        assert op.error is None
        assert op.result.name
    monkeypatch.undo()
    assert sum(row.in_flight for row in pool.status()) == len(others)


def test_a_replica_that_was_interrupted_is_read_anew(pool, monkeypatch):
    """Half an entry is worse than none."""
    link = pool.store._link
    apply = link.replica.engine.grant

    def interrupted(*args):
        apply(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(link.replica.engine, "grant", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pool.acquire()
    assert [(row.uses, row.in_flight) for row in pool.status()] == [(0, 0), (0, 0)]
    pool.acquire().settle()


def test_a_lease_that_is_collected_while_this_thread_speaks(pool, monkeypatch):
    """It waits for nothing, and is settled soon."""
    link, exchange = pool.store._link, pool.store._link.exchange
    lease = [pool.acquire()]

    def collecting(ops, **options):
        with link.lock, pytest.warns(ResourceWarning, match="never settled"):
            lease.clear()
            gc.collect()
        monkeypatch.undo()
        exchange(ops, **options)

    monkeypatch.setattr(link, "exchange", collecting)
    pool.acquire().settle()
    assert sum(row.in_flight for row in pool.status()) == 0


async def test_closed(tmp_path):
    """Whoever comes too late is told, and does not wait; what ran ends without a word, and nothing is opened again."""
    pool = KeyPool(KEYS, store=f"sqlite:///{tmp_path}/keys.db", max_concurrency=1)
    leases = [pool.acquire() for _ in KEYS]
    store = pool.store
    waiting = asyncio.create_task(pool.aacquire())
    while not pool.line.groups:
        await asyncio.sleep(0)
    await asyncio.to_thread(pool.close)
    pool.close()
    with pytest.raises(PoolClosed):
        await waiting
    with pytest.raises(PoolClosed):
        await store.agrant(Ask())
    with pytest.raises(PoolClosed):
        store.grant(Ask())
    for lease in leases:
        lease.settle()
    assert store._link.journal._session is None
    assert len(pool.status()) == len(KEYS)


def test_collected_without_being_closed(tmp_path):
    """Its thread ends, and closes the connection."""
    pool = KeyPool(KEYS, store=f"sqlite:///{tmp_path}/keys.db")
    journal, thread = pool.store._link.journal, pool.store._speaker._service._thread
    del pool
    gc.collect()
    thread.join(20)
    assert not thread.is_alive()
    assert journal._session is None
