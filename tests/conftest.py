"""What every test can rely on: no process-wide pool and no keys in the environment, before it and after it.

And what none may do: whatever a test prints or logs (ours at DEBUG) is searched for anything that looks like a key.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import socket
from pathlib import Path

import pytest

from stable_openai import KeyManager
from stable_openai.pool import granting

# The same examples in each run: a new one is for those who look for it (--hypothesis-profile=default), not for a build.
with contextlib.suppress(ImportError):  # the frameworks' tests do without
    import hypothesis

    hypothesis.settings.register_profile("steady", derandomize=True, deadline=None)
    hypothesis.settings.load_profile("steady")

pytest_plugins = ["tests.stores.plugin", "tests.tokenizers"]
OPEN_FILES = Path("/proc/self/fd")
LOOKS_LIKE_A_KEY = re.compile(r"\bsk-[A-Za-z0-9_-]{10,}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Fail a test that has printed or logged a secret."""
    report = yield
    if report.when == "call" and report.passed:
        shown = [(title, match[0]) for title, text in report.sections for match in LOOKS_LIKE_A_KEY.finditer(text)]
        if shown:
            report.outcome = "failed"
            report.longrepr = f"this test has shown what looks like a secret: {shown[:5]}"
    return report


@pytest.fixture(autouse=True, scope="session")
def _log_everything():
    logging.getLogger("stable_openai").setLevel(logging.DEBUG)


@pytest.fixture(autouse=True)
def _a_process_without_keys(monkeypatch):
    for name in tuple(os.environ):
        if name.startswith(("OPENAI_", "AZURE_OPENAI_", "STABLE_OPENAI_STORE", "STABLE_OPENAI_POOL")):
            monkeypatch.delenv(name)
    KeyManager.reset()
    yield
    KeyManager.reset()


@pytest.fixture
def sockets():
    """``sockets(sim)``: how many connections this process has to a simulator, as its client.

    The simulator's own ends, in the same process, are closed whenever its thread comes to it: they are not counted.
    """

    def count(sim):
        found = 0
        for entry in OPEN_FILES.iterdir():
            with contextlib.suppress(OSError):
                if entry.is_socket():
                    with socket.socket(fileno=os.dup(int(entry.name))) as one:
                        found += one.family == socket.AF_INET and one.getpeername()[1] == sim.port
        return found

    if not OPEN_FILES.is_dir():
        pytest.skip("there is no /proc here")
    return count


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


def pytest_addoption(parser):
    parser.addoption("--store", choices=("memory", "sqlite", "redis"), default="memory", help="the store of all pools")
