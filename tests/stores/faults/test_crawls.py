"""Real calls through the simulator, by processes that share a store that dies or hangs: none is lost, and no limit passed.

The simulator counts for itself, and its limit is the bound of what may happen: the pool's, and what one worker had granted
when the store was lost and the other had not heard (at most a minute's), and the part that one has who is back last.
"""

from __future__ import annotations

import threading

import pytest

from stable_openai.simulator import SimKey
from tests.stores.faults.conftest import KEYS, WAIT

pytestmark = pytest.mark.stress

CRAWL = """
import logging
from http.client import HTTPConnection
from stable_openai import Key, KeyPool, stable


class Told(logging.Handler):
    def emit(self, record):
        if "the store is" in record.getMessage():
            say("lost" if "lost" in record.getMessage() else "back")

logging.getLogger("stable_openai").addHandler(Told())
pool = KeyPool(KEYS, store=sys.argv[1], rpm=20, minute=1.0, store_timeout=0.3, max_wait=40)
port = int(sys.argv[2])
body = b'{"model": "m", "messages": [{"role": "user", "content": "hello"}]}'
over, served, problems = threading.Event(), [], []

class Refused(Exception):
    def __init__(self, answer, said):
        self.status_code, self.headers, self.body = answer.status, dict(answer.getheaders()), said

@stable(pool=pool)
def ask(connection, api_key=""):
    connection.request("POST", "/v1/chat/completions", body, {"Authorization": f"Bearer {api_key!s}",
                       "Content-Type": "application/json"})
    answer = connection.getresponse()
    said = answer.read()
    if answer.status != 200:
        raise Refused(answer, said.decode())
    return said

def work():
    connection = HTTPConnection("127.0.0.1", port)
    while not over.is_set():
        try:
            ask(connection)
            served.append(1)
        except Exception as error:
            problems.append(repr(error))
    connection.close()

threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads:
    thread.start()
hear()
over.set()
for thread in threads:
    thread.join(40)
assert problems == [], problems
flying = [row.in_flight for row in pool.status()]
pool.close()
left = [t.name for t in threading.enumerate() if t.name.startswith("stable_openai ") and "alarms" not in t.name]
assert left == [], left
say(len(served), *flying)
"""


class Answers:
    """What the simulator answers, and a way to wait until it has done so."""

    def __init__(self):
        self._number = 0
        self._changed = threading.Condition()

    def __call__(self, request):
        with self._changed:
            self._number += 1
            self._changed.notify_all()
        return "hello"

    def wait_for(self, more):
        with self._changed:
            goal = self._number + more
            assert self._changed.wait_for(lambda: self._number >= goal, WAIT)


def hear(worker, word):
    """On a slow machine a worker may lose the store once more, and find it."""
    while worker.hear() != word:
        pass


@pytest.mark.parametrize("trouble", ["killed", "killed, data kept", "frozen"])
def test_a_crawl(trouble, request, openai_simulator, program):
    """Two processes of two threads over two keys."""
    server = request.getfixturevalue("lasting_server" if "kept" in trouble else "server")
    answers = Answers()
    sim = openai_simulator(keys=[SimKey(secret, rpm=20 + 20 + 10) for secret in KEYS], minute=1.0, script=answers)
    workers = [program(CRAWL, server.url, str(sim.port)) for _ in range(2)]
    answers.wait_for(40)
    server.freeze() if trouble == "frozen" else server.kill()
    for worker in workers:
        hear(worker, "lost")
    answers.wait_for(60)
    server.thaw() if trouble == "frozen" else server.start()
    for worker in workers:
        hear(worker, "back")
    answers.wait_for(40)
    for worker in workers:
        worker.say("stop")
    told = [[int(word) for word in worker.over() if word.isdigit()] for worker in workers]
    assert sum(number for number, *_ in told) == sum(tally.served for tally in sim.stats().keys.values())
    assert told[-1][1:] == [0, 0] or told[0][1:] == [0, 0]
    assert sum(tally.rate_limited for tally in sim.stats().keys.values()) == 0
