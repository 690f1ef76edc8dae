"""What every test can rely on: no process-wide pool and no keys in the environment, before it and after it."""

from __future__ import annotations

import os

import pytest

from stable_openai import KeyManager


@pytest.fixture(autouse=True)
def _a_process_without_keys(monkeypatch):
    for name in tuple(os.environ):
        if name.startswith(("OPENAI_", "AZURE_OPENAI_")):
            monkeypatch.delenv(name)
    KeyManager.reset()
    yield
    KeyManager.reset()
