"""Sentinels: the master that they name is used, and the next one after a fail-over."""

from __future__ import annotations

import pytest

from stable_openai.stores.shared.journal import Entry, Lost
from tests.stores.redis.conftest import IDENTITY
from tests.stores.servers import Server


def replicate(master):
    """Wait until the replica has all that was written up to now."""
    with master.client() as client:
        client.set("a", "b")  # a client waits for what it has written itself, and what was written before that
        assert client.wait(1, 20_000) == 1


@pytest.fixture
def watched():
    """A master, its replica, and the sentinel that watches them and knows both."""
    with Server() as master, Server(replica_of=master) as replica:
        replicate(master)
        with Server(sentinel_of=master) as sentinel:
            yield master, replica, sentinel


def events(sentinel, client, *kinds):
    """Subscribed to what the sentinel reports; ``next`` waits for it."""
    with client.pubsub(ignore_subscribe_messages=False) as pubsub:
        pubsub.subscribe(*kinds)
        for message in pubsub.listen():
            if message["type"] == "message" or message["data"] == len(kinds):
                yield message


def test_fail_over(watched, journals):
    """The master dies, the replica takes over, and the journal goes on where it was."""
    master, replica, sentinel = watched
    with sentinel.client(decode_responses=True, socket_timeout=40) as client:
        reported = events(sentinel, client, "+slave", "+switch-master")
        next(reported)
        if not sentinel.ask("SENTINEL", "REPLICAS", "mymaster"):
            next(reported)
        journal = journals(f"redis+sentinel://127.0.0.1:{Server().port},{sentinel.address}/mymaster")
        journal.begin(IDENTITY, b"begun")
        first = journal.append(IDENTITY, None, ["a"], wake=False)
        replicate(master)

        master.kill()
        with pytest.raises(Lost, match=f"^redis://{master.address}: "):
            journal.append(IDENTITY, Entry(1, first.at, "a"), ["b"], wake=False)
        while "+switch-master" not in str(next(reported)):
            pass
        second = journal.append(IDENTITY, Entry(1, first.at, "a"), ["b"], wake=True)
        assert (list(second.seqs), second.missed) == ([2], [])
        assert journal.open().entries == [Entry(1, first.at, "a"), Entry(2, second.at, "b")]
        assert replica.ask("LLEN", next(iter(replica.ask("KEYS", "*:log")))) == 2
        reported.close()


def test_no_such_master(watched, journals):
    """Lost, as sentinels may be told of it yet; so it is where none is there."""
    *_, sentinel = watched
    with pytest.raises(Lost, match="no sentinel knows a master 'another'"):
        journals(f"redis+sentinel://{sentinel.address}/another").open()
    sentinel.kill()
    with pytest.raises(Lost, match=rf"^redis://{sentinel.address}: .*refused"):
        journals(f"redis+sentinel://{sentinel.address}/mymaster").open()
