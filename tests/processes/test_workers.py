"""Real processes against the simulator: every start method, executors, and servers that fork their workers."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys

import pytest

from stable_openai.simulator import SimKey

GOOD, OTHER, UNPAID = (f"sk-workers-{name}-0123456789abcdef" for name in ("good", "other", "unpaid"))
METHODS = multiprocessing.get_all_start_methods()

CRAWL = """
import concurrent.futures, json, multiprocessing, os, sys, threading
import openai
from tenacity import stop_after_attempt
from stable_openai import KeyManager, KeyPool, stable

client = openai.OpenAI(api_key="-", base_url=os.environ["URL"], max_retries=0)

def send(prompt, api_key):
    answer = client.with_options(api_key=api_key).chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": prompt}]
    )
    return answer.choices[0].message.content

@stable(max_wait=10)
def ask(prompt, api_key=""):
    return send(prompt, api_key)

@stable(pool=KeyPool([os.environ["UNPAID"]]), stop=stop_after_attempt(1))
def refused(prompt, api_key=""):
    return send(prompt, api_key)

@stable(pool=KeyPool([os.environ["UNPAID"]]), max_wait=0)
def without_key(prompt, api_key=""):
    return send(prompt, api_key)

class Crawler:
    def __init__(self, word):
        self.word = word

    @stable
    def ask(self, prompt, api_key=""):
        return self.word + send(prompt, api_key)

def put(queue, prompt):
    queue.put(ask(prompt))

def told(error):
    said = {"type": type(error).__name__, "text": str(error), "notes": getattr(error, "__notes__", None)}
    if isinstance(error, openai.APIStatusError):
        said |= {
            "is": isinstance(error, openai.RateLimitError), "status": error.status_code, "code": error.code,
            "body": error.body, "id": error.response.headers["x-request-id"] == error.request_id != None,
            "json": error.response.json(), "request": [error.request.method, str(error.request.url)],
            "key": "Authorization" in error.request.headers,
        }
    return said
"""

MAIN = """
if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    said = {}
    with concurrent.futures.ProcessPoolExecutor(2, context) as executor:
        for function in (refused, without_key):
            error = executor.submit(function, "x").exception(50)  # each has a pool of its own, in each worker
            said[function.__name__] = told(error) | {"context": told(error.__context__)}
        said["answers"] = list(executor.map(ask, map(str, range(8)), timeout=50))
        said["method"] = executor.submit(Crawler("> ").ask, "x").result(50)
    with context.Pool(1) as pool:
        try:
            pool.apply(refused, ["x"])
        except Exception as error:
            said["pool"] = told(error)
        said["pooled"] = pool.map(ask, ["a", "b"])
    queue = context.SimpleQueue()
    process = context.Process(target=put, args=[queue, "p"])
    process.start()
    said["process"] = queue.get()
    process.join()
    print(json.dumps(said))
"""


@pytest.fixture
def sim(openai_simulator):
    """Good keys, and one that is unpaid."""
    return openai_simulator(
        keys=[SimKey(GOOD, name="good"), SimKey(OTHER, name="other"), SimKey(UNPAID, state="unpaid")]
    )


@pytest.fixture
def run(tmp_path, sim):
    """``run(code, *arguments, **environment)``: what a script prints, as JSON; it is run as a user's would be."""

    def run(code, *arguments, **environment):
        script = tmp_path / "crawl.py"
        script.write_text(code)
        done = subprocess.run(
            # Python 3.12 and later warn of any fork beside threads; this is about forks beside threads.
            [sys.executable, "-W", "error", "-W", "ignore:This process:DeprecationWarning", str(script), *arguments],
            env={**os.environ, "URL": sim.base_url, "UNPAID": UNPAID, **environment},
            capture_output=True,
            text=True,
            timeout=55,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        assert "sk-workers" not in done.stdout
        return json.loads(done.stdout)

    return run


@pytest.mark.parametrize("method", METHODS)
def test_start_methods(method, run, sim):
    """Executor, pool and process: answers, methods, and the provider's exceptions as themselves; nothing breaks."""
    said = run(CRAWL + MAIN, method, OPENAI_API_KEYS=f"{GOOD},{OTHER}")
    assert said["answers"] == [f"You said: {number}" for number in range(8)]
    assert said["method"] == "> You said: x"
    assert said["pooled"] == ["You said: a", "You said: b"]
    assert said["process"] == "You said: p"
    for place in ("refused", "pool"):
        error = said[place]
        assert (error["type"], error["is"]) == ("RateLimitError", True)
        assert (error["status"], error["code"]) == (429, "insufficient_quota")
        assert error["json"] == {"error": error["body"]}
        assert error["id"]
        assert error["notes"] == ["attempt 1 with key-1 (sk-…cdef): quota_exhausted"]
        assert error["request"] == ["POST", f"{sim.base_url}/chat/completions"]
        assert not error["key"]
    ours = said["without_key"]
    assert ours["type"] == "NoKeyAvailable"
    assert "quota_exhausted" in ours["text"]
    assert ours["notes"] == ["attempt 1 with key-1 (sk-…cdef): quota_exhausted"]
    # concurrent.futures puts its worker's traceback in the place of the cause.
    assert (ours["context"]["type"], ours["context"]["code"]) == ("RateLimitError", "insufficient_quota")
    served = {name: tally.served for name, tally in sim.stats().keys.items()}
    assert served["good"] + served["other"] == 12


def test_workers_open_the_pool_of_their_environment(run, sim, tmp_path):
    """The parent's own keys stay with it: what it made behind its main guard is not there in a spawned worker."""
    path = tmp_path / "keys.toml"
    path.write_text(f'[pool]\nrpm = 100\n[[keys]]\nsecret = "{OTHER}"\n')
    path.chmod(0o600)
    code = (
        CRAWL
        + """
def keys():
    return [KeyManager().options.limits.rpm, len(KeyManager())]

if __name__ == "__main__":
    KeyManager([sys.argv[1], sys.argv[1] + "x"], rpm=3)
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        here = ask("here")
        error = executor.submit(ask, "there").exception(50)
        os.environ["STABLE_OPENAI_POOL"] = sys.argv[2]
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        print(json.dumps([here, told(error), executor.submit(ask, "there").result(50), executor.submit(keys).result(50)]))
"""
    )
    here, error, there, keys = run(code, GOOD, str(path))
    assert (here, there) == ("You said: here", "You said: there")
    assert error["type"] == "ConfigurationError"
    assert "STABLE_OPENAI_POOL" in error["text"]
    assert keys == [100, 1]
    assert {name: tally.served for name, tally in sim.stats().keys.items() if tally.served} == {"good": 1, "other": 1}


SERVER = """
import asyncio, json, os, sys, threading, traceback
import openai
import stable_openai
from stable_openai import Key, KeyManager, stable

URL = os.environ["URL"]
KeyManager([Key(secret, base_url=URL) for secret in os.environ["KEYS"].split(",")], max_wait=20)
CHAT = {"model": "gpt-4o"}
drop_in = stable_openai.OpenAI(pool=KeyManager(), base_url=URL)
create = drop_in.chat.completions.create

def body(prompt):
    return {**CHAT, "messages": [{"role": "user", "content": prompt}]}

@stable
def ask(prompt, client: openai.OpenAI = None):
    return client.chat.completions.create(**body(prompt)).choices[0].message.content

@stable
async def aask(prompt, client: openai.AsyncOpenAI = None):
    return (await client.chat.completions.create(**body(prompt))).choices[0].message.content

@stable
def stream(prompt, client: openai.OpenAI = None):
    for chunk in client.chat.completions.create(**body(prompt), stream=True):
        yield chunk.choices[0].delta.content or ""

def in_threads(number, function):
    got, threads = [], [threading.Thread(target=lambda: got.append(function())) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return got

def serve(worker):
    async def tasks():
        return await asyncio.gather(*(aask(f"{worker}") for _ in range(4)))

    expected = f"You said: {worker}"
    assert in_threads(4, lambda: ask(f"{worker}")) == [expected] * 4
    assert asyncio.run(tasks()) == [expected] * 4
    assert in_threads(2, lambda: "".join(stream(f"{worker}"))) == [expected] * 2
    assert drop_in.chat.completions.create(**body(f"{worker}")).choices[0].message.content == expected

def forked(worker):
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        serve(worker)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)

def codes(pids):
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
"""


@pytest.mark.skipif("fork" not in METHODS, reason="there is no fork here")
def test_a_server_that_forks_its_workers(run, sim):
    """As gunicorn does with ``preload_app``: the parent has decorated and made the pool, and serves nothing itself."""
    code = SERVER + "print(json.dumps(codes([forked(worker) for worker in range(4)])))"
    assert run(code, KEYS=f"{GOOD},{OTHER}") == [0] * 4
    assert sum(tally.served for tally in sim.stats().keys.values()) == 4 * 11


@pytest.mark.skipif("fork" not in METHODS, reason="there is no fork here")
def test_forks_of_a_parent_that_goes_on_calling(run, sim):
    """Its threads are in the midst of calls, with connections and streams of theirs, whenever it forks.

    They fetch nothing from openai's clients then: ``client.chat`` is a ``functools.cached_property``, which before Python
    3.12 holds one lock for all clients of a process, and whoever forks at that moment leaves it locked in the child.
    """
    code = (
        SERVER
        + """
over = threading.Event()
answers = []

def hammer():
    while not over.is_set():
        answers.append(create(**body("parent")).choices[0].message.content)
        chunks = create(**body("parent"), stream=True)
        answers.append("".join(chunk.choices[0].delta.content or "" for chunk in chunks))

begun = in_threads(3, lambda: ask("parent"))
threads = [threading.Thread(target=hammer) for _ in range(3)]
for thread in threads:
    thread.start()
half = stream("parent")
first = next(half)
done = codes([forked(worker) for worker in range(4)])
over.set()
for thread in threads:
    thread.join(20)
rest = first + "".join(half)
print(json.dumps([done, sorted({*begun, *answers, rest}), len(answers) > 6, [row.in_flight for row in KeyManager().status()]]))
"""
    )
    assert run(code, KEYS=f"{GOOD},{OTHER}") == [[0] * 4, ["You said: parent"], True, [0, 0]]
