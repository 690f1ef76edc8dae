"""Puts the clients of the module that FAITHFUL_CLIENTS names in place of openai's own, before any test is read.

Only the names that a user writes are exchanged: those of ``openai`` and of ``openai.lib.azure``. What openai's own
modules imported for themselves stays, since it serves as the base of ours and of its Bedrock and module-level clients.
"""

from __future__ import annotations

import importlib
import os

import openai
import openai.lib.azure

_NAMES = {
    "OpenAI": "OpenAI",
    "Client": "OpenAI",
    "AsyncOpenAI": "AsyncOpenAI",
    "AsyncClient": "AsyncOpenAI",
    "AzureOpenAI": "AzureOpenAI",
    "AsyncAzureOpenAI": "AsyncAzureOpenAI",
}


def _exchange() -> None:
    ours = importlib.import_module(os.environ["FAITHFUL_CLIENTS"])
    for name, source in _NAMES.items():
        theirs, mine = getattr(openai, name), getattr(ours, source)
        if mine is theirs or not issubclass(mine, theirs):
            raise TypeError(f"{mine!r} is no subclass of {theirs!r}")
        setattr(openai, name, mine)


_exchange()
