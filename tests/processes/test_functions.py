"""A decorated function takes no pool along: it finds one where it is called, or says what to do."""

from __future__ import annotations

import functools
import pickle

import cloudpickle
import pytest
from tenacity import stop_after_attempt, wait_fixed

from stable_openai import ConfigurationError, KeyManager, KeyPool, NoKeyAvailable, stable
from stable_openai.doors import pools

HERE, THERE = "sk-functions-here-0123456789", "sk-functions-there-0123456789"


@pytest.fixture(autouse=True)
def _nothing_is_open():
    yield
    while pools._opened:
        pools._opened.popitem()[1].close()


def there(function):
    """The function as another process has it, whose keys are others."""
    sent = cloudpickle.dumps(function)
    assert b"sk-functions-" not in sent
    KeyManager.reset()
    KeyManager([THERE])
    return pickle.loads(sent)


def local(**options):
    """A function that has to travel by value."""
    return stable(**options)(lambda prompt="hi", api_key="": (prompt, str(api_key)))


@pytest.mark.parametrize("how", ["unnamed", "named", "variant"])
def test_the_process_wide_pool(how):
    """Named or not: it is that of the process in which the call is made."""
    KeyManager([HERE])
    function = {
        "unnamed": local(),
        "named": local(pool=KeyManager()),
        "variant": local().options(pool=KeyManager(), max_wait=3),
    }[how]
    assert function() == ("hi", HERE)
    assert there(function)() == ("hi", THERE)


def test_options_travel():
    """tenacity's objects, and functions for tokens and affinity."""
    options = {
        "stop": stop_after_attempt(2), "wait": wait_fixed(1), "max_wait": 3, "timeout": 4, "model": "m",
        "tokens": lambda *args, **kwargs: 5, "affinity": lambda *args, **kwargs: "talk",
    }  # fmt: skip
    KeyManager([HERE])
    again = there(local(**options))
    assert again("ho") == ("ho", THERE)
    assert set(again._self_options) == set(options)
    assert again._self_options["stop"].max_attempt_number == 2


def test_methods_and_partials():
    """Of classes that have to travel by value, and under options of their own."""

    class Crawler:
        def __init__(self, name):
            self.name = name

        @stable(pool=KeyManager([HERE]))
        def ask(self, prompt, api_key=""):
            return self.name, prompt, str(api_key)

        @stable
        @staticmethod
        def plain(api_key=""):
            return str(api_key)

    assert there(Crawler("x").ask)("hi") == ("x", "hi", THERE)
    assert there(Crawler("x").ask.options(max_wait=2))("hi") == ("x", "hi", THERE)
    assert there(functools.partial(Crawler("x").ask, "hi"))() == ("x", "hi", THERE)
    assert there(Crawler.plain)() == THERE


def test_a_pool_of_secrets_in_the_code():
    """It can't be found by another process; the message says what can be done."""
    with pytest.raises(
        TypeError, match="a pool can't be pickled: it holds secrets.*KeyManager.*STABLE_OPENAI_POOL.*KeyPool.from_file"
    ):
        cloudpickle.dumps(local(pool=KeyPool([HERE])))


@pytest.fixture
def of_file(tmp_path):
    """A pool of a file, and the file."""
    path = tmp_path / "keys.toml"
    path.write_text(f'[[keys]]\nsecret = "{HERE}"\n')
    path.chmod(0o600)
    pool = KeyPool.from_file(path, rpm=2)
    return pool, path


def test_a_pool_of_a_file(of_file):
    """Opened where the function is called, once for all functions; with the options of the code."""
    pool, path = of_file
    first, second = there(local(pool=pool)), there(local(pool=pool))
    path.write_text(f'[[keys]]\nsecret = "{THERE}"\n')
    assert first() == ("hi", THERE)
    assert there(second)() == ("hi", THERE)  # on to a third process
    with pytest.raises(NoKeyAvailable):
        second.options(max_wait=0)()  # rpm=2, of both together


@pytest.mark.parametrize("kind", ["coroutine", "generator"])
async def test_other_kinds_of_function(kind, of_file):
    """They are what they were, before the pool is opened and after."""
    pool, _ = of_file

    @stable(pool=pool)
    async def coroutine(api_key=""):
        return str(api_key)

    @stable(pool=pool)
    def generator(api_key=""):
        yield str(api_key)

    again = there({"coroutine": coroutine, "generator": generator}[kind])
    assert (await again() if kind == "coroutine" else next(again())) == HERE


def test_a_file_that_is_not_there(of_file):
    """The function arrives, and its call says what is wrong and what to do: the caller hears of it, no worker dies."""
    pool, path = of_file
    again = there(local(pool=pool))
    path.unlink()
    with pytest.raises(ConfigurationError, match=r"^pool: .*keys\.toml.*No such file.*STABLE_OPENAI_POOL"):
        again()


def test_a_pool_of_variables(monkeypatch):
    """The other process has its own."""
    monkeypatch.setenv("MY_KEYS", HERE)
    pool = KeyPool.from_env("MY_KEYS")
    again = there(local(pool=pool))
    monkeypatch.delenv("MY_KEYS")
    with pytest.raises(ConfigurationError, match="MY_KEYS"):
        again()
    monkeypatch.setenv("MY_KEYS", THERE)
    assert again() == ("hi", THERE)
