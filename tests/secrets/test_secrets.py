"""No secret in anything that is printed, logged, noted, raised or shown, local variables of tracebacks included."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import pickle
import sys
import traceback

import openai
import pytest
from rich.console import Console
from rich.traceback import Traceback

from stable_openai import ConfigurationError, Key, KeyManager, KeyPool, ManualClock, NoKeyAvailable, stable
from stable_openai.simulator import SimKey

MARK = "RECOGNISABLE"
STATES = ["dead", "unpaid", "blocked", "limited", "disabled", "good"]
SECRETS = {state: f"sk-{MARK}-{state}-{'x' * 24}" for state in STATES}


class Ledger:
    """All that a scenario lets anybody see."""

    def __init__(self):
        self.seen = io.StringIO()

    def write(self, *things):
        for thing in things:
            self.seen.write(f"{thing}\n")

    def show(self, thing):
        self.write(repr(thing), str(thing))

    def error(self, error, *, skip):
        """An error as Python, as pytest -l and as rich would show it; ``skip`` names a file whose frames are left out."""
        self.show(error)
        self.write(error.args, getattr(error, "__notes__", ""), vars(error))
        tb = error.__traceback__
        while tb is not None and tb.tb_frame.f_code.co_filename == skip:
            tb = tb.tb_next
        stripped = error.with_traceback(tb)
        whole = traceback.TracebackException.from_exception(stripped, capture_locals=True)
        self.write("".join(whole.format()))
        console = Console(file=self.seen, width=200)
        console.print(Traceback.from_exception(type(error), error, tb, show_locals=True, locals_max_string=None))

    def check(self):
        text = self.seen.getvalue()
        at = text.find(MARK)
        assert at < 0, text[max(0, at - 1500) : at + 200]
        return text


@pytest.fixture
def ledger(capfd):
    """Collects the log of everybody at DEBUG, and what is printed."""
    ledger = Ledger()
    handler = logging.StreamHandler(ledger.seen)
    root = logging.getLogger()
    level = root.level
    loggers = [
        logging.getLogger(name) for name in ("stable_openai", "openai", "httpx", "httpx2", "httpcore", "asyncio")
    ]
    levels = [logger.level for logger in loggers]
    root.addHandler(handler)
    for logger in (root, *loggers):
        logger.setLevel(logging.DEBUG)
    yield ledger
    root.removeHandler(handler)
    for logger, old in zip((root, *loggers), (level, *levels), strict=True):
        logger.setLevel(old)
    ledger.write(*capfd.readouterr())
    ledger.check()


@pytest.fixture
def provider(openai_simulator):
    fields = {"good": {}, "limited": {"rpm": 1}}
    return openai_simulator(
        keys=[SimKey(SECRETS[state], name=state, **fields.get(state, {"state": state})) for state in STATES]
    )


def test_a_crawl_with_everything_that_goes_wrong(ledger, provider):
    """The real client, all states of keys: log, events, status, table, verdicts and leases."""
    pool = KeyPool([Key(SECRETS[state], name=state) for state in STATES], clock=ManualClock())
    pool.on_event(ledger.show)
    with openai.OpenAI(api_key="-", base_url=provider.base_url, max_retries=0) as client:

        @stable(pool=pool)
        def ask(prompt, api_key=""):
            return client.with_options(api_key=api_key).chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": prompt}]
            )

        for number in range(6):
            with contextlib.suppress(NoKeyAvailable):
                ledger.show(ask(f"number {number}").choices[0].message.content)
            ledger.show(pool)
            ledger.show(pool.status())
    assert "retired" in str(pool)
    pool.revive()
    with pool.lease() as lease:
        ledger.show(lease)
        ledger.show(lease.key)
        ledger.show(lease.headers["Authorization"].__repr__())
        ledger.show(lease.headers)
        ledger.show(pool.lease())
        ledger.show([lease.api_key, {"key": lease.api_key}])
    ledger.show(pool.options)
    ledger.show(list(pool))
    pool.remove("dead")
    ledger.show(pool.keys)


@pytest.mark.parametrize("kind", ["function", "coroutine", "generator", "async generator"])
def test_tracebacks_of_calls_that_fail(ledger, provider, kind):
    """The final exceptions of each kind of function, with the locals of our frames and of the user's."""
    pool = KeyPool([Key(SECRETS[state], name=state) for state in ("dead", "unpaid", "blocked")], clock=ManualClock())

    @stable(pool=pool)
    def function(api_key=""):
        client = openai.OpenAI(api_key=api_key, base_url=provider.base_url, max_retries=0)
        with client:
            raise_from(client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "x"}]))

    @stable(pool=pool)
    async def coroutine(api_key=""):
        async with openai.AsyncOpenAI(api_key=api_key, base_url=provider.base_url, max_retries=0) as client:
            await client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "x"}])

    @stable(pool=pool)
    def generator(api_key=""):
        yield function.__wrapped__(api_key=api_key)

    @stable(pool=pool)
    async def async_generator(api_key=""):
        yield await coroutine.__wrapped__(api_key=api_key)

    async def consume():
        return [item async for item in async_generator()]

    call = {
        "function": function,
        "coroutine": lambda: asyncio.run(coroutine()),
        "generator": lambda: list(generator()),
        "async generator": lambda: asyncio.run(consume()),
    }[kind]
    for _ in range(2):
        with pytest.raises((NoKeyAvailable, openai.APIStatusError)) as caught:
            call()
        ledger.error(caught.value, skip=None)
        if caught.value.__cause__ is not None:
            ledger.error(caught.value.__cause__, skip=None)
        ledger.write(pickle.dumps(caught.value) if isinstance(caught.value, NoKeyAvailable) else "")


def test_tracebacks_of_exceptions_that_are_the_users_own(ledger):
    """The user's frames have the api_key in a local variable: it hides itself there."""
    pool = KeyPool([Key(SECRETS["good"], name="good")])

    @stable(pool=pool)
    def ask(api_key=""):
        everything = {"key": api_key, "in a list": [api_key]}
        raise ZeroDivisionError(len(everything))

    with pytest.raises(ZeroDivisionError) as caught:
        ask()
    ledger.error(caught.value, skip=None)


@pytest.mark.parametrize("way", ["printed", "traceback"])
def test_a_secret_that_shows_would_be_noticed(way):
    """The ledger sees what is printed, and local variables."""
    ledger, secret = Ledger(), SECRETS["good"]
    if way == "printed":
        ledger.show([secret])
    else:
        with pytest.raises(ZeroDivisionError) as caught:
            secret = len(secret) / 0
        ledger.error(caught.value, skip=None)
    with pytest.raises(AssertionError):
        ledger.check()


def raise_from(answer):
    raise AssertionError(f"answered: {answer}")


def bad_keys():
    good, bad = SECRETS["good"], SECRETS["dead"]
    return [
        lambda: KeyPool([good, f"{bad}\n"]),
        lambda: KeyPool([good, good]),
        lambda: KeyPool([Key(good), {"secret": bad, "weight": -1}]),
        lambda: KeyPool([{"secret": bad, "nam": 1}]),
        lambda: Key(bad, weight=-1),
        lambda: Key(f"{bad} "),
        lambda: KeyPool([good], rpm=-1),
        lambda: KeyPool([good], strategy="no"),
        lambda: KeyPool([good], stratgy="no"),
        lambda: KeyManager([good, ""]),
        lambda: KeyManager([good], max_wait=-1),
        lambda: KeyPool([good]).add(bad, weight=-1),
        lambda: KeyPool([good]).add(good),
        lambda: KeyPool([good]).add(bad, name="key-1"),
        lambda: KeyPool([good]).add(bad, nam=1),
        lambda: KeyPool([good]).merge([bad, ""]),
        lambda: KeyPool([good]).reload([bad, bad]),
        lambda: KeyPool([good]).remove(bad),
        lambda: KeyPool([good]).revive(bad),
        lambda: KeyPool([good]).park(bad),
    ]


@pytest.mark.parametrize("number", range(len(bad_keys())))
def test_tracebacks_of_bad_configurations(ledger, number):
    """Our own frames never show the keys that were handed in, whatever was wrong with them."""
    with pytest.raises((ConfigurationError, KeyError, TypeError)) as caught:
        bad_keys()[number]()
    ledger.error(caught.value, skip=__file__)  # the frames of this file hold the list itself, as the user's may


def test_a_traceback_of_a_process_without_keys(ledger, monkeypatch):
    """The environment may hold other secrets: no frame of ours shows it."""
    monkeypatch.setenv("OTHER_TOKEN", SECRETS["good"])
    with pytest.raises(ConfigurationError) as caught:
        KeyManager()
    ledger.error(caught.value, skip=None)


def test_hidden_secrets_work_where_secrets_are_needed():
    """The text itself is whole: in comparisons, headers, encodings and files."""
    with KeyPool([SECRETS["good"]]).lease() as lease:
        secret = lease.api_key
    assert secret == SECRETS["good"]
    assert f"{secret}" == str(secret) == SECRETS["good"]
    assert secret.encode() == SECRETS["good"].encode()
    out = io.StringIO()
    print(secret, file=out)
    assert out.getvalue() == f"{SECRETS['good']}\n"
    assert MARK not in repr(secret) + repr({"k": [secret]}) + f"{secret!r}"
    assert sys.getsizeof(secret) > 0
