"""Keys from the environment: one variable with a list, numbered variables, in order, each key once."""

from __future__ import annotations

import traceback

import pytest

from stable_openai import ConfigurationError, KeyManager, KeyPool, stable

A, B, C = (f"sk-envtest-{letter * 20}" for letter in "abc")


def test_one_variable_with_a_list(monkeypatch):
    """Commas, semicolons, white space and line breaks separate keys; empty places are nothing."""
    monkeypatch.setenv("MY_KEYS", f" {A},{B};;\n\t{C}, ")
    pool = KeyPool.from_env("MY_KEYS", rpm=3)
    assert [key.secret for key in pool.keys] == [A, B, C]
    assert [key.name for key in pool.keys] == ["MY_KEYS[0]", "MY_KEYS[1]", "MY_KEYS[2]"]
    assert pool.options.limits.rpm == 3


def test_numbered_variables_in_the_order_of_their_numbers(monkeypatch):
    """``_10`` comes after ``_9``, the plain variable last, and others with a similar name are left alone."""
    for name, secret in {"K_10": B, "K_9": A, "K": C, "K_X": "sk-no", "XK_1": "sk-no", "K_1B": "sk-no"}.items():
        monkeypatch.setenv(name, secret)
    assert {key.name: key.secret for key in KeyPool.from_env("K").keys} == {"K_9": A, "K_10": B, "K": C}


def test_a_key_that_stands_in_several_places_is_taken_once(monkeypatch):
    """It keeps the name of the first."""
    monkeypatch.setenv("OPENAI_API_KEYS", f"{A},{B}")
    monkeypatch.setenv("OPENAI_API_KEY_1", B)
    monkeypatch.setenv("OPENAI_API_KEY_2", C)
    monkeypatch.setenv("OPENAI_API_KEY", A)
    names = {key.name: key.secret for key in KeyPool.from_env().keys}
    assert names == {"OPENAI_API_KEYS[0]": A, "OPENAI_API_KEYS[1]": B, "OPENAI_API_KEY_2": C}


def test_several_variables(monkeypatch):
    """They are read in the order in which they are named."""
    monkeypatch.setenv("ONE", A)
    monkeypatch.setenv("TWO", B)
    assert [key.secret for key in KeyPool.from_env("TWO", "ONE").keys] == [B, A]


def test_nothing_there_names_the_variables(monkeypatch):
    """The message says where keys were looked for; an empty variable is nothing."""
    monkeypatch.setenv("MY_KEYS", " , ")
    with pytest.raises(ConfigurationError, match="^MY_KEYS: no key is set"):
        KeyPool.from_env("MY_KEYS")
    with pytest.raises(ConfigurationError, match="^OPENAI_API_KEYS / OPENAI_API_KEY_1 / OPENAI_API_KEY: no key is set"):
        KeyPool.from_env()
    with pytest.raises(ConfigurationError, match="^variables: "):
        KeyPool.from_env("")


def test_a_bad_key_is_named_by_its_variable_and_shows_no_other(monkeypatch):
    """Neither the message nor a traceback with locals holds any of the secrets, the good ones included."""
    monkeypatch.setenv("MY_KEYS", f"{A},{B}\u2013")
    with pytest.raises(ConfigurationError, match=r"^MY_KEYS\[1\]: has a character that is not ASCII") as caught:
        KeyPool.from_env("MY_KEYS")
    whole = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    shown = "".join(whole.format())
    assert A not in shown
    assert B not in shown


def test_the_process_wide_pool_comes_from_the_environment(monkeypatch):
    """Who never calls ``KeyManager(keys)`` gets one from the environment, at the first call."""
    monkeypatch.setenv("OPENAI_API_KEY_1", A)
    used = stable(lambda api_key: str(api_key))
    assert used() == A
    assert [key.name for key in KeyManager().keys] == ["OPENAI_API_KEY_1"]


def test_options_with_keys_from_the_environment(monkeypatch):
    """``KeyManager(rpm=3)`` takes its keys from there."""
    monkeypatch.setenv("OPENAI_API_KEYS", f"{A} {B}")
    assert KeyManager(rpm=3).options.limits.rpm == 3
    assert len(KeyManager()) == 2


def test_where_there_is_nothing_the_first_call_says_what_to_do():
    """Both the pool and a decorated function's first call name the ways to give keys."""
    for call in (KeyManager, stable(lambda api_key: api_key)):
        with pytest.raises(ConfigurationError, match=r"call KeyManager\(.*OPENAI_API_KEYS.*OPENAI_API_KEY_1"):
            call()
