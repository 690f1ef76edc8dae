"""Workers that die, are forked, are silent for too long, or have another time of day."""

from __future__ import annotations

import os
import threading

import pytest

from stable_openai.errors import NoKeyAvailable
from tests.stores.faults.conftest import LOST, in_flight

pytestmark = pytest.mark.stress

HOLDER = """
from stable_openai import KeyPool

pool = KeyPool(KEYS, store=sys.argv[1], max_concurrency=1, lease_ttl=float(sys.argv[2]))
leases = [pool.acquire() for _ in KEYS]
say("held"); hear()
"""


def taken(pool, **ask):
    """Take and settle until there is no more; how many."""
    number = 0
    while True:
        try:
            pool.acquire(max_wait=0, **ask).settle()
        except NoKeyAvailable:
            return number
        number += 1


def test_a_worker_that_is_killed(url, pools, program):
    """What it held is given back after ``lease_ttl``, to who waits for it."""
    pool = pools(url, max_concurrency=1, lease_ttl=1.0, store_timeout=5.0)
    worker = program(HOLDER, url, "1.0")
    assert worker.hear() == "held"
    with pytest.raises(NoKeyAvailable):
        pool.acquire(max_wait=0)
    got, thread = [], None
    thread = threading.Thread(target=lambda: got.append(pool.acquire(max_wait=40)))
    thread.start()
    worker.process.kill()
    thread.join(40)
    got.append(pool.acquire(max_wait=40))
    assert {lease.name for lease in got} == {"key-1", "key-2"}
    for lease in got:
        lease.settle()
    assert in_flight(pool) == [0]
    assert pool.store.workers == 1


def test_a_worker_that_ends(url, pools, program):
    """In order, or as a script does: it takes leave, and nobody waits for the time to pass."""
    pool = pools(url, max_concurrency=1, lease_ttl=1e6, store_timeout=5.0)
    worker = program(HOLDER + "for lease in leases: lease.settle()\n", url, "1e6")
    assert worker.hear() == "held"
    pool.status()
    assert pool.store.workers == 2
    worker.say("go")
    worker.over()
    assert in_flight(pool) == [0]
    assert pool.store.workers == 1


def test_a_worker_that_was_given_up(url, pools):
    """It comes back: what was heard of it counts once, what still runs takes its place again, what has ended is told."""
    pool = pools(url, rpm=20, minute=60.0, max_concurrency=2, lease_ttl=0.5, store_timeout=5.0)
    other = pools(url, rpm=20, minute=60.0, max_concurrency=2, lease_ttl=0.5, store_timeout=5.0)
    for _ in range(4):
        pool.acquire().settle()
    running = [pool.acquire() for _ in range(4)]
    pool.store._speaker.watch.end()  # from now on it gives no sign
    got = other.acquire(max_wait=40)
    assert other.store.workers == 1
    got.settle()
    running[0].settle()
    assert [(row.uses, row.in_flight) for row in other.status()] == [(5, 1), (4, 2)]
    for lease in running:
        lease.settle()
    assert in_flight(pool, other) == [0, 0]
    assert taken(other) == 2 * 20 - 9


FORKS = """
from stable_openai import KeyPool, NoKeyAvailable
pool = KeyPool(KEYS, store=sys.argv[1], max_concurrency=50, store_timeout=20)
over, problems = threading.Event(), []

def hammer():
    while not over.is_set():
        try:
            with pool.lease():
                pass
        except Exception as error:
            problems.append(error)

def in_child():
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            for _ in range(3):
                with pool.lease(max_wait=20):
                    pass
            pool.close()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

threads = [threading.Thread(target=hammer, daemon=True) for _ in range(3)]
for thread in threads:
    thread.start()
codes = [in_child() for _ in range(8)]
over.set()
for thread in threads:
    thread.join(20)
assert codes == [0] * 8, codes
assert problems == [], problems
assert [row.in_flight for row in pool.status()] == [0, 0]
say(pool.store.workers)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_forks_while_threads_ask(url, program):
    """Each child is a worker of its own, with connections of its own; the parent goes on."""
    assert program(FORKS, url).over() == ["1"]


SKEWED = """
real_time, real_monotonic = time.time, time.monotonic
offset = float(sys.argv[2])
time.time = lambda: real_time() + offset
time.monotonic = lambda: real_monotonic() + offset
from stable_openai import KeyPool
pool = KeyPool(KEYS, store=sys.argv[1], rpm=10, minute=1.0, store_timeout=20)
for _ in range(40):
    pool.acquire(max_wait=40).settle()
say("done")
"""


@pytest.mark.parametrize("offset", ["90", "-90"])
def test_a_machine_whose_clock_is_off(offset, server, pools, program, ledger):
    """The server's clock is the one that counts."""
    pool = pools(server.url, rpm=10, store_timeout=20)
    worker = program(SKEWED, server.url, offset)
    for _ in range(40):
        pool.acquire(max_wait=40).settle()
    assert worker.hear() == "done"
    worker.over()
    pool.status()
    assert len(ledger.grants) == 80
    assert len({name for name, _ in ledger.grants}) == 2
    assert ledger.most(1.0) <= 10


ENDS = """
from stable_openai import KeyPool
pool = KeyPool(KEYS, store=sys.argv[1], store_timeout=0.3)
lease = pool.acquire()
say("held"); hear()
lease.settle()
say("over")
"""


@pytest.mark.parametrize("trouble", ["freeze", "kill"])
def test_the_process_ends_though_the_store_is_lost(trouble, server, program):
    """Nothing keeps it: no thread, no connection, no leave that can't be taken."""
    worker = program(ENDS, server.url)
    assert worker.hear() == "held"
    getattr(server, trouble)()
    try:
        worker.say("go")
        assert worker.over() == ["over"]
    finally:
        if trouble == "freeze":
            server.thaw()


@pytest.mark.parametrize(
    "told",
    [{"rpm": 10}, {"rpm": 3}, {"rpm": 1}, {"rpm": 7, "max_concurrency": 5}, {"rpd": 11}, {"rpd": 11, "zone": "UTC"}],
    ids=str,
)
def test_parts_in_local_mode(told, server, pools, log, ledger):
    """Three workers, each with all that it has heard: together they take what was left, and not one more."""
    workers = [pools(server.url, minute=60.0, **told) for _ in range(3)]
    workers[0].acquire().settle()
    assert in_flight(*workers) == [0, 0, 0]
    server.kill()
    limit = told.get("rpm") or told["rpd"]
    assert sum(taken(worker) for worker in workers) == 2 * limit - 1
    assert log.count(LOST) == 3


def test_tokens_and_places_in_local_mode(server, pools):
    """Tokens are divided as requests are; so are places, once those that others had taken are free."""
    workers = [pools(server.url, minute=60.0, tpm=100, max_concurrency=3, lease_ttl=1.0) for _ in range(2)]
    running = [workers[0].acquire(tokens=10) for _ in range(4)]
    assert in_flight(*workers) == [4, 4]
    server.kill()
    leases = [workers[1].acquire(tokens=10, max_wait=0)]
    with pytest.raises(NoKeyAvailable):  # of each key one place was free, and of one key it is the other's
        workers[1].acquire(tokens=10, max_wait=0)
    leases.append(workers[1].acquire(tokens=10, max_wait=40))  # until the others' are given up
    for lease in (*running, *leases):
        lease.settle(tokens=10)
    assert sum(taken(worker, tokens=10) for worker in workers) == 20 - 6
