"""A process opens its pool from its own environment: ``STABLE_OPENAI_POOL``, ``STABLE_OPENAI_STORE``, then keys."""

from __future__ import annotations

import traceback

import pytest

from stable_openai import ConfigurationError, KeyManager, KeyPool, stable
from stable_openai.key_sources import settings_from_env
from stable_openai.pool import manager

A, B = "sk-environment-aaaaaaaaaaaaaaaaaaaa", "sk-environment-bbbbbbbbbbbbbbbbbbbb"


@pytest.fixture
def told(tmp_path, monkeypatch):
    """``told(toml)`` writes a file of keys, and names it in the environment."""

    def told(text, mode=0o600):
        path = tmp_path / "keys.toml"
        path.write_text(text)
        path.chmod(mode)
        monkeypatch.setenv("STABLE_OPENAI_POOL", str(path))
        return path

    return told


@pytest.fixture
def options(monkeypatch):
    """The options with which the process-wide pool is made; stores that need a server are not opened here."""
    seen = {}

    def made(pool, keys, **given):
        seen.update(given)
        given.pop("store", None)
        KeyPool.__init__(pool, keys, **given)

    monkeypatch.setattr(manager.KeyManager, "__init__", made, raising=False)
    return seen


def test_the_file_comes_first(told, monkeypatch):
    """Before the keys of the environment, with its options; a decorated function finds it."""
    told(f'[pool]\nrpm = 7\nstrategy = "random"\n[[keys]]\nsecret = "{A}"\nname = "lab"\n')
    monkeypatch.setenv("OPENAI_API_KEYS", B)
    assert stable(lambda api_key: str(api_key))() == A
    assert [(key.name, key.secret) for key in KeyManager()] == [("lab", A)]
    assert KeyManager().options.limits.rpm == 7
    assert KeyManager().strategy == "random"


def test_what_the_code_says_wins(told, options, monkeypatch):
    """Explicit options, then the file's, then ``STABLE_OPENAI_STORE``."""
    monkeypatch.setenv("STABLE_OPENAI_STORE", "redis://environment/0")
    told(f'[pool]\nrpm = 7\nmax_wait = 3\nstore = "sqlite:///file.db"\n[[keys]]\nsecret = "{A}"\n')
    KeyManager(rpm=9, store="sqlite:///code.db")
    assert options == {"rpm": 9, "max_wait": 3, "store": "sqlite:///code.db"}
    KeyManager.reset()
    options.clear()
    KeyManager(rpm=9)
    assert options == {"rpm": 9, "max_wait": 3, "store": "sqlite:///file.db"}
    KeyManager.reset()
    options.clear()
    told(f'[[keys]]\nsecret = "{A}"\n')
    KeyManager()
    assert options == {"store": "redis://environment/0"}
    KeyManager.reset()
    options.clear()
    KeyManager([B], rpm=3)
    assert options == {"rpm": 3, "store": "redis://environment/0"}
    assert [key.secret for key in KeyManager()] == [B]


def test_the_running_one_is_not_contradicted_by_the_environment(monkeypatch):
    """What the environment says counts when the pool is made, and not when it is fetched."""
    monkeypatch.setenv("STABLE_OPENAI_STORE", "memory://")
    first = KeyManager([A], rpm=3)
    monkeypatch.setenv("STABLE_OPENAI_STORE", "redis://other/0")
    assert KeyManager() is first
    assert KeyManager([B], rpm=3) is first


def test_a_file_of_options_alone(told, monkeypatch):
    """Then the keys are those of the environment."""
    told("[pool]\nrpm = 7\n")
    monkeypatch.setenv("OPENAI_API_KEYS", f"{A},{B}")
    assert [key.secret for key in KeyManager()] == [A, B]
    assert KeyManager().options.limits.rpm == 7


def test_variables_that_are_empty_say_nothing(monkeypatch):
    """As a deployment leaves them that sets them nowhere."""
    for name in ("STABLE_OPENAI_POOL", "STABLE_OPENAI_STORE"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("OPENAI_API_KEY", A)
    assert settings_from_env()[1] == {}
    assert [key.secret for key in KeyManager()] == [A]


def test_a_home_folder(told, monkeypatch):
    """``~`` is understood, for files of variables that no shell has read."""
    path = told(f'[[keys]]\nsecret = "{A}"\n')
    monkeypatch.setenv("HOME", str(path.parent))
    monkeypatch.setenv("STABLE_OPENAI_POOL", "~/keys.toml")
    assert len(KeyManager()) == 1


def test_nothing_anywhere():
    """The message names all ways out."""
    with pytest.raises(
        ConfigurationError, match=r"KeyManager\(.*STABLE_OPENAI_POOL.*OPENAI_API_KEYS.*OPENAI_API_KEY_1"
    ):
        stable(lambda api_key: api_key)()


@pytest.mark.parametrize(
    ("text", "mode", "problem"),
    [
        (None, 0o600, r"^STABLE_OPENAI_POOL: names .*keys\.toml, which can't be read: No such file"),
        ("[pool]\n", 0o644, "^STABLE_OPENAI_POOL: keys.toml: can be read by others"),
        ("[pool", 0o600, "^STABLE_OPENAI_POOL: keys.toml: is no valid TOML"),
        ('[[keys]]\nsecret = ""\n', 0o600, r"^STABLE_OPENAI_POOL: keys.toml, line 2: keys\[0\].secret: is empty"),
        ("[pool]\nrpm = 0\n", 0o600, "keys.toml, line 2: pool.rpm: must be a whole number"),
    ],
)
def test_a_file_that_is_wrong(text, mode, problem, told, monkeypatch):
    """The message names the variable or the field; nothing is made, and the next call can do better."""
    monkeypatch.setenv("OPENAI_API_KEY", A)
    path = told(text or "", mode)
    if text is None:
        path.unlink()
    with pytest.raises(ConfigurationError, match=problem):
        KeyManager()
    monkeypatch.delenv("STABLE_OPENAI_POOL")
    assert len(KeyManager()) == 1


@pytest.mark.parametrize("where", ["environment", "file"])
def test_a_password_of_the_store_is_in_no_traceback(where, told, monkeypatch):
    """Local variables of ours included, where the pool can't be made."""
    address = "redis://me:RECOGNISABLE@host/0"
    if where == "environment":
        monkeypatch.setenv("STABLE_OPENAI_STORE", address)
    else:
        told(f'[pool]\nstore = "{address}"\n[[keys]]\nsecret = "{A}"\n')
    monkeypatch.setenv("OPENAI_API_KEY", A)
    with pytest.raises(ConfigurationError) as caught:
        KeyManager(max_wait="soon")
    tb = caught.value.__traceback__.tb_next  # from our frames on
    whole = traceback.TracebackException(type(caught.value), caught.value, tb, capture_locals=True)
    shown = "".join(whole.format())
    assert "told" in shown
    assert "RECOGNISABLE" not in shown
