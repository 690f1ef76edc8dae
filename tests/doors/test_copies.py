"""Decorated functions are copied and pickled as functions are, and come out of cloudpickle still decorated."""

from __future__ import annotations

import copy
import functools
import json
import os
import pickle
import subprocess
import sys

import cloudpickle
import pytest
from tenacity import stop_after_attempt

from stable_openai import KeyManager, KeyPool, stable

A = "sk-copies-aaaaaaaaaaaaaaaaaaa"


@stable(max_wait=5)
def ask(prompt, api_key=""):
    """Found by its name."""
    return prompt, str(api_key)


@stable
async def aask(prompt, api_key=""):
    return prompt, str(api_key)


def plain(prompt, api_key=""):
    return prompt, str(api_key)


class Crawler:
    def __init__(self, name):
        self.name = name

    @stable
    def method(self, prompt, api_key=""):
        return self.name, prompt, str(api_key)

    @stable
    @classmethod
    def kind(cls, prompt, api_key=""):
        return cls.__name__, prompt, str(api_key)


@pytest.fixture(autouse=True)
def _pool(monkeypatch):
    # What pytest imports by path is found by its name only if that is registered.
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or sys.modules[ask.__module__])
    KeyManager([A])


def again(thing):
    return pickle.loads(pickle.dumps(thing))


@pytest.mark.parametrize(
    "how", [copy.copy, copy.deepcopy, again, lambda thing: cloudpickle.loads(cloudpickle.dumps(thing))]
)
def test_copies_work_like_the_original(how):
    """Functions, methods, variants by options, partials and callable objects; options included."""
    assert how(ask)("hi") == ("hi", A)
    assert how(ask).__name__ == "ask"
    assert how(Crawler("x").method)("hi") == ("x", "hi", A)
    assert how(Crawler.kind)("hi") == ("Crawler", "hi", A)
    assert how(stable(plain))("hi") == ("hi", A)
    assert how(stable(functools.partial(plain, "hi")))() == ("hi", A)
    variant = how(ask.options(stop=stop_after_attempt(3)))
    assert variant("hi") == ("hi", A)
    assert set(variant._self_options) == {"max_wait", "stop"}
    assert how(Crawler("x").method.options(max_wait=3))("hi") == ("x", "hi", A)
    assert how({"functions": [ask, aask]})["functions"][0]("hi") == ("hi", A)


def test_a_function_is_pickled_by_its_name():
    """Like any function: the very same comes back, and no code travels."""
    assert again(ask) is ask
    assert again(aask) is aask
    assert len(pickle.dumps(ask)) < 200
    assert cloudpickle.loads(cloudpickle.dumps(ask)) is ask


def test_a_deep_copy_of_a_method_has_its_own_object():
    """As bound methods do."""
    crawler = Crawler(["x"])
    twin = copy.deepcopy(crawler.method)
    crawler.name.append("y")
    assert twin("hi")[0] == ["x"]
    assert copy.copy(crawler.method)("hi")[0] == ["x", "y"]


def test_what_cannot_be_pickled_says_why():
    """A local function has no name that another process could find; a pool holds secrets."""
    local = stable(lambda api_key: api_key)
    with pytest.raises(pickle.PicklingError, match="use cloudpickle"):
        pickle.dumps(local)
    with pytest.raises(TypeError, match="a pool can't be pickled: it holds secrets"):
        cloudpickle.dumps(stable(pool=KeyPool([A]))(lambda api_key: api_key))
    assert cloudpickle.loads(cloudpickle.dumps(local))() == A


SENDER = """
import sys, cloudpickle, functools
from tenacity import stop_after_attempt
from stable_openai import KeyManager, stable

KeyManager(["sk-sender-0123456789abcdef"])

@stable(max_wait=3, stop=stop_after_attempt(2))
def ask(depth, api_key=""):
    "Mentions itself."
    return ask(depth - 1) if depth else (type(ask).__name__, str(api_key))

def make(word):
    @stable(model="m")
    async def inner(api_key=""):
        return word, str(api_key)
    return inner

@stable
def stream(api_key=""):
    yield str(api_key)

class Crawler:
    @stable
    def method(self, api_key=""):
        return type(self).__name__, str(api_key)
    @stable
    @classmethod
    def kind(cls, api_key=""):
        return cls.__name__, str(api_key)

things = {"ask": ask, "inner": make("word"), "stream": stream, "method": Crawler().method, "kind": Crawler.kind,
          "variant": ask.options(max_wait=9), "partial": functools.partial(ask, 1)}
sys.stdout.buffer.write(cloudpickle.dumps(things))
"""
RECEIVER = """
import asyncio, json, pickle, sys
from stable_openai import KeyManager

KeyManager(["sk-receiver-0123456789abcdef"])
things = pickle.loads(sys.stdin.buffer.read())
print(json.dumps({
    "ask": things["ask"](2),
    "doc": things["ask"].__doc__,
    "inner": asyncio.run(things["inner"]()),
    "stream": list(things["stream"]()),
    "method": things["method"](),
    "kind": things["kind"](),
    "variant": things["variant"](1),
    "partial": things["partial"](),
    "options": [sorted(things[name]._self_options) for name in ("ask", "inner", "variant")],
    "left over": sorted(vars(things["ask"])),
}))
"""


def run(code, sent=b""):
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], input=sent, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_functions_of_main_travel_by_value_and_find_the_workers_own_pool():
    """cloudpickle of what ``__main__`` and closures define: still decorated there, with the keys of that process."""
    blob = run(SENDER)
    assert b"sk-sender" not in blob
    got = json.loads(run(RECEIVER, blob))
    key = "sk-receiver-0123456789abcdef"
    assert got == {
        "ask": ["StableFunction", key],
        "doc": "Mentions itself.",
        "inner": ["word", key],
        "stream": [key],
        "method": ["Crawler", key],
        "kind": ["Crawler", key],
        "variant": ["StableFunction", key],
        "partial": ["StableFunction", key],
        "options": [["max_wait", "stop"], ["model"], ["max_wait", "stop"]],
        "left over": [],
    }


POOL_OF_PROCESSES = """
import multiprocessing, sys
from stable_openai import KeyManager, KeyPool, stable

pool = KeyPool(["sk-worker-own-0123456789"])

@stable
def ask(prompt, api_key=""):
    return prompt, str(api_key)

@stable(pool=pool)
def ask_own(prompt, api_key=""):
    return prompt, str(api_key)

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as processes:
        print(processes.map(ask, ["a"]), processes.map(ask_own, ["b"]))
"""


def test_workers_of_multiprocessing(tmp_path):
    """Functions of the main script go to spawned workers by name, with the pools that those make."""
    script = tmp_path / "crawl.py"
    script.write_text(POOL_OF_PROCESSES)
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "OPENAI_API_KEYS": "sk-environment-0123456789"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[('a', 'sk-environment-0123456789')] [('b', 'sk-worker-own-0123456789')]"
