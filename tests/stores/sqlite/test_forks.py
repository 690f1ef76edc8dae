"""Forks: a child has its own connection, counts its own locks, and leaves its parent's things alone."""

from __future__ import annotations

import os

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")

FORK = """
import traceback

def in_child(function):
    "Fork, and run the function in the child; what waits for it."
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            function()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return lambda: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

journal.begin("one", b"")
"""


def test_the_child_survives_its_parents_closing(program, make, path, add):
    """SQLite would believe that the file was free when the parent closes it, and drop what the child writes then."""
    run = program(
        FORK
        + """
(read, write), (read_back, write_back) = os.pipe(), os.pipe()
last, _ = add(journal, "one", None, ["parent"])

def child():
    known, _ = add(journal, "one", last, ["child"])
    os.write(write_back, b"x"); os.read(read, 1)
    known, seen = add(journal, "one", known, ["child again"])
    assert [entry.text for entry in seen] == ["third", "child again"], seen

done = in_child(child)
os.read(read_back, 1)
journal.close()
say("closed"); hear()
os.write(write, b"x")
assert done() == 0
"""
    )
    assert run.hear() == "closed"
    third = make()
    known = third.open().entries
    assert [entry.text for entry in known] == ["parent", "child"]
    add(third, known[-1], "third")
    third.close()
    run.say("go")
    run.over()
    assert [entry.text for entry in make().open().entries] == ["parent", "child", "third", "child again"]


def test_parent_and_child_go_on(program, make):
    """With an open connection and a listener in the parent; the child has none until it listens itself."""
    program(
        FORK
        + """
woken = threading.Semaphore(0)
journal.listen(woken.release)
last, _ = add(journal, "one", None, ["a"])

def child():
    assert "closed" in repr(journal)
    journal.after_fork()
    known, _ = add(journal, "one", last, ["b"], wake=True)
    own = threading.Semaphore(0)
    journal.listen(own.release)
    other = SqliteJournal(f"sqlite:///{path}")
    add(other, "one", known, ["c"], wake=True)
    own.acquire()
    other.close()
    journal.close()
    assert threading.active_count() == 1

done = in_child(child)
woken.acquire()
assert done() == 0
last, seen = add(journal, "one", last, ["d"])
assert [entry.text for entry in seen] == ["b", "c", "d"]
while woken.acquire(blocking=False):
    pass
other = SqliteJournal(f"sqlite:///{path}")
add(other, "one", None, ["e"], wake=True)
woken.acquire()
other.close()
journal.close()
assert threading.active_count() == 1
"""
    ).over()
    assert [entry.text for entry in make().open().entries] == ["a", "b", "c", "d", "e"]


def test_a_fork_in_the_middle_of_a_transaction(program, make):
    """Of another thread: the fork waits until it is over, and the child finds it whole."""
    program(
        FORK
        + """
inside, go_on = threading.Event(), threading.Event()
real = journal._session._execute

def slow(sql, *rest):
    if sql == "COMMIT":
        inside.set()
        go_on.wait()
    return real(sql, *rest)

journal._session._execute = slow
thread = threading.Thread(target=lambda: journal.append("one", None, ["a"], wake=False))
thread.start()
inside.wait()
threading.Timer(0.01, go_on.set).start()
done = in_child(lambda: add(journal, "one", journal.open().entries[-1], ["b"]))
thread.join()
assert done() == 0
assert [entry.text for entry in journal.open().entries] == ["a", "b"]
journal.close()
"""
    ).over()


def test_a_fork_that_python_does_not_see(program, make):
    """The child keeps the parent's connection unused, and does not close it at its end."""
    program(
        FORK
        + """
import ctypes, gc
from stable_openai.stores.shared.sqlite import journal as sqlite_journal

last, _ = add(journal, "one", None, ["a"])
woken = threading.Semaphore(0)
journal.listen(woken.release)
session = journal._session
pid = ctypes.PyDLL(None).fork()
if pid == 0:
    journal.after_fork()
    kept = sqlite_journal._inherited == [session] and "closed" in repr(journal)
    gc.collect()
    os._exit(0 if kept else 1)
assert os.waitpid(pid, 0)[1] == 0
last, _ = add(journal, "one", last, ["b"])
assert journal._session is session
other = SqliteJournal(f"sqlite:///{path}")
add(other, "one", last, ["c"], wake=True)
woken.acquire()
other.close()
journal.close()
"""
    ).over()
    assert [entry.text for entry in make().open().entries] == ["a", "b", "c"]


def test_a_child_that_does_nothing_with_it(program, make):
    """It ends without a word, and its parent's connection and listener are as they were."""
    program(
        FORK
        + """
last, _ = add(journal, "one", None, ["a"])
woken = threading.Semaphore(0)
journal.listen(woken.release)
for _ in range(3):
    assert in_child(lambda: None)() == 0
    assert in_child(journal.close)() == 0
other = SqliteJournal(f"sqlite:///{path}")
add(other, "one", last, ["b"], wake=True)
woken.acquire()
other.close()
journal.close()
"""
    ).over()
