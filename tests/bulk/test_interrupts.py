"""Control-C as people press it: a signal to a process whose threads and tasks are at all kinds of things."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

import stable_openai

PATIENCE = 30.0
pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")

# Five items that are answered; one inside a call that takes for ever and holds the only key; two that wait for that key;
# one that rests before its next attempt. Each says so when it is there.
PARTS = """
import asyncio, os, queue, sys, threading
import stable_openai
from stable_openai import KeyPool, stable
from stable_openai.failover import attempts
from stable_openai.pool import granting
from tenacity import wait_fixed

path, kind = sys.argv[1:]
ITEMS = ["good 1", "good 2", "good 3", "good 4", "good 5", "rests", "is inside", "waits 1", "waits 2"]
say = lambda *words: os.write(1, (" ".join(words) + "\\n").encode())  # in one

class Overloaded(Exception):
    status_code, headers, body = 503, {}, {}

def saying(word, function):
    def said(*args):
        say(word)
        return function(*args)
    return said

one = KeyPool(["sk-interrupts-aaaaaaaaaaaaa"], max_concurrency=1)
other = KeyPool(["sk-interrupts-bbbbbbbbbbbbb"])
"""

THREADS = """
attempts.rest = saying("rests", attempts.rest)
granting.ThreadWaiter.wait = saying("waits", granting.ThreadWaiter.wait)
held = threading.Event()

@stable(pool=one)
def hold(api_key):
    say("is inside")
    held.set()
    threading.Event().wait()

@stable(pool=other, wait=wait_fixed(3600))
def fail(api_key):
    raise Overloaded

def call(item):
    if item == "rests":
        fail()
    if item == "is inside":
        hold()
    if item.startswith("waits"):
        held.wait()
        hold()
    return item

class Telling(queue.SimpleQueue):
    def get(self):
        if number == 5:
            say("asks for more")
        return super().get()

run = stable_openai.map(call, ITEMS, checkpoint=path, id=str, order="completed", workers=9, progress=False)
run._crew.done = Telling()
number = 0
try:
    for value in run:
        number += 1
        say(value)
        if kind == "busy" and number == 5:
            say("is busy")
            threading.Event().wait()
except KeyboardInterrupt as error:
    if kind != "busy":
        say("stopped:", run.report.stopped)
        say("note:", *error.__notes__)
    raise
"""

TASKS = """
asyncio_sleep = asyncio.sleep
async def asleep(clock, seconds):
    say("rests")
    await asyncio_sleep(seconds)
type(other.clock).asleep = asleep
granting.TaskWaiter.wait = saying("waits", granting.TaskWaiter.wait)

@stable(pool=one)
async def hold(api_key):
    say("is inside")
    held.set()
    await asyncio.Event().wait()

@stable(pool=other, wait=wait_fixed(3600))
async def fail(api_key):
    raise Overloaded

async def call(item):
    if item == "rests":
        await fail()
    if item == "is inside":
        await hold()
    if item.startswith("waits"):
        await held.wait()
        await hold()
    return item

async def main():
    global held, run
    held = asyncio.Event()
    run = stable_openai.amap(call, ITEMS, checkpoint=path, id=str, order="completed", workers=9, progress=False)
    try:
        number = 0
        async for value in run:
            say(value)
            number += 1
            if number == 5:
                asyncio.get_running_loop().call_soon(say, "asks for more")
    except asyncio.CancelledError as error:
        say("note:", *error.__notes__)
        raise

try:
    asyncio.run(main())
except KeyboardInterrupt:
    say("stopped:", run.report.stopped)
    raise
"""


def interrupted(code, path, kind, expected):
    """Run it until it has said all that, press Control-C, and give how it ended, what it said then, and its complaint."""
    command = [sys.executable, "-c", PARTS + code, path, kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            left = sorted(expected)
            while left:
                line = child.stdout.readline().rstrip("\n")
                assert line in left, (line, left, child.stderr.read() if not line else "")
                left.remove(line)
            child.send_signal(signal.SIGINT)
            said, complaint = child.communicate(timeout=PATIENCE)
            return child.returncode, said.splitlines(), complaint
        finally:
            child.kill()


GOOD = [f"good {number}" for number in range(1, 6)]
ALL = [*GOOD, "rests", "is inside", "waits", "waits"]


def check_checkpoint(path):
    """What had ended is there, once, and nothing else; a run goes on from that."""
    calls = []
    items = [*GOOD, "rests", "is inside", "waits 1", "waits 2"]
    assert path.read_bytes().count(b"\n") == 5
    assert not path.with_name("out.failures.jsonl").exists()
    run = stable_openai.map(lambda item: calls.append(item) or item, items, checkpoint=path, id=str, progress=False)
    assert list(run) == items
    assert sorted(calls) == ["is inside", "rests", "waits 1", "waits 2"]


@pytest.mark.parametrize(("kind", "code"), [("threads", THREADS), ("tasks", TASKS)])
def test_it_ends_at_once(tmp_path, kind, code):
    """While some wait for keys, one rests, and one is in a call without end; what had ended is kept.

    The message says how to go on, and the process ends by the signal, as a shell expects it (130).
    """
    path = tmp_path / "out.jsonl"
    code, said, complaint = interrupted(code, path, kind, [*ALL, "asks for more"])
    assert code == -signal.SIGINT, complaint
    told = f"5 of 9 results are in {path}: the same call again goes on from there"
    assert sorted(said) == [f"note: the run was stopped: {told}", f"stopped: interrupted: {told}"]
    assert complaint.rstrip().endswith("KeyboardInterrupt") or complaint.rstrip().endswith(told)
    assert "Task was destroyed" not in complaint
    check_checkpoint(path)


def test_in_the_midst_of_what_is_done_with_a_value(tmp_path):
    """It is not the run that is interrupted then; it ends with the process, and has kept what had ended."""
    path = tmp_path / "out.jsonl"
    code, said, complaint = interrupted(THREADS, path, "busy", [*ALL, "is busy"])
    assert (code, said) == (-signal.SIGINT, [])
    assert complaint.rstrip().endswith("KeyboardInterrupt")
    check_checkpoint(path)


STUCK = """
import os, sys, threading, stable_openai
stuck = False
fsync = os.fsync
def fsync_of_a_disk_that_hangs(descriptor):
    if stuck:
        print("hangs", flush=True)
        threading.Event().wait()
    fsync(descriptor)
os.fsync = fsync_of_a_disk_that_hangs
first, gate = threading.Event(), threading.Event()
def fn(item):
    global stuck
    if item == 1:
        first.wait()
        stuck = True
    if item > 1:
        gate.wait()
    return item
run = stable_openai.map(fn, range(5), checkpoint=sys.argv[1], workers=2, progress=False)
try:
    next(run)
    first.set()
    next(run)
except KeyboardInterrupt:
    print("stopped:", run.report.stopped, flush=True)
"""


def test_pressed_again_and_again(tmp_path):
    """Where a disk hangs, so that even the end has to wait: each time, one wait is given up, and the process ends."""
    command = [sys.executable, "-c", STUCK, tmp_path / "out.jsonl"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout.readline() == "hangs\n"
            for _ in range(200):  # as an impatient hand does it
                child.send_signal(signal.SIGINT)
                try:
                    child.wait(0.1)
                except subprocess.TimeoutExpired:
                    continue
                break
            assert child.returncode is not None
        finally:
            child.kill()
            child.communicate()
    assert (tmp_path / "out.jsonl").read_bytes().count(b"\n") >= 1
