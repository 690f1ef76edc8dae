"""The shared stores against the slow, obvious model that the store in memory is held against."""

from __future__ import annotations

import itertools
import shutil
import tempfile

import pytest
from hypothesis import settings

from stable_openai.stores.shared.store import SharedStore
from tests.core.test_store_model import StoreMachine
from tests.stores.servers import Server

numbers = itertools.count()


class SharedMachine(StoreMachine):
    """Two workers take turns, so that each step is seen by a replica that did not make it."""

    url = ""

    def make_store(self):
        where = f"{self.url}{next(numbers)}"
        options = {"strategy": "round-robin", "pace": False, "minute": 60.0, "clock": self.clock}
        self.stores = [SharedStore(where, **options, on_error="raise", timeout=10.0, lease_ttl=1e9) for _ in range(2)]
        return Both(self.stores)

    def teardown(self):
        for store in getattr(self, "stores", ()):
            store.close()


class Both:
    """Hands each step to the other of two workers; a grant is settled by the one that has it."""

    def __init__(self, stores):
        self.stores = stores
        self.turns = itertools.cycle(stores)
        self.owners = {}

    def add(self, entries):
        for store in self.stores:
            store.add(entries)

    def set_owner(self, *told):
        for store in self.stores:
            store.set_owner(*told)

    def grant(self, ask):
        store = next(self.turns)
        found = store.grant(ask)
        self.owners[id(found)] = store, found  # and the grant itself, so that no id comes twice
        return found

    def quick(self, model):
        return None

    def settle(self, grant, outcome):
        return self.owners[id(grant)][0].settle(grant, outcome)

    def revive(self, names):
        return next(self.turns).revive(names)

    def pending_work(self):
        self.stores[0].snapshot()  # hears what the other has said
        return self.stores[0].pending_work()


@pytest.fixture(scope="module")
def _on_sqlite():
    folder = tempfile.mkdtemp()
    OnSqlite.url = f"sqlite:///{folder}/"
    yield
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def _on_redis():
    with Server() as server:
        OnRedis.url = f"{server.url}?namespace=n"
        yield


class OnSqlite(SharedMachine):
    pass


class OnRedis(SharedMachine):
    pass


for machine in (OnSqlite, OnRedis):
    machine.TestCase.settings = settings(max_examples=25, stateful_step_count=50, deadline=None)


@pytest.mark.usefixtures("_on_sqlite")
class TestSqlite(OnSqlite.TestCase):
    pass


@pytest.mark.usefixtures("_on_redis")
class TestRedis(OnRedis.TestCase):
    pass
