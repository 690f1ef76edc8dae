"""A crawl while the pool's slot moves from one node of a cluster to another, and while a master is replaced."""

from __future__ import annotations

import pytest

from tests.stores.faults.conftest import BACK, LOST, Crawl, in_flight
from tests.stores.redis.test_cluster import Slot
from tests.stores.redis.test_sentinel import events, replicate
from tests.stores.servers import Server, cluster_of

pytestmark = pytest.mark.stress

RPM = 30


@pytest.fixture
def nodes(_a_program):
    nodes = [Server(cluster=True).start() for _ in range(3)]
    try:
        cluster_of(nodes)
        yield nodes
    finally:
        for node in nodes:
            node.close()


def test_the_slot_moves(nodes, pools, log, ledger):
    """Before, while and after it moves: nobody notices."""
    url = f"redis+cluster://{','.join(node.address for node in nodes)}/?namespace=moving"
    workers = [pools(url, rpm=RPM, store_timeout=10.0) for _ in range(2)]
    slot = Slot(nodes, "moving")
    calls = Crawl(workers)
    for step in (slot.begin, slot.move_keys, slot.end):
        calls.wait_for(RPM)
        step()
    calls.wait_for(RPM)
    calls.stop()
    assert log.count(LOST) == 0
    assert in_flight(*workers) == [0, 0]
    assert ledger.most(1.0) <= RPM
    assert sum(row.uses for row in workers[0].status()) == calls.answered
    assert all(worker.store._link.journal._exchange._link.place.endswith(str(slot.target.port)) for worker in workers)


@pytest.mark.usefixtures("_a_program")
def test_fail_over(pools, log, ledger):
    """The master dies, its replica takes over; what that has not heard is told again."""
    with Server() as master, Server(replica_of=master):
        replicate(master)
        with Server(sentinel_of=master) as sentinel:
            with sentinel.client(decode_responses=True, socket_timeout=40) as client:
                reported = events(sentinel, client, "+slave", "+switch-master")
                next(reported)
                if not sentinel.ask("SENTINEL", "REPLICAS", "mymaster"):
                    next(reported)
                url = f"redis+sentinel://{sentinel.address}/mymaster"
                workers = [pools(url, rpm=RPM) for _ in range(2)]
                calls = Crawl(workers)
                calls.wait_for(2 * RPM)
                master.kill()
                log.wait_for(LOST, 2)
                log.wait_for(BACK, 2)
                calls.wait_for(2 * RPM)
                calls.stop()
                reported.close()
            assert in_flight(*workers) == [0, 0]
            assert sum(row.uses for row in workers[0].status()) == calls.answered
            assert ledger.most(1.0) <= RPM + ledger.unheard() + RPM // 2
            for worker in workers:
                worker.close()
