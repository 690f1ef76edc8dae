"""Ray: a decorated function is a remote function, a class with a decorated method is an actor."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import openai
import pytest

from stable_openai import NoKeyAvailable, stable
from tests.engines import asking

ray = pytest.importorskip("ray")

ROUNDS = 60
pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def cluster(crawl):
    """Ray on this machine, of two processors; when it is over, nothing that it has written holds a secret."""
    with tempfile.TemporaryDirectory(prefix="ray-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")  # tell nobody
        patch.setenv("RAY_AUTH_MODE", "disabled")  # else it leaves a token in the home folder
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            object_store_memory=100_000_000,
            _temp_dir=folder,
            runtime_env={"env_vars": crawl.environment},
        )
        try:
            yield
        finally:
            ray.shutdown()
        files = [path for path in Path(folder).rglob("*") if path.is_file() and not path.is_symlink()]
        assert any(path.stat().st_size for path in files)
        for path in files:
            crawl.check_bytes(path.read_bytes())


def process_of(prompt):
    return os.getpid(), asking.ask(prompt)


@stable
def stream(prompt, *, client: openai.OpenAI = None):
    for chunk in client.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": prompt}], stream=True
    ):
        yield chunk.choices[0].delta.content or ""


def failure(reference):
    with pytest.raises(Exception) as caught:  # whatever it is
        ray.get(reference, timeout=60)
    return caught.value


def test_one_pool_for_all_processes(cluster, crawl):
    """Every prompt is answered once, by several of them; limits hold over all."""
    crawl.begin()
    prompts = [f"prompt {number}" for number in range(ROUNDS)]
    remote = ray.remote(process_of)
    answers = ray.get([remote.remote(prompt) for prompt in prompts], timeout=100)
    assert [answer for _, answer in answers] == [f"You said: {prompt}" for prompt in prompts]
    assert len({process for process, _ in answers}) > 1
    crawl.check_limits(prompts)


def test_the_function_itself_is_the_task(cluster):
    """With a client, by its key, under options, a local one by value, and a generator."""

    @ray.remote
    @stable
    def local(prompt, *, client: openai.OpenAI = None):
        return "local " + asking.ask.__wrapped__(prompt, client=client)

    tasks = [
        ray.remote(asking.ask).remote("a", model="gpt-4o-mini"),
        ray.remote(asking.ask_by_key).remote(prompt="b"),
        ray.remote(asking.ask.options(max_wait=9)).remote("c"),
        local.remote("d"),
    ]
    assert ray.get(tasks, timeout=60) == ["You said: a", "You said: b", "You said: c", "local You said: d"]
    pieces = list(ray.remote(stream).remote("e"))
    assert len(pieces) > 1
    assert "".join(ray.get(pieces, timeout=60)) == "You said: e"


def test_actors(cluster, crawl):
    """Two of them, each in a process of its own; and one whose method is a coroutine function, for many calls at once."""
    crawl.begin()
    actors = [ray.remote(asking.Asker).remote("> ") for _ in range(2)]
    prompts = [f"actor {number}" for number in range(12)]
    answers = ray.get([actors[number % 2].ask.remote(prompt) for number, prompt in enumerate(prompts)], timeout=60)
    assert [answer for _, answer in answers] == [f"> You said: {prompt}" for prompt in prompts]
    assert len({process for process, _ in answers}) == 2
    actor = ray.remote(asking.AsyncAsker).options(max_concurrency=8).remote()
    more = [f"task {number}" for number in range(8)]
    assert ray.get([actor.ask.remote(prompt) for prompt in more], timeout=60) == [f"You said: {p}" for p in more]
    crawl.check_limits(prompts + more)


def test_errors_reach_the_caller_as_themselves(cluster, crawl):
    """Ray raises an exception that is both its own and the provider's; its ``cause`` is the provider's itself."""
    crawl.spend()
    refused = failure(ray.remote(asking.ask_once).remote("hello", crawl.SCARCE))
    crawl.check_refusal(refused)
    assert refused.code is None  # Ray finds the class's, which stands before the exception's own
    assert type(refused.cause) is openai.RateLimitError
    assert refused.cause.code == "rate_limit_exceeded"
    crawl.check_refusal(refused.cause)
    fault = failure(ray.remote(asking.ask).remote("word " * 1000))
    assert type(fault.cause) is openai.BadRequestError
    crawl.check_fault(fault)
    crawl.check_fault(fault.cause)
    with crawl.pool() as pool:
        for key in pool:
            pool.park(key, 600)
        none = failure(ray.remote(asking.ask_at_once).remote("never"))
        pool.revive()
    assert isinstance(none, NoKeyAvailable)
    assert type(none.cause) is NoKeyAvailable
    assert 590 < none.retry_after < 601


def test_nothing_secret_is_sent(cluster, crawl):
    """Neither with functions nor with errors, which are pickled as they are here. Logs are read when Ray has ended."""
    crawl.spend()
    for function in (asking.ask, asking.ask_once, asking.Asker("").ask, stable(lambda api_key: api_key)):
        crawl.check_bytes(ray.cloudpickle.dumps(function))
    refused = failure(ray.remote(asking.ask_once).remote("hello", crawl.SCARCE))
    crawl.check_bytes(ray.cloudpickle.dumps(refused))
    crawl.check_bytes(ray.cloudpickle.dumps(refused.cause))
