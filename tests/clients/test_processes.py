"""After a fork the child has its own connections and locks; after closing, nothing of a client is left."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

FDS = Path("/proc/self/fd")
pytestmark = pytest.mark.skipif(not FDS.is_dir(), reason="there is no /proc here")

CODE = """
import asyncio, gc, os, ssl, sys, threading, traceback
import stable_openai

ssl.SSLContext.load_verify_locations = lambda *args, **options: None  # nothing here speaks TLS, and each would take 50 ms

KEYS, URL = sys.argv[1].split(","), sys.argv[2]
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
pool = stable_openai.KeyPool(KEYS)
client = stable_openai.OpenAI(pool=pool, base_url=URL)
aclient = stable_openai.AsyncOpenAI(pool=pool, base_url=URL)
azure = stable_openai.AzureOpenAI(pool=pool, azure_endpoint=URL.removesuffix("/v1"), api_version="1")

def ask(client=client):
    return client.chat.completions.create(**CHAT).choices[0].message.content

async def aask():
    async with aclient:
        return (await aclient.chat.completions.create(**CHAT)).choices[0].message.content

def sockets():
    paths = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
    return {os.readlink(path) for path in paths if os.path.exists(path) and os.readlink(path).startswith("socket")}

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
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def with_a_copy():
    inherited = sockets()
    assert ask(client.with_options(timeout=20)) == "You said: hello"
    assert sockets() > inherited

def child():
    inherited = sockets()
    assert ask() == "You said: hello"
    assert ask() == "You said: hello"
    assert ask(azure) == "You said: hello"
    assert client._client.timeout == before.timeout and client._client.base_url == before.base_url
    assert azure._client.event_hooks == hooks
    assert asyncio.run(aask()) == "You said: hello"
    assert sockets() > inherited, "the child has its own, and the parent's are not closed"
    assert in_child(lambda: ask()) == 0
    client.close()
    azure.close()
    assert sockets() == inherited

before, hooks = client._client, azure._client.event_hooks
assert ask() == "You said: hello"
stream = client.chat.completions.create(**CHAT, stream=True)
next(stream)
assert in_child(with_a_copy) == 0
assert in_child(child) == 0
assert len(list(stream)) > 1, "the parent's stream is untouched"
assert client._client is before
assert ask() == "You said: hello"

held, go_on = threading.Event(), threading.Event()
def hold():
    with pool._keeping, pool._changing, pool.line._lock:
        held.set()
        go_on.wait(20)

thread = threading.Thread(target=hold)
thread.start()
held.wait(10)
code = in_child(child)
go_on.set()
thread.join(10)
assert code == 0, "another thread held the locks"
client.close()
azure.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_forked(openai_simulator, make):
    """Clients with the HTTP client that openai makes by default: renewed in the child, and in a copy that it makes."""
    secrets = [make.secret("one"), make.secret("two")]
    sim = openai_simulator(secrets)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", CODE, ",".join(secrets), sim.base_url],
        capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stderr == ""


async def left(count):
    """Connections, threads and tasks of this process; a forgotten async generator is closed by a task, after a turn."""
    gc.collect()
    for _ in range(5):
        await asyncio.sleep(0)
    return count(), threading.active_count(), len(asyncio.all_tasks())


async def test_nothing_is_left(kind, openai_simulator, make, sockets):
    """After some hundreds of calls no more than after a few, and after closing no more than before the first.

    Answers, streams that are read, closed and dropped, refusals, and errors.
    """
    sim = openai_simulator([make.secret("one"), make.secret("two")], poison="poison")
    import openai

    await kind.chat(
        kind.client(of=openai, api_key=make.secret("one"), base_url=sim.base_url)
    )  # with a thread of its own
    before = await left(lambda: sockets(sim))
    client = kind.client(
        api_key=[make.secret("gone"), make.secret("one"), make.secret("two")], base_url=sim.base_url, max_retries=1
    )

    async def some(number):
        for place in range(number):
            copied = client.with_options(max_retries=0)
            await kind.chat(copied)
            await kind.listed(client.chat.completions.create(**kind.request(), stream=True))
            stream = await kind.settled(client.chat.completions.create(**kind.request(), stream=True))
            await kind.settled(stream.close())
            if place % 5 == 0:
                with pytest.raises(openai.InternalServerError):
                    await kind.chat(client, "poison")

    await some(3)
    few = await left(lambda: sockets(sim))
    await some(40)
    many = await left(lambda: sockets(sim))
    assert many[0] <= few[0] + 1
    assert all(now <= then for now, then in zip(many[1:], few[1:], strict=True))
    assert [row.in_flight for row in client.pool.status()] == [0, 0, 0]
    await kind.settled(client.close())
    client.pool.close()
    after = await left(lambda: sockets(sim))
    assert after[0] <= before[0]
    assert after[1:] == before[1:]


async def test_clients_are_collected(kind, openai_simulator, make):
    """Neither pool nor seam keeps a client that nobody has any more."""
    import weakref

    sim = openai_simulator([make.secret("one")])
    client = kind.client(api_key=[make.secret("one")], base_url=sim.base_url)
    assert await kind.chat(client) == "You said: hello"
    seen, pool = weakref.ref(client), weakref.ref(client.pool)
    await kind.settled(client.close())
    kind.made.remove(client)
    del client
    gc.collect()
    await asyncio.sleep(0)
    gc.collect()
    assert seen() is None
    assert pool() is None
