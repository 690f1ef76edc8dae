"""A crawl that is killed again and again: in the end, each answer is there once, and none was paid for twice."""

from __future__ import annotations

import collections
import json
import random
import signal
import subprocess
import sys

import pytest

from stable_openai.simulator import Simulator, equal_keys
from stable_openai.simulator.stats import prompt_id

KILLS = 50
ITEMS = 5_000
WORKERS = 8

CRAWL = """
import asyncio, http.client, json, sys, threading, urllib.parse
import stable_openai
from stable_openai import KeyPool, stable

url, path, kind, items, workers, *secrets = sys.argv[1:]
place = urllib.parse.urlsplit(url)
local = threading.local()
pool = KeyPool(secrets)

class Refused(Exception):
    pass

def post(prompt, api_key):
    if not hasattr(local, "connection"):
        local.connection = http.client.HTTPConnection(place.hostname, place.port)
    body = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": prompt}]})
    headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
    try:
        local.connection.request("POST", place.path + "/chat/completions", body, headers)
        response = local.connection.getresponse()
        answer = json.loads(response.read())
    except OSError as error:
        local.connection.close()
        raise ConnectionError(str(error)) from error
    if response.status != 200:
        error = Refused(answer["error"]["message"])
        error.status_code, error.headers, error.body = response.status, dict(response.headers), answer
        raise error
    return answer["choices"][0]["message"]["content"]

@stable(pool=pool)
def ask(prompt, api_key):
    return post(prompt, api_key)

@stable(pool=pool)
async def aask(prompt, api_key):
    return await asyncio.to_thread(post, prompt, api_key)

print("begins", flush=True)
prompts = (f"prompt {number}" for number in range(int(items)))
options = {"checkpoint": path, "id": str, "workers": int(workers), "replay": False, "progress": False}
if kind == "threads":
    report = stable_openai.map(ask, prompts, **options).run()
else:
    report = asyncio.run(stable_openai.amap(aask, prompts, **options).run())
assert report.failed == {}, report.failed
"""


def answers_in(path):
    """Each whole line, by id."""
    raw = path.read_bytes() if path.exists() else b""
    return [json.loads(line) for line in raw[: raw.rfind(b"\n") + 1].splitlines()]


@pytest.mark.stress
@pytest.mark.timeout(180)
def test_killed_at_fifty_random_moments(tmp_path):
    """SIGKILL, and resumed each time, in threads and in tasks: each id once, and none asked again that was on the disk.

    That is what the provider says, which counts how often it has served each prompt.
    """
    path, dice = tmp_path / "out.jsonl", random.Random(8)
    keys = equal_keys(4)
    with Simulator(keys, latency_s=(0.002, 0.03), log_length=100_000, server_error_rate=0.01, seed=8) as simulator:

        def served():
            servings = simulator.stats().servings
            return collections.Counter({name: len(by) for name, by in servings.items()})

        def crawl(kind):
            secrets = [key.secret for key in keys]
            command = [sys.executable, "-c", CRAWL, simulator.base_url, path, kind, str(ITEMS), str(WORKERS), *secrets]
            return subprocess.Popen(command, stdout=subprocess.PIPE)

        fixed = {}
        for kill in range(KILLS):
            counts = served()
            for line in answers_in(path):
                fixed.setdefault(line["id"], counts[prompt_id(line["id"])])
            with crawl(dice.choice(["threads", "tasks"])) as child:
                if dice.random() < 0.8:  # else it may still be on its way to that
                    child.stdout.readline()
                try:
                    assert child.wait(dice.uniform(0.0, 0.4)) == 0
                    pytest.fail(f"it was over after {kill} kills: more items are needed")
                except subprocess.TimeoutExpired:
                    child.kill()
                    assert child.wait() == -signal.SIGKILL
        survived = len(answers_in(path))
        with crawl("threads") as child:
            assert child.wait(120) == 0
        answers, counts = answers_in(path), served()
    assert sorted(line["id"] for line in answers) == sorted(f"prompt {number}" for number in range(ITEMS))
    assert all(line["value"] == f"You said: {line['id']}" for line in answers)
    assert path.read_bytes().count(b"\n") == ITEMS
    assert not path.with_name("out.failures.jsonl").exists()
    again = {name: counts[prompt_id(name)] - times for name, times in fixed.items()}
    assert set(again.values()) == {0}
    assert 300 < survived < ITEMS, "the kills fell before anything was done, or after all was"
    in_vain = sum(counts.values()) - ITEMS
    assert in_vain <= KILLS * WORKERS * 2
