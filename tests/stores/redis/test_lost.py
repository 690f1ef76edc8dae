"""A server that is gone, that hangs, or that has forgotten: said in time, and over as soon as it is back."""

from __future__ import annotations

import socket
import threading

import pytest

from stable_openai.stores.shared.journal import Entry, Lost, Outdated
from tests.stores.redis.conftest import IDENTITY


def connections(server):
    """How many connections a server has, beside the one that asks."""
    with server.client() as client:
        return len(client.client_list()) - 1


def test_scripts_flushed(journal, server):
    """A server that has forgotten the scripts is told them again."""
    made = journal.append(IDENTITY, None, ["a"], wake=False)
    server.ask("SCRIPT", "FLUSH")
    assert list(journal.append(IDENTITY, Entry(1, made.at, "a"), ["b"], wake=False).seqs) == [2]
    server.ask("SCRIPT", "FLUSH")
    assert len(journal.open().entries) == 2


def test_killed_and_restarted_empty(own_server, journals):
    """While it is gone: Lost, with the place. After: what was known is outdated, and nothing is there."""
    journal = journals(own_server.url)
    journal.begin(IDENTITY, b"")
    made = journal.append(IDENTITY, None, ["a"], wake=False)
    own_server.kill()
    for _ in range(2):
        with pytest.raises(Lost, match=rf"^redis://{own_server.address}: .*refused"):
            journal.append(IDENTITY, Entry(1, made.at, "a"), ["b"], wake=False)
    own_server.start()
    with pytest.raises(Outdated):
        journal.append(IDENTITY, Entry(1, made.at, "a"), ["b"], wake=False)
    assert journal.open() is None


def test_restarted_unnoticed(own_server, journals):
    """A connection that is dead by now is replaced, without a word."""
    journal = journals(own_server.url)
    journal.begin(IDENTITY, b"")
    own_server.ask("CLIENT", "KILL", "TYPE", "normal")
    assert list(journal.append(IDENTITY, None, ["a"], wake=False).seqs) == [1]
    assert connections(own_server) == 1


def test_frozen(own_server, journals):
    """Neither a call nor connecting hangs on a server that hangs, and nothing is sent twice."""
    journal, fresh = journals(own_server.url, timeout=0.2), journals(own_server.url, timeout=0.2)
    journal.begin(IDENTITY, b"")
    own_server.freeze()
    for one in (journal, journal, fresh):
        with pytest.raises(Lost, match=r"no answer within 0.2 s"):
            one.append(IDENTITY, None, ["a"], wake=False)
    own_server.thaw()
    entries = journal.open().entries
    assert [entry.text for entry in entries] in ([], ["a"]), "the first had been sent, and may be there"
    last = entries[-1] if entries else None
    assert journal.append(IDENTITY, last, ["b"], wake=False).missed == []


def test_an_answer_that_trickles(journals):
    """A byte now and then is no answer in time either."""
    begun, done = threading.Event(), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            with listening.accept()[0] as one:
                while b"EVALSHA" not in (asked := one.recv(65536)):
                    one.sendall(b"+OK\r\n" * asked.count(b"SETINFO"))
                one.sendall(b"$1000000000\r\n")
                begun.set()
                while not done.is_set():
                    try:
                        one.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=serve)
        thread.start()
        journal = journals(f"redis://127.0.0.1:{listening.getsockname()[1]}", timeout=0.2)
        with pytest.raises(Lost, match=r"no answer within 0.2 s"):
            journal.open()
        done.set()
        thread.join(10)
    assert begun.is_set()


def test_not_a_redis(openai_simulator, journals):
    """A server of another kind is not waited for."""
    sim = openai_simulator(["sk-x"])
    with pytest.raises(Lost, match="Protocol|protocol|closed"):
        journals(f"redis://127.0.0.1:{sim.port}").open()


def test_interrupted(own_server, journals):
    """After Ctrl-C in the middle of a call, its answer is not taken for that of the next."""
    journal = journals(own_server.url)
    journal.begin(IDENTITY, b"")
    wire = journal._exchange._wire

    def interrupted(size):
        raise KeyboardInterrupt

    wire.recv = interrupted
    with pytest.raises(KeyboardInterrupt):
        journal.append(IDENTITY, None, ["a"], wake=False)
    assert [entry.text for entry in journal.open().entries] in ([], ["a"])


def test_a_replica_takes_nothing(own_server, journals):
    """Lost, as it may be the master again."""
    journal = journals(own_server.url)
    journal.begin(IDENTITY, b"")
    own_server.ask("REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(Lost, match="READONLY|read only replica"):
        journal.append(IDENTITY, None, ["a"], wake=False)
    own_server.ask("REPLICAOF", "NO", "ONE")
    assert list(journal.append(IDENTITY, None, ["a"], wake=False).seqs) == [1]


def test_out_of_memory(own_server, journals):
    """Likewise; reading goes on."""
    journal = journals(own_server.url)
    journal.begin(IDENTITY, b"")
    own_server.ask("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(Lost, match="OOM|maxmemory"):
        journal.append(IDENTITY, None, ["a"], wake=False)
    own_server.ask("CONFIG", "SET", "maxmemory", "0")
    assert list(journal.append(IDENTITY, None, ["a"], wake=False).seqs) == [1]


def test_closed(own_server, journals):
    """A journal that was closed opens nothing any more."""
    journal = journals(own_server.url)
    journal.begin(IDENTITY, b"")
    journal.listen(lambda: None)
    journal.close()
    journal.close()
    journal.listen(lambda: None)
    with pytest.raises(Lost, match="the journal was closed"):
        journal.append(IDENTITY, None, ["a"], wake=False)
    assert connections(own_server) == 0
