"""Being woken: by others, over restarts, and never after ``close``."""

from __future__ import annotations

import logging
import threading
import types

import pytest

from stable_openai.stores.shared.redis import listener
from stable_openai.stores.shared.redis.wire import Refused
from tests.stores.redis.conftest import IDENTITY

WAIT_S = 20


class Bell:
    """A callback that can be waited for."""

    def __init__(self):
        self._rung = threading.Semaphore(0)

    def __call__(self):
        self._rung.release()

    def wait(self):
        assert self._rung.acquire(timeout=WAIT_S), "nobody has called"

    def is_silent(self):
        return not self._rung.acquire(blocking=False)


def listener_threads():
    return [thread for thread in threading.enumerate() if thread.name == "stable_openai listener"]


def test_woken(journal, journals, server):
    """Others are told when it is worth looking, and only then; whoever says so is not told himself."""
    other, heard, own = journals(server.url), Bell(), Bell()
    other.listen(heard)
    other.listen(heard)
    journal.listen(own)
    heard.wait()
    own.wait()
    assert len(listener_threads()) == 2, "listening twice is listening once"
    journal.append(IDENTITY, None, ["quiet"], wake=False)
    journal.append(IDENTITY, other.open().entries[-1], ["loud"], wake=True)
    heard.wait()
    other.append(IDENTITY, other.open().entries[-1], [], wake=True)
    own.wait()
    assert heard.is_silent()
    assert own.is_silent()


def test_a_callback_that_fails(journal, journals, server, caplog):
    """It is logged, and the next message comes all the same."""
    bell = Bell()

    def fail():
        bell()
        raise ValueError("no use")

    other = journals(server.url)
    other.listen(fail)
    bell.wait()
    journal.append(IDENTITY, None, [], wake=True)
    bell.wait()
    other.close()
    assert caplog.text.count("ValueError: no use") == 2


def test_survives_a_restart(own_server, journals):
    """It connects again by itself, and calls then, as something may have been missed."""
    one, other, bell = journals(own_server.url), journals(own_server.url), Bell()
    one.begin(IDENTITY, b"")
    other.listen(bell)
    bell.wait()
    own_server.restart()
    bell.wait()
    one.begin(IDENTITY, b"")
    one.append(IDENTITY, None, ["a"], wake=True)
    bell.wait()


def test_close_ends_it(own_server, journals):
    """No thread and no connection is left: while it reads, while it waits to try again, and from within a callback."""
    reading, waiting, within = (journals(own_server.url) for _ in range(3))
    bell, ended = Bell(), threading.Event()
    reading.listen(bell)
    bell.wait()
    reading.close()
    assert listener_threads() == []

    within.listen(lambda: (within.close(), ended.set()))
    assert ended.wait(WAIT_S)
    for thread in listener_threads():
        thread.join(WAIT_S)
    assert listener_threads() == []
    with own_server.client() as client:
        assert len(client.client_list()) == 1

    waiting.listen(bell)
    bell.wait()
    own_server.kill()
    with waiting._listener._lock:
        pass
    waiting.close()
    assert listener_threads() == []


def test_frozen_while_it_listens(own_server, journals):
    """A server that hangs does not keep ``close`` from ending the thread."""
    journal, bell = journals(own_server.url), Bell()
    journal.listen(bell)
    bell.wait()
    own_server.freeze()
    journal.close()
    assert listener_threads() == []


def test_not_allowed_to_listen(own_server, journals, namespace):
    """It is said once, as no call will say it; and it works as soon as it is allowed."""
    own_server.ask("ACL", "SETUSER", "deaf", "on", ">pw", "~*", "+@all", "-subscribe")
    journal, bell, said = journals(own_server.url.replace("://", "://deaf:pw@")), Bell(), threading.Event()
    texts = []

    class Ear(logging.Handler):
        def emit(self, record):
            texts.append(record.getMessage())
            said.set()

    ear = Ear(logging.WARNING)
    logging.getLogger("stable_openai").addHandler(ear)
    try:
        journal.listen(bell)
        assert said.wait(WAIT_S)
    finally:
        logging.getLogger("stable_openai").removeHandler(ear)
    assert f"+subscribe +time ~stable_openai:{{{namespace}}}:* &stable_openai:{{{namespace}}}:wake" in texts[0]
    assert len(texts) == 1
    assert bell.is_silent()
    own_server.ask("ACL", "SETUSER", "deaf", "+subscribe", "allchannels")
    bell.wait()


@pytest.mark.parametrize(
    ("error", "longest"), [(ConnectionRefusedError("nobody"), 1.0), (Refused("NOPERM not for you"), 5.0)]
)
def test_how_soon_it_tries_again(error, longest, monkeypatch):
    """As soon as calls find a lost store again, so that who waits for a word does; a refusal is asked about less often."""
    pauses = []

    class Closed(threading.Event):
        def wait(self, timeout=None):
            pauses.append(timeout)
            if len(pauses) == 10:
                self.set()

    def connect():
        raise error

    own = types.SimpleNamespace(Event=Closed, Lock=threading.Lock, Thread=threading.Thread)
    monkeypatch.setattr(listener, "threading", own)
    listener.Listener(
        types.SimpleNamespace(connect=connect, place="here"),
        lambda: None, channel="wake", own=b"", namespace="pool", timeout=1.0,
    )._thread.join(WAIT_S)  # fmt: skip
    assert (pauses[0], pauses[-1]) == (0.1, longest)
    assert pauses == sorted(pauses)


@pytest.mark.parametrize("_", range(5))
def test_closed_at_any_moment(own_server, journals, _):
    """Also while it is just connecting."""
    for _ in range(10):
        journal = journals(own_server.url)
        journal.listen(lambda: None)
        journal.close()
        assert listener_threads() == []
