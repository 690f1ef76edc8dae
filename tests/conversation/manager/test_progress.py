"""The progress of a list: a bar where one can be drawn, and silence elsewhere."""

from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console

from stable_openai import ChatMessage, ChatSetup
from stable_openai.conversation.manager import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def on_terminal(monkeypatch):
    """``on_terminal()`` puts a terminal on stderr; in the test itself, for pytest puts its own there after the fixtures."""

    def put():
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("TERM", "xterm")
        for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
            monkeypatch.delenv(name, raising=False)
        return terminal

    return put


def test_the_bar():
    """How many have ended, of how many; and how many of these without an answer."""
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    with progress.bar(console, 3) as tell:
        tell(1, 0)
        tell(3, 2)
    drawn = console.file.getvalue()
    assert "3/3" in drawn
    assert "answered, 2 failed" in drawn


def test_a_list_has_a_bar_in_a_terminal(office, said, on_terminal):
    """It stays when it is over."""
    setting, stderr = office("a"), on_terminal()
    setting.cm.send([*said("1", "2"), ChatMessage()], thread_num=2)
    assert "3/3" in stderr.getvalue()
    assert "1 failed" in stderr.getvalue()


@pytest.mark.parametrize(
    "how", ["one message", "progress=False", "ChatSetup", "no terminal", "a dumb one", "no rich", "empty"]
)
def test_silence(office, said, on_terminal, monkeypatch, how):
    """For one message, where it is not wanted, where nothing can be drawn."""
    setting, stderr, messages, options = office("a"), on_terminal(), said("1", "2"), {}
    if how == "one message":
        messages, options = messages[0], {"progress": True}
    elif how == "progress=False":
        options = {"progress": False}
    elif how == "ChatSetup":
        ChatSetup.progress = False
    elif how == "no terminal":
        monkeypatch.setattr(Terminal, "isatty", lambda terminal: False)
    elif how == "a dumb one":
        monkeypatch.setenv("TERM", "dumb")
    elif how == "no rich":
        for name in [name for name in sys.modules if name.partition(".")[0] == "rich"]:
            monkeypatch.setitem(sys.modules, name, None)
    else:
        messages = []
    setting.cm.send(messages, **options)
    assert stderr.getvalue() == ""
    assert setting.cm.response_errors == {}


def test_whoever_wants_to_know(office, said):
    """Called with how many have ended, and how many there are; in the thread that called ``send``."""
    told = []
    office("a").cm.send(said("1", "2", "3"), progress=lambda *counts: told.append(counts))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_listener_that_fails(office, said):
    """Its exception is raised; the answers are kept."""
    setting = office("a")
    with pytest.raises(ZeroDivisionError) as caught:
        setting.cm.send(said("1", "2"), thread_num=1, progress=lambda *_: 1 / 0)
    assert caught.value.partial_responses[0].get_msg() == "You said: 1"
    assert len(setting.cm.get_session()) >= 1
