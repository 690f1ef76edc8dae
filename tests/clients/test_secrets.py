"""No secret in any text: exceptions, their notes and causes, reprs, tracebacks with locals, logs."""

from __future__ import annotations

import logging
import traceback

import openai
import pytest

import stable_openai


@pytest.fixture
def logged():
    """All that openai, httpx and we log, down to DEBUG."""
    lines = []

    class Keep(logging.Handler):
        def emit(self, record):
            lines.append((record.name, record.getMessage()))

    handler = Keep(logging.DEBUG)
    root = logging.getLogger()
    names = ("openai", "stable_openai", "httpx", "httpx2", "httpcore", "httpcore2")
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.DEBUG)
    root.addHandler(handler)
    yield lines
    root.removeHandler(handler)
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def everything_of(error):
    """Texts, notes and reprs of an exception and all that hang on it."""
    seen, told = set(), []
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        told += [str(error), repr(error), repr(error.args), *getattr(error, "__notes__", [])]
        error = error.__cause__ or error.__context__
    return "\n".join(told)


async def test_exceptions(kind, setting, make):
    """Whatever ends a request, with our own frames' locals shown."""
    states = ("dead", "disabled", "unpaid", "blocked", "region")
    for state in states:
        its = setting((state, {"state": state}), ("other", {"state": state}), options={"max_wait": 0})
        for stream in (False, True):
            with pytest.raises(openai.OpenAIError) as caught:
                await kind.chat(its.client, stream=stream)
            told = everything_of(caught.value)
            for name in (state, "other"):
                assert make.secret(name) not in told
            shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
            for frame in shown.stack:
                if "stable_openai" in frame.filename:
                    assert all(make.secret(name) not in str(frame.locals) for name in (state, "other"))
    told = "".join(map(repr, (its.client, its.pool, its.client._source, its.client.copy(), its.pool.status())))
    assert all(make.secret(name) not in told for name in states)


async def test_constructing(kind, make):
    """A wrong key among good ones, a wrong option: refused without a word of the secrets."""
    good = make.secret("good")
    for options in (
        {"api_key": [good, f"{good}x y"]},
        {"pool": [good], "max_wait": -1},
        {"api_key": good, "pool": [good]},
    ):
        with pytest.raises(stable_openai.ConfigurationError) as caught:
            kind.class_of()(**options)
        assert good not in everything_of(caught.value)


async def test_logs(kind, openai_simulator, make, logged, monkeypatch):
    """At DEBUG, over failures, retries and streams: what openai tells by itself, and not a line more."""
    for name in ("OPENAI_LOG",):
        monkeypatch.delenv(name, raising=False)
    told = {}
    for of in (openai, stable_openai):
        sim = openai_simulator(keys=[make.secret("good")])
        sim.provider.add_key(make.secret("unpaid"))
        sim.provider.unpay(make.secret("unpaid"))
        key = make.secret("good") if of is openai else [make.secret("unpaid"), make.secret("good")]
        client = kind.client(of=of, api_key=key, base_url=sim.base_url)
        logged.clear()
        await kind.chat(client)
        await kind.listed(client.chat.completions.create(**kind.request(), stream=True))
        sim.provider.outage("500")
        with pytest.raises(openai.InternalServerError):
            await kind.chat(client, extra_headers={"x-a": "1"})
        told[of] = list(logged)
    shown = {of: sum("0123456789" in line and "sk-clients" in line for _, line in told[of]) for of in told}
    assert shown[stable_openai] <= shown[openai]
    assert any(name == "stable_openai" for name, _ in told[stable_openai])
    ours = [line for name, line in told[stable_openai] if name == "stable_openai"]
    assert not any(make.secret(name) in line for line in ours for name in ("good", "unpaid"))
