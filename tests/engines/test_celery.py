"""Celery: a decorated function is a task of a worker that forks two processes, with Redis as broker and for results."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import openai
import pytest

from stable_openai import NoKeyAvailable

celery = pytest.importorskip("celery")

ROOT = Path(__file__).parents[2]
ROUNDS = 60


@contextlib.contextmanager
def serving(module, crawl, folder, *options):
    """A real worker that serves a module's tasks; nothing that it logs is secret."""
    log = folder / "worker.log"
    command = [sys.executable, "-m", "celery", "--app", module.__name__, "--workdir", str(folder), "worker", *options]
    worker = subprocess.Popen(
        [*command, "--loglevel", "DEBUG", "--logfile", str(log)],
        env={**os.environ, **crawl.environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield module
    finally:
        worker.terminate()
        worker.wait(20)
        module.app.backend.result_consumer.stop()
        module.app.backend.client.connection_pool.disconnect()
        module.app.close()
    crawl.check_bytes(log.read_bytes())


@pytest.fixture(scope="module")
def tasks(crawl, tmp_path_factory):
    """The module of the tasks, while a worker of two processes serves it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENGINES_BROKER", crawl.database(3))
        patch.setenv("ENGINES_RESULTS", crawl.database(4))
        from tests.engines import celery_tasks

        folder = tmp_path_factory.mktemp("celery")
        with serving(celery_tasks, crawl, folder, "--pool", "prefork", "--concurrency", "2"):
            celery_tasks.ask.delay("warm up").get(timeout=50)
            yield celery_tasks


@pytest.fixture
def traffic(crawl):
    """``traffic()``: all that was sent to the server since, of the pool, the broker and the results."""
    heard = bytearray()
    with socket.create_connection(("127.0.0.1", crawl.server.port), timeout=50) as spy:
        spy.sendall(b"MONITOR\r\n")
        spy.recv(5)

        def listen():
            while b"that is all" not in heard[-1000:] and (data := spy.recv(65536)):
                heard.extend(data)

        thread = threading.Thread(target=listen)
        thread.start()

        def stop():
            crawl.server.ask("ECHO", "that is all")
            thread.join(10)
            return bytes(heard)

        yield stop
        stop()


def failure(result):
    with pytest.raises(Exception) as caught:  # whatever it is
        result.get(timeout=30)
    return caught.value


def test_one_pool_for_all_processes(tasks, crawl, traffic):
    """Every prompt is answered once, by both of them; limits hold over the two; no secret goes over the wire."""
    crawl.begin()
    prompts = [f"prompt {number}" for number in range(ROUNDS)]
    results = [tasks.process_of.delay(prompt) for prompt in prompts]
    answers = [result.get(timeout=50) for result in results]
    assert [answer for _, answer in answers] == [f"You said: {prompt}" for prompt in prompts]
    assert len({process for process, _ in answers}) == 2
    crawl.check_limits(prompts)
    heard = traffic()
    assert b"process_of" in heard
    crawl.check_bytes(heard)


def test_the_function_itself_is_the_task(tasks):
    """With a client, with a key, by place and by name, in a chord."""
    assert tasks.ask.name == "tests.engines.asking.ask"
    assert tasks.ask.delay("a", model="gpt-4o-mini").get(timeout=30) == "You said: a"
    assert tasks.ask_by_key.delay(prompt="b").get(timeout=30) == "You said: b"
    both = celery.chord([tasks.ask.s("c"), tasks.ask.s("d")])(tasks.joined.s())
    assert both.get(timeout=30) == "You said: c, You said: d"


def test_errors_reach_the_caller_as_themselves(tasks, crawl, traffic):
    """The provider's, with all that they tell; no secret goes over the wire."""
    crawl.spend()
    refused = failure(tasks.ask_once.delay("hello", crawl.SCARCE))
    assert type(refused) is openai.RateLimitError
    assert refused.code == "rate_limit_exceeded"
    crawl.check_refusal(refused)
    fault = failure(tasks.ask.delay("word " * 1000))
    assert type(fault) is openai.BadRequestError
    crawl.check_fault(fault)
    heard = traffic()
    assert b"RateLimitError" in heard
    crawl.check_bytes(heard)


def test_a_task_comes_back_later_where_no_key_is_free(tasks, crawl):
    """``autoretry_for``: the worker goes on with others meanwhile. Keys that are parked here are parked in the workers."""
    with crawl.pool() as pool:
        for key in pool:
            pool.park(key, 600)
        error = failure(tasks.ask_at_once.delay("never"))
        assert type(error) is NoKeyAvailable
        assert 590 < error.retry_after < 601
        assert set(error.reasons) == {"key-1", "key-2"}
        later = tasks.ask_later.delay("later")
        with crawl.server.client(db=4) as client:
            assert client.blpop(["retried"], timeout=30)[1].decode() == later.id
        pool.revive()
        assert later.get(timeout=30) == "You said: later"


def test_the_readme(crawl, tmp_path, monkeypatch):
    """What the README shows is a module of which a worker can be started, as it stands but for the address."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n([^`]*^from celery import [^`]*)^```$", readme, re.MULTILINE)
    path = tmp_path / "crawl.py"
    path.write_text(block.replace("redis://localhost/", crawl.database("")), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("crawl", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "crawl", module)
    spec.loader.exec_module(module)
    with serving(module, crawl, tmp_path, "--pool", "solo"):
        result = module.ask_in_celery.delay([{"role": "user", "content": "hello"}])
        assert result.get(timeout=50) == "You said: hello"
        assert type(failure(module.ask_in_celery.delay([]))) is openai.BadRequestError


def test_results_as_json(tasks):
    """Why results are pickled: of what Celery writes as JSON, it can't make an exception of openai's again."""
    error = failure(tasks.ask.delay("word " * 1000))
    with celery.Celery("other", broker="memory://", backend="cache+memory://", set_as_current=False) as plain:
        assert plain.conf.result_serializer == "json"
        again = plain.backend.exception_to_python(plain.backend.prepare_exception(error))
    assert type(again) is Exception
    assert str(again).startswith("<class 'openai.BadRequestError'>(")
