"""A forked child opens its own connections, and leaves the parent's alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")

CODE = """
import asyncio, gc, os, sys, threading, traceback
import openai
from stable_openai.connections import Connections

KEY, URL = sys.argv[1:]
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
connections = Connections()
client = openai.OpenAI(api_key=KEY, base_url=URL, http_client=connections.client())
aclient = openai.AsyncOpenAI(api_key=KEY, base_url=URL, http_client=connections.async_client())

def ask():
    return client.chat.completions.create(**CHAT).choices[0].message.content

async def aask():
    return (await aclient.chat.completions.create(**CHAT)).choices[0].message.content

def sockets():
    return {os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if
            os.path.exists(f"/proc/self/fd/{fd}") and os.readlink(f"/proc/self/fd/{fd}").startswith("socket")}

def in_child(function):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            function()
            gc.collect()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

stream = client.chat.completions.create(**CHAT, stream=True)
next(stream)
assert ask() == "You said: hello"
inherited = sockets()
assert inherited

def child():
    inherited = sockets()
    assert ask() == "You said: hello"
    assert asyncio.run(aask()) == "You said: hello"
    assert sockets() > inherited, "the child has its own, and the parent's are not closed"
    connections.close()
    assert sockets() == inherited

assert in_child(child) == 0
assert len(list(stream)) > 1, "the parent's stream is untouched"
assert ask() == "You said: hello"
assert sockets() <= inherited

held, go_on = threading.Event(), threading.Event()
def hold():
    with connections._builder._lock:
        held.set()
        go_on.wait(20)

thread = threading.Thread(target=hold)
thread.start()
held.wait(10)
code = in_child(child)
go_on.set()
thread.join(10)
assert code == 0, "another thread held the lock"
connections.close()
"""


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="there is no /proc here")
def test_forked(openai_simulator):
    """Threads, loops and streams, with an unlucky lock as well."""
    key = "sk-connections-00000000000000"
    sim = openai_simulator([key])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", CODE, key, sim.base_url],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stderr == ""
