"""Many at once, and what is left behind."""

from __future__ import annotations

import asyncio
import gc
import logging
import subprocess
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest

import stable_openai
from stable_openai import Key, KeyPool
from stable_openai.simulator import SimKey

OPENAI = "https://api.openai.com/v1/chat/completions"
THREADS = 16
EACH = 6


@pytest.fixture
def endpoints(openai_simulator):
    """Four keys at two endpoints, each of which knows but its own: a key at the wrong one would be refused."""
    sims = [
        openai_simulator(keys=[SimKey(f"sk-together-{n}-{m}-0123456789", name=f"{n}{m}") for m in "ab"]) for n in "12"
    ]
    with KeyPool([Key(secret, base_url=sim.base_url) for sim in sims for secret in sim.keys]) as pool:
        yield sims, pool


@pytest.fixture
def rapid_switching():
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def check(sims, pool):
    served = {name: tally.served for sim in sims for name, tally in sim.stats().keys.items()}
    assert sum(served.values()) == THREADS * EACH
    assert sum(sim.stats().total.attempts for sim in sims) == THREADS * EACH
    assert sorted(served.values()) == sorted(row.uses for row in pool.status())
    assert [row.failed for row in pool.status()] == [0] * 4
    assert [row.in_flight for row in pool.status()] == [0] * 4
    for sim in sims:
        assert "unknown" not in sim.stats().keys


def crawl(ask):
    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(ask, range(THREADS * EACH)))


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_threads(library, endpoints, rapid_switching, asked):
    """One client in 16 threads: each request carries the key that was granted for it, to where that belongs."""
    library = pytest.importorskip(library)
    sims, pool = endpoints
    with library.Client(transport=stable_openai.Transport(pool)) as client:

        def ask(number):
            if number % 2:
                return client.post(OPENAI, json=asked(f"n{number}")).json()["choices"][0]["message"]["content"]
            with client.stream("POST", OPENAI, json=asked(f"n{number}", stream=True)) as response:
                return "".join(response.iter_text())

        answers = crawl(ask)
    assert all(f"n{number}" in answer for number, answer in enumerate(answers))
    check(sims, pool)


@pytest.mark.parametrize("how", ["adapter", "auth", "both"])
def test_threads_of_requests(how, endpoints, rapid_switching, asked):
    """One session in 16 threads."""
    requests = pytest.importorskip("requests")
    sims, pool = endpoints
    with requests.Session() as session:
        session.trust_env = False
        if how != "auth":
            session.mount("https://", stable_openai.PoolAdapter(pool, pool_maxsize=THREADS))
        if how != "adapter":
            session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=THREADS))
            session.auth = stable_openai.PoolAuth(pool)

        def ask(number):
            with session.post(
                OPENAI, json=asked(f"n{number}", stream=number % 2 == 0), stream=number % 3 == 0
            ) as answer:
                return answer.text

        answers = crawl(ask)
    assert all(f"n{number}" in answer for number, answer in enumerate(answers))
    check(sims, pool)


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
async def test_tasks(library, endpoints, asked):
    """One async client in many tasks."""
    library = pytest.importorskip(library)
    sims, pool = endpoints
    async with library.AsyncClient(transport=stable_openai.AsyncTransport(pool)) as client:

        async def ask(number):
            return (await client.post(OPENAI, json=asked(f"n{number}"))).json()["choices"][0]["message"]["content"]

        answers = await asyncio.gather(*map(ask, range(THREADS * EACH)))
    assert all(answer.endswith(f"n{number}") for number, answer in enumerate(answers))
    check(sims, pool)


def test_nothing_stays_open(way, setting, asked, sockets):
    """After the client is closed there is no connection, and no file is left open by a hundred requests."""
    s = setting([("dead", {"state": "dead"}), ("good", {})])
    client = way.open(s.pool)
    client.post(s.url, json=asked())
    for _ in range(50):
        client.post(s.url, json=asked())
        client.stream(s.url, json=asked(stream=True))
    gc.collect()
    # One is kept for the next request; and one where an answer had not been read to its end in time.
    assert sockets(s.sim) <= 2
    way.close()
    gc.collect()
    assert sockets(s.sim) == 0


def test_connections_are_reused(way, setting, asked, sockets):
    """An answer that was refused gives its connection back, and so does a stream."""
    s = setting([("dead", {"state": "dead"}), ("good", {})])
    client = way.open(s.pool)
    client.post(s.url, json=asked())
    client.stream(s.url, json=asked(stream=True))
    client.post(s.url, json=asked())
    assert sockets(s.sim) == 1


def test_no_secret_is_shown(way, setting, asked, caplog):
    """Not by any repr, message, note, log line or request that the caller sees."""
    caplog.set_level(logging.DEBUG)
    s = setting([("a", {}), ("b", {})], server_error_rate=1.0)
    client = way.open(s.pool)
    answer = client.post(s.url, json=asked())
    s.sim.stop()
    try:
        client.post(s.url, json=asked())
    except Exception as error:  # noqa: BLE001  # of whichever library
        story = traceback.TracebackException.from_exception(error, capture_locals=True)
        told = "".join(traceback.format_exception(error))
        told += repr([frame.locals for frame in story.stack if "stable_openai" in frame.filename])  # of ours
        told += repr(error) + repr(error.request) + repr(error.request.headers) + repr(vars(error))
    shown = [told, repr(answer.request.headers), repr(answer.request), repr(answer.headers)]
    shown += [repr(vars(part)) for part in vars(client).values() if hasattr(part, "__dict__")]
    shown += [repr(vars(answer)), caplog.text]
    assert "0123456789" not in "".join(shown)
    if way.how != "auth":
        assert answer.request.headers.get("Authorization") is None


def test_reprs():
    """They tell the pool."""
    with KeyPool(["sk-together-0123456789"]) as pool:
        for made in (
            stable_openai.Transport(pool),
            stable_openai.AsyncTransport(pool),
            stable_openai.PoolAdapter(pool),
            stable_openai.PoolAuth(pool),
        ):
            assert repr(made) == f"<{type(made).__name__} over <KeyPool of 1 keys, round-robin, 0 waiting>>"
    assert repr(stable_openai.PoolAuth()) == "<PoolAuth over the KeyManager>"


def test_nothing_is_imported_that_is_not_asked_for():
    """The names can be had without the libraries; what is missing is told when it is needed."""
    code = (
        "import sys\n"
        "sys.modules['requests'] = None\n"
        "from stable_openai import AsyncTransport, PoolAdapter, PoolAuth, Transport\n"
        "Transport(), AsyncTransport(), PoolAuth()\n"
        "print(*[m for m in ('httpx', 'httpx2', 'openai', 'urllib3', 'tenacity') if m in sys.modules])\n"
        "try:\n"
        "    PoolAdapter()\n"
        "except ModuleNotFoundError as error:\n"
        "    print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == ["", "PoolAdapter needs requests: pip install requests"]
