"""``pytest --store sqlite`` (or ``redis``): every pool that a test makes without a word of its store is a shared one.

So the tests of pools, leases, waiting and failover, which were written for the store in memory, are the conformance suite
of the others. Each pool has a file, or a namespace, of its own.
"""

from __future__ import annotations

import itertools

import pytest

from stable_openai.pool import pool
from stable_openai.pool.options import Options

_numbers = itertools.count()


@pytest.fixture(scope="session")
def _shared_server(request):
    """The server of the run, where it is to be on Redis."""
    if request.config.getoption("--store") != "redis":
        yield None
        return
    from .servers import Server  # which needs redis-py

    with Server() as server:
        yield server


@pytest.fixture(autouse=True)
def _in_memory_alone(request):
    if request.node.get_closest_marker("in_memory") and request.config.getoption("--store") != "memory":
        pytest.skip("about the store in memory alone")


@pytest.fixture(autouse=True)
def _store_of_the_run(request, monkeypatch, tmp_path_factory, _shared_server):
    kind = request.config.getoption("--store")
    if kind == "memory":
        yield
        return
    folder = tmp_path_factory.mktemp("stores") if kind == "sqlite" else None

    class Given:
        """Stands for ``Options`` where a pool is made."""

        @staticmethod
        def of(options):
            if "store" not in options:
                number = next(_numbers)
                url = f"sqlite:///{folder}/{number}.db" if folder else f"{_shared_server.url}?namespace=n{number}"
                options = {**options, "store": url}
            return Options.of(options)

    monkeypatch.setattr(pool, "Options", Given)
    yield
