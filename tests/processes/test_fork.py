"""After a fork the child's pool works: no inherited locks, waiters or alarms, whatever the parent's threads were doing."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")

FRAME = """
import asyncio, os, sys, threading, traceback
from stable_openai import Key, KeyManager, KeyPool, ManualClock, NoKeyAvailable, stable

A, B = "sk-fork-aaaaaaaaaaaaaaaaaaaa", "sk-fork-bbbbbbbbbbbbbbbbbbbb"

def in_child(function):
    "Fork, run the function in the child, and return its exit code."
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
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def until(condition):
    pause = threading.Event()
    for _ in range(20_000):
        if condition():
            return
        pause.wait(0.0005)
    raise AssertionError("never so")
"""


def run(code):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", FRAME + code],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout


def test_the_childs_pool_grants_counts_and_waits():
    """Threads, tasks and streams; the counts that the parent had so far are there."""
    run("""
pool = KeyManager([A, B], rpm=3)
ask = stable(lambda api_key: str(api_key))
assert ask() == A

def child():
    assert KeyManager() is pool
    assert [ask() for _ in range(5)] == [B, A, B, A, B]
    try:
        pool.acquire(max_wait=0)
    except NoKeyAvailable:
        pass
    else:
        raise AssertionError("the parent's call does not count")
    quick = KeyPool([A], max_concurrency=1)
    running, got = quick.acquire(), []
    thread = threading.Thread(target=lambda: got.append(quick.acquire(max_wait=10)))
    thread.start()
    until(lambda: len(quick.line) == 1)
    running.settle()
    thread.join(10)
    got[0].settle()

    async def task():
        async with quick.lease() as lease:
            return str(lease.api_key)

    assert asyncio.run(task()) == A

assert in_child(child) == 0
assert ask() == B
""")


def test_an_alarm_of_the_parent_does_not_stand_in_the_childs_way():
    """The clock's thread is gone in the child: a wait there sets an alarm of its own."""
    run("""
pool = KeyPool([A])
pool.park("key-1", 0.4)
thread = threading.Thread(target=lambda: pool.acquire(max_wait=10).settle())
thread.start()
until(lambda: len(pool.line) == 1)

def child():
    assert len(pool.line) == 0, "the parent's waiter is not the child's"
    pool.acquire(max_wait=10).settle()

assert in_child(child) == 0
thread.join(10)
assert not thread.is_alive()
""")


def test_another_thread_holds_the_pools_lock():
    """Forked in the midst of a grant of another thread, the child's pool works with all keys."""
    run("""
inside, go_on = threading.Event(), threading.Event()

class Slow:
    armed = False
    def rank(self, candidate):  # called under the pool's lock
        if self.armed and threading.current_thread() is not main:
            inside.set()
            go_on.wait(20)
        return 0

main = threading.current_thread()
strategy = Slow()
pool = KeyPool([A, B], strategy=strategy, max_concurrency=1)
strategy.armed = True
thread = threading.Thread(target=lambda: pool.acquire(max_wait=10).settle())
thread.start()
assert inside.wait(10)
strategy.armed = False

def child():
    leases = [pool.acquire(max_wait=5), pool.acquire(max_wait=5)]
    assert {str(lease.api_key) for lease in leases} == {A, B}
    for lease in leases:
        lease.settle()
    pool.add("sk-fork-cccccccccccccccccccc")
    pool.reload([A])
    print(pool, repr(pool))

assert in_child(child) == 0
go_on.set()
thread.join(10)
assert not thread.is_alive()
""")


def test_another_thread_has_taken_a_key_out():
    """Forked between a thread's taking a key out of the order and putting it back: the child has it all the same."""
    run("""
from stable_openai.stores import memory
inside, go_on, renew = threading.Event(), threading.Event(), memory.renew_credit

def slow(*args):
    inside.set()
    go_on.wait(20)
    return renew(*args)

pool = KeyPool([A, B])
ask = stable(pool=pool)(lambda api_key: str(api_key))
memory.renew_credit = slow
thread = threading.Thread(target=ask)
thread.start()
assert inside.wait(10)
memory.renew_credit = renew

def child():
    assert {ask() for _ in range(4)} == {A, B}

assert in_child(child) == 0
go_on.set()
thread.join(10)
assert not thread.is_alive()
assert {ask() for _ in range(4)} == {A, B}
""")


def test_another_thread_is_making_the_process_wide_pool():
    """Its lock is not inherited: the child makes its own."""
    run("""
from stable_openai.pool import manager
held, go_on = threading.Event(), threading.Event()

def hold():
    with manager._making:
        held.set()
        go_on.wait(20)

thread = threading.Thread(target=hold)
thread.start()
assert held.wait(10)

def child():
    KeyManager([A])
    assert stable(lambda api_key: str(api_key))() == A
    KeyManager.reset()

assert in_child(child) == 0
go_on.set()
thread.join(10)
""")


def test_forks_while_many_threads_call():
    """Whatever moment the fork hits, the child can use every key."""
    run("""
pool = KeyPool([A, B, "sk-fork-cccccccccccccccccccc"], strategy="least-used", max_concurrency=50)
ask, over = stable(pool=pool)(lambda api_key: str(api_key)), threading.Event()

def hammer():
    while not over.is_set():
        ask()
        with pool.lease():
            pass

threads = [threading.Thread(target=hammer, daemon=True) for _ in range(4)]
for thread in threads:
    thread.start()

def child():
    pool.revive()
    assert len({ask() for _ in range(300)}) == 3, pool

codes = [in_child(child) for _ in range(20)]
over.set()
for thread in threads:
    thread.join(10)
assert codes == [0] * 20, codes
""")


def test_a_fork_in_the_midst_of_a_decorated_call():
    """The child can go on with the call that it was forked in."""
    run("""
pool = KeyPool([A, B])
class Rejected(Exception):
    status_code, headers, body = 401, {}, {"error": {"code": "invalid_api_key", "message": "no"}}

@stable(pool=pool)
def ask(api_key=""):
    if api_key == A:
        ask.pid = os.fork()
        raise Rejected
    return str(api_key)

answer = ask()
if ask.pid == 0:
    os._exit(0 if answer == B else 1)
assert answer == B
assert os.waitstatus_to_exitcode(os.waitpid(ask.pid, 0)[1]) == 0
""")


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="there is no such lock any more")
def test_a_child_of_a_thread_that_was_about_to_use_a_client():
    """Before Python 3.12 ``client.chat`` takes a lock that all clients share: a child of that moment is not stuck."""
    run("""
import openai
from stable_openai.clients import lent
lock = getattr(vars(openai.OpenAI).get("chat"), "lock", None)
client = openai.OpenAI(api_key=A)

def use():
    found = []
    thread = threading.Thread(target=lambda: found.append(client.chat), daemon=True)
    thread.start()
    thread.join(20)
    assert found, "stuck"

if lock is not None:
    with lock:  # as a thread that the child does not have
        assert in_child(use) == 0
""")
