"""A SQLite file that goes away, or is locked, in the midst of a crawl of two workers."""

from __future__ import annotations

import sqlite3

import pytest

from tests.stores.faults.conftest import BACK, LOST, Crawl, in_flight

pytestmark = pytest.mark.stress

RPM = 30


def test_deleted(tmp_path, pools, log, ledger):
    """Who notices first begins a new one with what it knows; the other adds what was not heard."""
    path = tmp_path / "keys.db"
    workers = [pools(f"sqlite:///{path}", rpm=RPM, store_timeout=5.0) for _ in range(2)]
    calls = Crawl(workers)
    calls.wait_for(2 * RPM)
    for file in tmp_path.iterdir():
        file.unlink()
    calls.wait_for(4 * RPM)
    calls.stop()
    assert path.exists()
    for worker in workers:
        worker.store._link.journal._session.look_at = 0.0  # each has noticed by now, or does
    assert in_flight(*workers) == [0, 0]
    assert in_flight(*workers) == [0, 0]
    assert sum(row.uses for row in workers[0].status()) == calls.answered
    # For the second in which one has noticed and the other not, each has the whole limit.
    assert ledger.most(1.0) <= 2 * RPM
    assert log.count(LOST) == 0


def test_locked_for_longer_than_the_time_out(tmp_path, pools, log, ledger):
    """Calls go on in local mode, however long; and with the store when it is free."""
    path = tmp_path / "keys.db"
    workers = [pools(f"sqlite:///{path}", rpm=RPM, store_timeout=0.1) for _ in range(2)]
    calls = Crawl(workers)
    calls.wait_for(2 * RPM)
    holder = sqlite3.connect(path, isolation_level=None, timeout=30)
    holder.execute("BEGIN IMMEDIATE")
    log.wait_for(LOST, 2)
    calls.wait_for(3 * RPM)
    assert log.count(BACK) == 0
    holder.execute("ROLLBACK")
    holder.close()
    log.wait_for(BACK, 2)
    calls.wait_for(RPM)
    calls.stop()
    assert in_flight(*workers) == [0, 0]
    assert sum(row.uses for row in workers[0].status()) == calls.answered
    assert ledger.most(1.0) <= RPM + ledger.unheard() + RPM // 2
