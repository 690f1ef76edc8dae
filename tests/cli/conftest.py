"""What tests of the terminal need: a folder of their own, a provider, and a terminal that is a real pseudo-terminal."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest
from click.testing import CliRunner

from stable_openai.cli.group import group
from stable_openai.simulator import Simulator

KEYS = ("sk-sim-" + "a" * 24 + "A1", "sk-sim-" + "b" * 24 + "B2")
PATIENCE_S = 40  # for a screen to show what it should; it is reached only where it never will


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The configuration folder, which is not there yet."""
    home = tmp_path / "home"
    monkeypatch.setenv("STABLE_OPENAI_HOME", str(home))
    monkeypatch.delenv("STABLE_OPENAI_MODEL", raising=False)
    return home


@pytest.fixture(autouse=True)
def _loggers_as_before():
    """A command that runs in this process leaves its handlers behind: a process of its own would end with it."""
    loggers = [logging.getLogger(name) for name in ("stable_openai", "stable_openai.access")]
    before = [(logger.level, list(logger.handlers), logger.propagate) for logger in loggers]
    yield
    for logger, (level, handlers, propagate) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers[:] = handlers
        logger.propagate = propagate


@pytest.fixture
def provider(folder, monkeypatch):
    """``provider(script=…)``: a simulator that knows two keys, and is the endpoint of all that runs in this test."""
    with ExitStack() as running:

        def provider(**settings):
            simulator = running.enter_context(Simulator(keys=settings.pop("keys", KEYS), **settings))
            monkeypatch.setenv("OPENAI_BASE_URL", simulator.base_url)
            monkeypatch.setenv("OPENAI_API_KEYS", ",".join(simulator.keys))
            return simulator

        yield provider


@pytest.fixture
def run(folder):
    """``run("chat", "question", input="…")``: a command in this process, without a terminal."""

    def run(*arguments, input=None):  # noqa: A002  # as click's runner has it
        return CliRunner().invoke(group, list(arguments), input=input)

    return run


@pytest.fixture
def conversation(folder):
    """What the file of the conversation holds."""
    return lambda: json.loads((folder / "conversation.json").read_text(encoding="utf-8"))


def said(conversation):
    """The texts of a conversation."""
    return [message["content"] for message in conversation["messages"]]


class Screen:
    """A program in a pseudo-terminal, and what one sees there."""

    def __init__(self, arguments, *, lines=30, columns=90, dumb=False):
        import pexpect
        import pyte

        kind = "dumb" if dumb else "xterm-256color"
        # On a busy machine the program may look at its terminal before that has been told its size.
        size = {"COLUMNS": str(columns), "LINES": str(lines)}
        environment = {**os.environ, "TERM": kind, "LC_ALL": "C.UTF-8", **size}
        self._screen = pyte.HistoryScreen(columns, lines, history=1000)
        self._screen.write_process_input = self.type  # it answers where the cursor is, as terminals do
        self._stream = pyte.ByteStream(self._screen)
        self._child = pexpect.spawn(
            sys.executable,
            ["-m", "stable_openai", *arguments],
            env=environment,
            dimensions=(lines, columns),
            timeout=PATIENCE_S,
        )
        self.raw = b""

    @property
    def pid(self):
        return self._child.pid

    def text(self):
        """All that the terminal shows, and what has gone out of it at the top."""
        scrolled = ["".join(line[x].data for x in range(self._screen.columns)) for line in self._screen.history.top]
        return "\n".join(line.rstrip() for line in [*scrolled, *self._screen.display]).rstrip()

    def wait_for(self, pattern, times=1):
        """Read on until the screen shows this so many times."""
        deadline = time.monotonic() + PATIENCE_S
        while len(re.findall(pattern, self.text())) < times:
            assert time.monotonic() < deadline, f"no {pattern!r} on the screen:\n{self.text()}"
            assert self._read(), f"it ended without {pattern!r}:\n{self.text()}"

    def _read(self):
        import pexpect

        try:
            data = self._child.read_nonblocking(4096, timeout=1)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.raw += data
        self._stream.feed(data)
        return True

    def type(self, text):
        self._child.send(text)

    def wait_for_end(self):
        """Read on until the program ends, and give its exit code; minus the signal, where it was killed."""
        while self._read():
            pass
        self._child.wait()
        return self._child.exitstatus if self._child.signalstatus is None else -self._child.signalstatus

    def kill(self, signal):
        os.kill(self.pid, signal)

    def close(self):
        self._child.close(force=True)


@pytest.fixture
def terminal(folder, request):
    """``terminal("chat")``: a command in a pseudo-terminal of its own; no key may ever stand on its screen."""
    pytest.importorskip("pty")
    opened = []

    def terminal(*arguments, **size):
        opened.append(Screen(arguments, **size))
        return opened[-1]

    yield terminal
    for screen in opened:
        screen.close()
        for key in KEYS:
            assert key.encode() not in screen.raw


@pytest.fixture
def serving(provider, monkeypatch):
    """``serving("--gateway", "localhost:0")``: a server in another process, and the lines that it says."""
    provider()
    started = []

    def serving(*arguments):
        command = [sys.executable, "-m", "stable_openai", "serve", *arguments]
        child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        started.append(child)
        return child

    yield serving
    for child in started:
        child.kill()
        child.wait()
        child.stderr.close()
