"""`chat` in a real pseudo-terminal: streaming, an interrupt, a kill and a resume, as a user sees and types them."""

from __future__ import annotations

import os
import signal

import pytest

from stable_openai.simulator import SimKey
from tests.cli.conftest import KEYS, said

pytestmark = [pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal"), pytest.mark.timeout(120)]

SLOW_S = 0.25  # between words, so that an answer of sixty is never through before it is stopped
LONG = " ".join(f"word{number}" for number in range(60))
READY = r"Enter sends"


def test_a_conversation(terminal, provider, conversation):
    """Markdown is drawn as it comes; what is typed meanwhile waits for the next line; Ctrl-D leaves."""
    provider(script=["# Title\n\nSome **bold** text.\n\n- one\n- two\n", "Second."], stream_gap_s=0.02)
    screen = terminal("chat", "--model", "gpt-4o")
    screen.wait_for(r"gpt-4o, 2 keys from the environment")
    screen.wait_for(READY)
    screen.type("Hello!\r")
    screen.wait_for(r"• two")
    screen.wait_for(r"2 messages")
    text = screen.text()
    assert "**" not in text
    assert "# Title" not in text
    assert text.count("Title") == text.count("• one") == 1
    screen.type("And?\r")
    screen.wait_for(r"Second\.")
    screen.wait_for(r"4 messages")
    screen.type("\x04")
    assert screen.wait_for_end() == 0
    assert said(conversation())[2:] == ["And?", "Second."]


def test_an_interrupt_stops_the_answer_and_not_the_program(terminal, provider, conversation):
    """Neither the question nor the part is kept; /retry asks again; Ctrl-C in an empty line leaves nothing behind."""
    simulator = provider(script=[LONG], stream_gap_s=SLOW_S)
    screen = terminal("chat")
    screen.wait_for(READY)
    screen.type("Tell me.\r")
    screen.wait_for(r"word3\b")
    screen.type("\x03")
    screen.wait_for(r"Stopped: neither the question nor this part")
    screen.wait_for(READY)
    assert conversation()["messages"] == []
    assert conversation()["unanswered"] is None
    assert "word59" not in screen.text()
    simulator.provider.tune(script=["Short."], stream_gap_s=0.0)
    screen.type("/retry\r")
    screen.wait_for(r"Short\.")
    screen.wait_for(r"2 messages")
    screen.type("\x03")
    screen.wait_for(r"\(Ctrl-D leaves\)")
    screen.type("/quit\r")
    assert screen.wait_for_end() == 0
    assert said(conversation()) == ["Tell me.", "Short."]


def test_a_kill_and_a_resume(terminal, provider, conversation):
    """After kill -9 in the middle of an answer, chat goes on with the rounds before, and has the question ready."""
    simulator = provider(script=["First answer."])
    screen = terminal("newchat", "--system", "Be kind.")
    screen.wait_for(READY)
    screen.type("First question\r")
    screen.wait_for(r"3 messages")
    simulator.provider.tune(script=[LONG], stream_gap_s=SLOW_S)
    screen.type("Second question\x1b\rin two lines\r")
    screen.wait_for(r"word3\b")
    screen.kill(signal.SIGKILL)
    assert screen.wait_for_end() == -signal.SIGKILL
    assert said(conversation()) == ["Be kind.", "First question", "First answer."]

    simulator.provider.tune(script=["Second answer."], stream_gap_s=0.0)
    screen = terminal("chat")
    screen.wait_for(r"Going on with a conversation of 3 messages")
    screen.wait_for(r"> Second question\n\. in two lines")
    text = screen.text()
    assert "told: Be kind." in text
    assert "> First question\nFirst answer." in text
    screen.type("\r")
    screen.wait_for(r"5 messages")
    screen.type("\x04")
    assert screen.wait_for_end() == 0
    assert said(conversation())[3:] == ["Second question\nin two lines", "Second answer."]


@pytest.mark.parametrize("moment", [0, 1, 2])
def test_a_kill_at_any_moment_loses_no_whole_round(moment, terminal, provider, conversation):
    """Before the first piece, in the middle, and at the last one: the file is whole, and has the question or the round."""
    provider(script=["a b c d"], stream_gap_s=0.2, latency_s=0.5 if moment == 0 else 0.0)
    screen = terminal("chat")
    screen.wait_for(READY)
    screen.type("Question\r")
    screen.wait_for((r"waiting for the answer", r"a b", r"a b c d")[moment])
    screen.kill(signal.SIGKILL)
    screen.wait_for_end()
    kept = conversation()
    if kept["messages"]:
        assert said(kept) == ["Question", "a b c d"]
        assert kept["unanswered"] is None
    else:
        assert kept["unanswered"] == [{"role": "user", "content": "Question"}]


def test_a_long_answer_on_a_small_screen(terminal, provider):
    """Blocks that are higher than the screen stand there once in the end, from their first line to their last."""
    code = "\n".join(f"line_{number} = {number}" for number in range(40))
    provider(script=[f"Before.\n\n```python\n{code}\n```\n\nAfter.\n"], stream_gap_s=0.01)
    screen = terminal("chat", lines=12, columns=60)
    screen.wait_for(READY)
    screen.type("Code!\r")
    screen.wait_for(r"After\.")
    screen.wait_for(r"2 messages")
    for number in range(40):
        assert screen.text().count(f"line_{number} =") == 1


def test_commands_are_completed(terminal, provider):
    """Tab goes through what begins so, and says what it does."""
    provider()
    screen = terminal("chat")
    screen.wait_for(READY)
    screen.type("/ro")
    screen.wait_for(r"take back the last round")
    screen.type("\t\r")
    screen.wait_for(r"no round to take back")


def test_a_key_that_is_out_is_named_while_one_waits(terminal, provider):
    """The note beside the spinner; then the next key's answer."""
    provider(keys=[SimKey(KEYS[0], state="dead"), SimKey(KEYS[1], latency_s=3.0)], script=["Here."])
    screen = terminal("chat")
    screen.wait_for(READY)
    screen.type("Anyone?\r")
    screen.wait_for(r"waiting: \S+: retired: invalid_key")
    screen.wait_for(r"Here\.")


def test_the_same_conversation_in_two_terminals(terminal, provider):
    """The second is refused in one line, and the first is not disturbed."""
    provider()
    first = terminal("chat")
    first.wait_for(READY)
    second = terminal("chat")
    assert second.wait_for_end() == 1
    assert "open in another terminal" in second.text()
    first.type("Hello!\r")
    first.wait_for(r"You said: Hello!")


def test_a_dumb_terminal_gets_plain_text(terminal, provider):
    """Nothing is drawn there."""
    provider(script=["**Plain** text."])
    screen = terminal("chat", "--no-history", dumb=True)
    screen.wait_for(r"\n>")
    screen.type("Hello!\r")
    screen.wait_for(r"\*\*Plain\*\* text\.")
