"""Waking others: between processes and without polling; and listeners that are gone."""

from __future__ import annotations

import logging
import os
import socket
import sqlite3
import threading
import time
from contextlib import closing

import pytest

from stable_openai.stores.shared.sqlite import nudges
from stable_openai.stores.shared.sqlite import session as sqlite_session


class Calls:
    """A callback, and how often it was called."""

    def __init__(self):
        self.there = threading.Semaphore(0)
        self.number = 0

    def __call__(self):
        self.number += 1
        self.there.release()

    def wait(self):
        assert self.there.acquire(timeout=30)


@pytest.fixture
def listeners(path):
    def listeners():
        with closing(sqlite3.connect(path)) as connection:
            return connection.execute("SELECT port, token, namespace FROM listeners ORDER BY rowid").fetchall()

    return listeners


def wake(port, token):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(token, ("127.0.0.1", port))


def test_another_process_is_woken(journal, add, program):
    """With the entry in the file when it looks; without ``wake``, nobody is."""
    listener = program("""
opened = journal.open()
woken = threading.Semaphore(0)
journal.listen(woken.release)
say("listens")
woken.acquire()
say(journal.append("one", None, [], wake=False).missed[-1].text)
journal.close()
say(threading.active_count())
""")
    assert listener.hear() == "listens"
    a, _ = add(journal, None, "quiet")
    add(journal, a, "loud", wake=True)
    assert listener.over() == ["loud", "1"]


def test_who_is_woken(make, journal, add, listeners):
    """All who listen to this pool, but for the one who wakes them."""
    own, other, elsewhere = Calls(), Calls(), Calls()
    journal.listen(own)
    journal.listen(own)
    second, third = make(), make(namespace="elsewhere")
    second.open()
    second.listen(other)
    third.listen(elsewhere)
    assert [namespace for _, _, namespace in listeners()] == ["default", "default", "elsewhere"]
    last = None
    for _ in range(3):
        last, _ = add(journal, last, "x", wake=True)
        other.wait()
    second.append("one", last, ["y"], wake=True)
    own.wait()
    assert (own.number, other.number, elsewhere.number) == (1, 3, 0)
    second.close()
    assert len(listeners()) == 2
    second.close()
    add(journal, None, "nobody hears", wake=True)
    journal.close()
    third.close()
    assert listeners() == []


def test_waking_with_nothing_to_say(make, journal, add):
    """Others are woken by word alone too: what was said before may matter more than its author knew."""
    calls, second = Calls(), make()
    second.open()
    second.listen(calls)
    last, _ = add(journal, None, "quiet")
    assert calls.number == 0
    journal.append("one", last, [], wake=True)
    calls.wait()
    journal.append("one", last, [], wake=False)
    add(journal, last, "loud", wake=True)
    calls.wait()
    assert calls.number == 2


def test_listening_before_there_is_a_file(make, add):
    """Whoever begins it writes down who listens."""
    calls = Calls()
    first = make()
    first.listen(calls)
    first.begin("one", b"")
    add(make(), None, "x", wake=True)
    calls.wait()


def test_a_wrong_token_is_passed_over_and_many_are_one_call(journal, listeners):
    """What waits in the socket while the callback runs is one more call."""
    calls, entered, leave = Calls(), threading.Semaphore(0), threading.Semaphore(0)

    def slow():
        calls()
        entered.release()
        assert leave.acquire(timeout=30)

    journal.listen(slow)
    ((port, token, _),) = listeners()
    for wrong in (b"", b"x", b"x" * 8, token + b"x", token[:-1]):
        wake(port, wrong)
    wake(port, token)
    assert entered.acquire(timeout=30)
    for _ in range(50):
        wake(port, token)
    leave.release()
    assert entered.acquire(timeout=30)
    leave.release()
    journal.close()
    assert calls.number == 2


def test_a_callback_that_fails_is_called_again(journal, listeners, caplog):
    """And what went wrong is logged."""
    calls = Calls()

    def failing():
        calls()
        raise ValueError("oh")

    journal.listen(failing)
    ((port, token, _),) = listeners()
    for _ in range(2):
        wake(port, token)
        calls.wait()
    journal.close()
    assert [record.exc_info[0] for record in caplog.records] == [ValueError, ValueError]


def test_closing_from_the_callback(journal, listeners):
    """It does not wait for itself."""
    over = threading.Event()

    def close():
        journal.close()
        over.set()

    journal.listen(close)
    thread = journal._listener._thread
    wake(*listeners()[0][:2])
    assert over.wait(30)
    thread.join()


@pytest.mark.skipif(os.name == "nt", reason="the system does not tell there")
def test_a_listener_that_died(journal, add, program, listeners):
    """It is dropped as soon as the system says that nobody is there."""
    dead = program('journal.open(); journal.listen(print); say("listens"); hear()')
    assert dead.hear() == "listens"
    assert len(listeners()) == 1
    dead.process.kill()
    dead.process.wait()
    last, _ = add(journal, None, "x", wake=True)
    last, _ = add(journal, last, "x", wake=True)
    assert listeners() == []


@pytest.mark.skipif(os.name == "nt", reason="the system does not tell there")
def test_a_dead_listener_while_the_file_is_locked(journal, add, listeners, path, monkeypatch):
    """What is woken was stored already: nobody waits to tidy up."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        port = gone.getsockname()[1]
    journal.open()
    journal._session.enlist((port, b"deadbeef"))
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as blocker:
        ring = journal._bell.ring

        def lock_and_ring(who):
            blocker.execute("BEGIN IMMEDIATE")
            return ring(who)

        monkeypatch.setattr(journal._bell, "ring", lock_and_ring)
        last, _ = add(journal, None, "x", wake=True)
        blocker.execute("ROLLBACK")
        assert len(listeners()) == 1
        monkeypatch.undo()
        add(journal, last, "y", wake=True)
    assert listeners() == []


def test_listeners_are_listed_for_a_day(make, listeners):
    """One that lives lists itself again each hour; what was not is dropped, and so is what is past 256."""
    now = [1000.0]
    journal = make(time=lambda: now[0])
    journal.begin("one", b"")
    session = journal._session
    for number in range(300):
        now[0] += 1
        session.enlist((9, b"%08d" % number))
    assert [token for _, token, _ in listeners()] == [b"%08d" % number for number in range(44, 300)]
    now[0] += 86_400 - 10
    journal.listen(print)
    assert len(listeners()) == 12
    now[0] += 86_400
    session.look_at = session._list_at = time.monotonic()
    journal.append("one", None, [], wake=False)
    assert [token for _, token, _ in listeners()] == [journal._listener.token]
    assert session._list_at > time.monotonic() + sqlite_session._LIST_EVERY - 100


def test_a_listener_that_could_not_be_listed(make, journal, listeners, path):
    """The file was locked then: it is made up for at the next look."""
    with closing(sqlite3.connect(path, isolation_level=None)) as blocker:
        hasty = make(timeout=0.01)
        hasty.open()
        blocker.execute("BEGIN IMMEDIATE")
        hasty.listen(print)
        assert listeners() == []
        blocker.execute("ROLLBACK")
    hasty.open()
    assert len(listeners()) == 1


def test_closing_while_the_file_is_locked(make, journal, listeners, path):
    """It ends all the same, and others will find that nobody is there."""
    hasty = make(timeout=0.01)
    hasty.open()
    hasty.listen(print)
    with closing(sqlite3.connect(path, isolation_level=None)) as blocker:
        blocker.execute("BEGIN IMMEDIATE")
        hasty.close()
    assert len(listeners()) == 1


def test_without_a_loopback(make, journal, add, monkeypatch, caplog):
    """One line at DEBUG, and all else works."""

    class NoSocket:
        def __init__(self, *rest):
            raise OSError("no sockets here")

    other = make()
    other.open()
    other.listen(print)
    monkeypatch.setattr(nudges.socket, "socket", NoSocket)
    journal.listen(print)
    journal.listen(print)
    add(journal, None, "x", wake=True)
    journal.close()
    monkeypatch.undo()
    assert [(record.levelno, "no loopback" in record.message) for record in caplog.records] == [(logging.DEBUG, True)]


def test_a_port_that_can_not_be_had(monkeypatch):
    """Nothing is left open."""

    class Bound(socket.socket):
        def bind(self, address):
            raise OSError("none is free")

    monkeypatch.setattr(nudges.socket, "socket", Bound)
    with pytest.raises(OSError, match="none is free"):
        nudges.Listener(print)
