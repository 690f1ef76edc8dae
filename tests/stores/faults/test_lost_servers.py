"""A Redis server that dies, hangs or forgets in the midst of a crawl of two workers: no call is lost, limits are kept.

The bound, while the store is lost: each worker has its part of a limit, so all together keep it, but for what one had
granted and the other not heard yet. When the store is back, who returns first has the whole limit, while the others, for
the second at most until they have seen it too, have their parts still.
"""

from __future__ import annotations

import threading

import pytest

from stable_openai import KeyPool
from stable_openai.errors import StoreError
from tests.stores.faults.conftest import BACK, KEYS, LOST, Crawl, in_flight

pytestmark = pytest.mark.stress

RPM = 30
MINUTE = 1.0


def check(ledger, *, returned=1):
    """The bound; ``returned``: how many of the workers were there again while another was not."""
    assert ledger.most(MINUTE) <= RPM + ledger.unheard() + returned * RPM // 2


@pytest.fixture
def crawl(pools, log, ledger):
    """``crawl(url)``: two workers that ask the same store."""
    running = []

    def start(url, **options):
        workers = [pools(url, rpm=RPM, **options) for _ in range(2)]
        running.append(Crawl(workers))
        return workers, running[-1]

    yield start
    for one in running:
        one.stop()


@pytest.mark.parametrize("keeps", [False, True], ids=["empty", "with its data"])
def test_killed_and_restarted(keeps, request, crawl, log, ledger):
    """Calls go on in local mode; both return; what was granted meanwhile is known to both."""
    server = request.getfixturevalue("lasting_server" if keeps else "server")
    workers, calls = crawl(server.url)
    calls.wait_for(2 * RPM)
    server.kill()
    log.wait_for(LOST, 2)
    calls.wait_for(2 * RPM)
    server.start()
    log.wait_for(BACK, 2)
    calls.wait_for(2 * RPM)
    calls.stop()
    assert in_flight(*workers) == [0, 0]
    check(ledger)
    assert (log.count(LOST), log.count(BACK)) == (2, 2)
    assert log.count("each of 2 workers with its part of the limits") == 2
    counts = [[row.uses for row in worker.status()] for worker in workers]
    assert counts[0] == counts[1]
    assert sum(counts[0]) == calls.answered


def test_frozen(server, crawl, log, ledger):
    """Nothing answers, though connections stay open: calls go on after the time-out, and are not held up again."""
    workers, calls = crawl(server.url)
    calls.wait_for(2 * RPM)
    server.freeze()
    try:
        log.wait_for(LOST, 2)
        calls.wait_for(4 * RPM)
        assert log.count(BACK) == 0
    finally:
        server.thaw()
    log.wait_for(BACK, 2)
    calls.wait_for(RPM)
    calls.stop()
    assert in_flight(*workers) == [0, 0]
    check(ledger)
    assert sum(row.uses for row in workers[0].status()) == calls.answered


def test_scripts_are_flushed(server, crawl, log, ledger):
    """They are sent again, and nobody notices."""
    workers, calls = crawl(server.url)
    for _ in range(3):
        calls.wait_for(RPM // 2)
        assert server.ask("SCRIPT", "FLUSH")
    calls.wait_for(RPM)
    calls.stop()
    assert log.said == []
    assert in_flight(*workers) == [0, 0]
    assert ledger.most(MINUTE) <= RPM


def test_everything_is_flushed(server, crawl, log, ledger):
    """Who comes first begins the store anew with what it knows, and the other adds what it has not heard."""
    workers, calls = crawl(server.url)
    for _ in range(3):
        calls.wait_for(RPM)
        assert server.ask("FLUSHALL")
    calls.wait_for(RPM)
    calls.stop()
    assert log.count(LOST) == 0
    assert in_flight(*workers) == [0, 0]
    assert ledger.most(MINUTE) <= RPM
    assert sum(row.uses for row in workers[0].status()) == calls.answered


def test_a_slow_link(server, proxy, pools, log, ledger):
    """Pieces are held back, and connections dropped now and then."""
    proxy.delay, proxy.cut_every = 0.003, 50
    workers = [pools(proxy.url, rpm=RPM, store_timeout=5.0) for _ in range(2)]
    calls = Crawl(workers)
    calls.wait_for(6 * RPM)
    calls.stop()
    assert log.count(LOST) == 0
    assert in_flight(*workers) == [0, 0]
    assert ledger.most(MINUTE) <= RPM
    assert sum(row.uses for row in workers[0].status()) >= calls.answered


def test_a_link_that_is_slower_than_the_time_out(server, proxy, pools, log, ledger):
    """It is lost, again and again; calls go on."""
    workers = [pools(proxy.url, rpm=RPM, store_timeout=0.1) for _ in range(2)]
    calls = Crawl(workers)
    calls.wait_for(RPM)
    proxy.delay = 0.2
    log.wait_for(LOST, 2)
    calls.wait_for(2 * RPM)
    proxy.delay = 0.0
    log.wait_for(BACK, 2)
    calls.wait_for(RPM)
    calls.stop()
    assert in_flight(*workers) == [0, 0]
    check(ledger)


@pytest.mark.parametrize("on_store_error", ["local", "raise"])
def test_an_answer_is_lost(on_store_error, server, proxy, pools, log):
    """The store has granted, and nobody heard: what nobody has is given back, and counts for nothing."""
    pool = pools(proxy.url, rpm=RPM, max_concurrency=1, on_store_error=on_store_error)
    other = pools(server.url, rpm=RPM, max_concurrency=1)
    pool.acquire().settle()
    for times in range(1, 4):
        proxy.lost.clear()
        proxy.lose_answers = 3  # that of the call, and those of the new connection
        if on_store_error == "raise":
            with pytest.raises(StoreError):
                pool.acquire()
        else:
            pool.acquire().settle()
        assert proxy.lost.is_set()
        log.wait_for(BACK, times)
    assert in_flight(pool, other) == [0, 0]
    leases = [other.acquire(max_wait=0) for _ in KEYS]
    for lease in leases:
        lease.settle()
    assert sum(row.uses for row in other.status()) == (1 if on_store_error == "raise" else 4) + len(KEYS)


def test_raise(server, pools, log):
    """At once, for as long as the store is known to be lost; and it comes back by itself, with what ended meanwhile."""
    url = server.url.replace("redis://", "redis://:hunter2-secret@")
    server.ask("CONFIG", "SET", "requirepass", "hunter2-secret")
    server.password = "hunter2-secret"
    pool = pools(url, on_store_error="raise", max_concurrency=1)
    running = [pool.acquire() for _ in KEYS]
    waiting = []

    def wait():
        try:
            pool.acquire(max_wait=WAIT_LONG)
        except StoreError as error:
            waiting.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    server.kill()
    running[0].settle()  # its answer is not lost
    log.wait_for(LOST)
    thread.join(30)
    for _ in range(500):
        with pytest.raises(StoreError, match=rf"^redis://127\.0\.0\.1:{server.port}: .*it is tried again"):
            pool.acquire()
    running[1].settle()
    assert len(waiting) == 1
    for error in (*waiting, *log.said):
        assert "hunter2" not in str(error)
    server._config.write_text(server._config.read_text() + "requirepass hunter2-secret\n")
    server.start()
    log.wait_for(BACK)
    assert in_flight(pool) == [0]
    for lease in [pool.acquire(max_wait=0) for _ in KEYS]:
        lease.settle()
    assert (log.count(LOST), log.count(BACK)) == (1, 1)


WAIT_LONG = 300.0


def test_not_there_at_first(server, pools, log, ledger):
    """A pool works with limits of its own, and joins when the store appears: with its keys, and what it has counted."""
    server.kill()
    with pytest.raises(StoreError, match="127.0.0.1"):
        KeyPool(KEYS, store=server.url, on_store_error="raise", store_timeout=0.3)
    log.said.clear()
    pool = pools(server.url, rpm=5, rpd=8, minute=60.0, owners={"org": {"rpm": 100}})
    for _ in range(6):
        pool.acquire().settle()
    running = pool.acquire()
    assert (log.count(LOST), log.count(BACK)) == (1, 0)
    server.start()
    log.wait_for(BACK)
    other = pools(server.url, rpm=5, rpd=8, minute=60.0)
    assert [(row.uses, row.in_flight) for row in other.status()] == [(4, 1), (3, 0)]
    running.settle()
    got = [other.acquire(max_wait=0) for _ in range(3)]
    with pytest.raises(Exception, match="no key is eligible"):
        other.acquire(max_wait=0)
    for lease in got:
        lease.settle()
    assert in_flight(pool, other) == [0, 0]
    assert len(log.said) == 2


def test_closed_while_it_is_frozen(server, pools, log):
    """It does not wait for an answer that does not come; and again is nothing."""
    pool = pools(server.url)
    lease = pool.acquire()
    server.freeze()
    try:
        pool.close()
        pool.close()
        lease.settle()
    finally:
        server.thaw()
    assert log.said == []
