"""Ctrl-C: nothing more is begun, what is under way is waited for, what is done is kept."""

from __future__ import annotations

import signal
import threading

import pytest

from stable_openai import ConfigurationError
from stable_openai.conversation.manager.asking import Asker
from stable_openai.conversation.manager.batches import Batch


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="this system has no signals for threads")
def test_what_is_under_way_is_waited_for():
    """A real signal, while the main thread waits: the rest of the list is not begun, and counted."""
    waits, over = threading.Event(), threading.Event()
    begun, ended, left = [], [], []

    def work(index):
        begun.append(index)
        if index == 1:
            assert waits.wait(30)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        if index > 1:
            assert over.wait(30)
        ended.append(index)

    def leave_out(count):
        left.append(count)
        over.set()

    batch = Batch(10, 2, work)
    with pytest.raises(KeyboardInterrupt):
        batch.run(lambda done: waits.set(), leave_out=leave_out)
    assert sorted(begun) == sorted(ended) == list(range(len(begun)))  # 2 and 3 may have been begun before it came
    assert 2 <= len(begun) <= 4
    assert left == [10 - len(begun)]


def test_a_second_one_leaves_what_is_under_way():
    """It ends by itself, in a thread that keeps no program from ending."""
    over, ended = threading.Event(), threading.Event()

    def work(index):
        assert over.wait(30)
        ended.set()

    def interrupted():
        raise KeyboardInterrupt

    batch = Batch(2, 1, work)
    (thread,) = batch._threads
    join, thread.join = thread.join, interrupted
    batch._ended.put(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        batch.run(lambda done: None, leave_out=lambda count: None)
    assert thread.daemon
    assert not ended.is_set()
    over.set()
    join()
    assert ended.is_set()


def test_what_is_done_is_kept(office, said):
    """In the session, and with what is raised; what was never begun leaves its room in the session to others."""
    setting = office("a", max_pairs=4)

    def interrupt(done, total):
        assert total == 4
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        setting.cm.send(said("1", "2", "3", "4"), thread_num=1, progress=interrupt)
    responses = caught.value.partial_responses
    done = [response.get_msg() for response in responses if response is not None]
    assert len(responses) == 4
    assert done[:2] == ["You said: 1", "You said: 2"]
    kept = [response.get_msg() for _, response in setting.cm.get_session()]
    assert kept == done
    room = 4 - len(kept)
    assert None not in setting.cm.send([said("again")] * room)
    with pytest.raises(ConfigurationError, match="^max_pairs: "):
        setting.cm.send(said("one more"))


def test_what_a_thread_is_ended_by_is_raised(office, said, monkeypatch):
    """Not an ``Exception``, such as ``SystemExit``: it is no failure of the message."""

    def ask(asker, message):
        raise SystemExit(3)

    monkeypatch.setattr(Asker, "ask", ask)
    setting = office("a", max_pairs=2)
    for message in (said("1", "2"), said("1")):
        with pytest.raises(SystemExit):
            setting.cm.send(message)
    assert setting.cm.get_session()._expected == 0


def test_a_thread_that_can_not_be_started(monkeypatch):
    """Those that run end; the error is raised."""
    ended = []
    batch = Batch(5, 3, ended.append)

    def refused():
        raise RuntimeError("can't start new thread")

    batch._threads[1].start = refused
    left = []
    with pytest.raises(RuntimeError, match="can't start new thread"):
        batch.run(lambda done: None, leave_out=left.append)
    assert len(ended) + left[0] == 5
