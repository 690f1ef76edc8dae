"""Dask: decorated functions are submitted, mapped and delayed, on a cluster of two worker processes."""

from __future__ import annotations

import os

import cloudpickle
import openai
import pytest

from stable_openai import NoKeyAvailable, stable
from tests.engines import asking

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")
core = pytest.importorskip("distributed.core")

ROUNDS = 60


@pytest.fixture(scope="module")
def cluster(crawl):
    """A client of two processes with two threads each."""
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=2, processes=True, dashboard_address=None, env=crawl.environment
        ) as made,
        distributed.Client(made) as client,
    ):
        yield client


def process_of(prompt):
    return os.getpid(), asking.ask(prompt)


def as_sent(prompt, model):
    """What a worker sends of an exception that ends a task."""
    try:
        return asking.ask_once(prompt, model)
    except openai.RateLimitError as error:
        return core.error_message(error)["exception"].data


def failure(future):
    with pytest.raises(Exception) as caught:  # whatever it is
        future.result(timeout=50)
    return caught.value


def test_one_pool_for_all_processes(cluster, crawl):
    """Every prompt is answered once, by both of them; limits hold over the two."""
    crawl.begin()
    prompts = [f"prompt {number}" for number in range(ROUNDS)]
    answers = cluster.gather(cluster.map(process_of, prompts))
    assert [answer for _, answer in answers] == [f"You said: {prompt}" for prompt in prompts]
    assert len({process for process, _ in answers}) == 2
    crawl.check_limits(prompts)


def test_the_function_itself_is_the_task(cluster):
    """Submitted, delayed, as a method, by its key, as a coroutine function, and a local one by value."""

    @stable
    def local(prompt, *, client: openai.OpenAI):
        return "local " + asking.ask.__wrapped__(prompt, client=client)

    assert cluster.submit(asking.ask, "a", model="gpt-4o-mini").result(timeout=30) == "You said: a"
    assert cluster.submit(asking.ask.options(max_wait=9), "b").result(timeout=30) == "You said: b"
    assert cluster.submit(asking.ask_by_key, prompt="c").result(timeout=30) == "You said: c"
    assert cluster.submit(asking.Asker("> ").ask, "d").result(timeout=30)[1] == "> You said: d"
    assert cluster.submit(asking.AsyncAsker().ask, "e").result(timeout=30) == "You said: e"
    assert cluster.submit(local, "f").result(timeout=30) == "local You said: f"
    assert dask.compute(dask.delayed(asking.ask)("g"), dask.delayed(local)("h")) == ("You said: g", "local You said: h")


def test_equal_prompts(cluster, crawl):
    """Dask takes functions for pure, and asks once for equal prompts; unless it is told otherwise."""
    crawl.begin()
    cluster.gather(cluster.map(asking.ask, ["same", "same"]))
    assert crawl.sim.stats().served_times("same") == 1
    cluster.gather(cluster.map(asking.ask, ["other", "other"], pure=False))
    assert crawl.sim.stats().served_times("other") == 2


def test_errors_reach_the_caller_as_themselves(cluster, crawl):
    """The provider's, with all that they tell, and ours."""
    crawl.spend()
    refused = failure(cluster.submit(asking.ask_once, "hello", crawl.SCARCE))
    assert type(refused) is openai.RateLimitError
    assert refused.code == "rate_limit_exceeded"
    crawl.check_refusal(refused)
    fault = failure(cluster.submit(asking.ask, "word " * 1000))
    assert type(fault) is openai.BadRequestError
    crawl.check_fault(fault)
    with crawl.pool() as pool:
        for key in pool:
            pool.park(key, 600)
        none = failure(cluster.submit(asking.ask_at_once, "never"))
        pool.revive()
    assert type(none) is NoKeyAvailable
    assert 590 < none.retry_after < 601


def test_nothing_secret_is_sent(cluster, crawl):
    """Neither with functions nor with errors; workers' logs have none, either."""
    crawl.spend()
    for function in (asking.ask, asking.ask_once, asking.Asker("").ask, stable(lambda api_key: api_key)):
        crawl.check_bytes(core.protocol.pickle.dumps(function))
        crawl.check_bytes(cloudpickle.dumps(function))
    sent = cluster.submit(as_sent, "hello", crawl.SCARCE).result(timeout=30)
    assert b"RateLimitError" in sent
    crawl.check_bytes(sent)
    logs = cluster.get_worker_logs()
    assert len(logs) == 2
    crawl.check_bytes(repr(logs).encode())
