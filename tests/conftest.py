"""What every test can rely on: no process-wide pool and no keys in the environment, before it and after it."""

from __future__ import annotations

import os

import pytest

from stable_openai import KeyManager
from stable_openai.pool import granting


@pytest.fixture(autouse=True)
def _a_process_without_keys(monkeypatch):
    for name in tuple(os.environ):
        if name.startswith(("OPENAI_", "AZURE_OPENAI_")):
            monkeypatch.delenv(name)
    KeyManager.reset()
    yield
    KeyManager.reset()


@pytest.fixture
def advancing(monkeypatch):
    """``advancing(clock)``: a thread that would wait for a key moves the clock instead, as there is no other thread."""

    def advancing(clock, step=1.0):
        class AdvancingWaiter(granting.ThreadWaiter):
            __slots__ = ()

            def deliver(self):
                return True

            def wait(self):
                while self.result is None:
                    clock.advance(step)

        monkeypatch.setattr(granting, "ThreadWaiter", AdvancingWaiter)

    return advancing
