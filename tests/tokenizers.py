"""Tokenizers for tests: in the place of the extra ``tokens``, whether that is installed or not."""

from __future__ import annotations

import builtins
import sys
import types

import pytest

from stable_openai.pool import tokens


@pytest.fixture
def _loads_afresh():
    """What was found out about the extra is forgotten before and after the test."""
    tokens._encoders.clear()
    yield
    tokens._encoders.clear()


class Tokenizer:
    """One of a token for each sign.

    Attributes:
        names: The tokenizers that were made.
        signs: How many signs were counted.
    """

    def __init__(self):
        self.names = []
        self.signs = 0

    def get_encoding(self, name):
        self.names.append(name)
        return types.SimpleNamespace(encode_ordinary=self.encode)

    def encode(self, text):
        assert len(text) <= 50_000
        self.signs += len(text)
        return [*text]


@pytest.fixture
def counted(monkeypatch, _loads_afresh):
    """The extra is there: a token for each sign."""
    tokenizer = Tokenizer()
    monkeypatch.setitem(sys.modules, "bpe_openai", types.SimpleNamespace(get_encoding=tokenizer.get_encoding))
    return tokenizer


@pytest.fixture
def not_installed(monkeypatch, _loads_afresh):
    """The extra is missing."""
    find = builtins.__import__

    def refuse(name, *arguments, **options):
        if name == "bpe_openai":
            raise ImportError(name)
        return find(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
