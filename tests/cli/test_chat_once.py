"""`chat` and `newchat` without a terminal: a question in, an answer out, and a conversation that goes on."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys

import pytest

from stable_openai.cli.places import home
from stable_openai.cli.private_files import locked
from stable_openai.simulator import SimKey
from tests.cli.conftest import KEYS, said


def start(*arguments, **options):
    command = [sys.executable, "-m", "stable_openai", *arguments]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, **{**pipes, **options})


def test_only_the_answer_goes_to_the_output(run, provider):
    """`echo question | stable-openai chat`."""
    provider(script=["51"])
    result = run("chat", input="What comes after 50?\n")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "51\n", "")


def test_the_question_may_stand_on_the_line(run, provider):
    """Several words are one question; the input is read only where a - stands for it."""
    provider()
    assert run("chat", "How", "are you?", input="unread").stdout == "You said: How are you?\n"
    assert run("chat", "Sum", "up:", "-", input="a text\n").stdout == "You said: Sum up: \n\na text\n"


def test_the_conversation_goes_on_and_newchat_clears_it(run, provider, conversation, folder):
    """As the table of commands has it; nobody else can read the file."""
    simulator = provider(script=["51", "52", "101"])
    run("chat", "What comes after 50?")
    run("chat", "And then?")
    assert said(conversation()) == ["What comes after 50?", "51", "And then?", "52"]
    assert run("newchat", "What comes after 100?").stdout == "101\n"
    assert said(conversation()) == ["What comes after 100?", "101"]
    assert simulator.stats().total.served == 3
    if os.name == "posix":
        assert (folder / "conversation.json").stat().st_mode & 0o777 == 0o600


def test_without_history_nothing_is_read_or_written(run, provider, folder):
    """Programs can ask side by side, and leave the user's conversation alone."""
    provider(script=lambda request: str(len(request.payload["messages"])))
    run("chat", "one")
    before = (folder / "conversation.json").read_bytes()
    with locked(home() / "conversation.lock"):
        assert run("chat", "--no-history", "two").stdout == "1\n"
    assert (folder / "conversation.json").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "given", "words"),
    [
        (["chat"], "", "nothing was asked"),
        (["chat"], " \n\n", "nothing was asked"),
        (["newchat", "-", "-"], "x", "in one place"),
        (["chat"], b"\xff\xfe\x00", "no UTF-8 text (at byte 0)"),
        (["chat", "--pool", "missing.toml", "x"], "", "missing.toml"),
    ],
)
def test_wrong_usage_ends_with_2(arguments, given, words, run, provider):
    """And a word of what is wrong; nothing is sent."""
    simulator = provider()
    result = run(*arguments, input=given)
    assert result.exit_code == 2
    assert words in result.stderr
    assert simulator.stats().total.attempts == 0


# -- what goes wrong


def test_without_keys_it_says_where_to_put_them(run):
    """Three ways."""
    result = run("chat", "Hello!")
    assert result.exit_code == 1
    for words in ("add_apikey", "OPENAI_API_KEYS", "--pool"):
        assert words in result.stderr


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"keys": [SimKey(KEYS[0], state="dead")]}, "the key was refused: "),
        ({"keys": [SimKey(KEYS[0], state="unpaid")]}, "out of money, or of quota: "),
        ({"keys": [SimKey(KEYS[0], state="blocked")]}, "the key may not do this: "),
        ({"keys": [SimKey(KEYS[0], state="region")]}, "not served in this region: "),
        ({"models": ("other",)}, "the model is not there for this key (see --model, /model): "),
        ({"context_length": 1}, "the conversation is longer than the model takes (see /rollback, /new): "),
        ({"cut_stream_rate": 1.0}, "the connection failed: "),
        ({"keys": [SimKey(KEYS[0], state="disabled")]}, "the key or its account is closed"),
    ],
)
def test_a_failure_is_one_line_and_the_question_is_kept(settings, words, run, provider, conversation):
    """Exit code 1, no traceback, no secret; the history is as it was, and the question is not lost."""
    provider(**settings)
    result = run("chat", "Hello, you there, how are you?")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {words}")
    assert result.stderr.count("\n") == 1
    assert KEYS[0] not in result.output
    assert said(conversation()) == []
    assert conversation()["unanswered"] == [{"role": "user", "content": "Hello, you there, how are you?"}]


def test_a_bad_key_is_passed_over(run, provider):
    """The pool goes on with the next key, and the answer is all that one sees."""
    provider(keys=[SimKey(KEYS[0], state="dead"), SimKey(KEYS[1])], script=["Here."])
    assert run("chat", "Anyone?").output == "Here.\n"


def test_the_conversation_is_open_elsewhere(run, provider):
    """Two programs would lose what the other writes: the second is told so, and sends nothing."""
    simulator = provider()
    with locked(home() / "conversation.lock"):
        result = run("chat", "Hello!")
    assert result.exit_code == 1
    assert "open in another terminal" in result.stderr
    assert simulator.stats().total.attempts == 0


@pytest.mark.parametrize("content", ["{", "[1]", '{"format": 1, "messages": [], "unanswered": 7}', '{"format": 9}'])
def test_a_file_that_holds_no_conversation_is_left_alone(content, run, provider, folder):
    """newchat begins anew in its place, where the user wants that."""
    provider(script=["Fine."])
    folder.mkdir()
    (folder / "conversation.json").write_text(content)
    result = run("chat", "Hello!")
    assert result.exit_code == 1
    assert "newchat begins a new one" in result.stderr
    assert (folder / "conversation.json").read_text() == content
    assert run("newchat", "Hello!").stdout == "Fine.\n"


# -- settings


def test_where_the_model_comes_from(run, provider, monkeypatch):
    """--model, else the conversation's, else the environment's, else the default."""
    asked = []
    provider(script=lambda request: asked.append(request.model) or "ok")
    run("chat", "1")
    monkeypatch.setenv("STABLE_OPENAI_MODEL", "from-env")
    run("chat", "2")
    run("newchat", "3")
    run("chat", "--model", "given", "4")
    run("chat", "5")
    assert asked == ["gpt-4o-mini", "gpt-4o-mini", "from-env", "given", "given"]


def test_the_system_message_is_replaced_and_removed(run, provider, conversation):
    """It stands before all else, once; '' takes it away."""
    provider(script=["ok"])
    run("chat", "--system", "Be kind.", "1")
    run("chat", "--system", "Be short.", "2")
    assert said(conversation()) == ["Be short.", "1", "ok", "2", "ok"]
    run("chat", "--system", "", "3")
    assert [message["role"] for message in conversation()["messages"]] == ["user", "assistant"] * 3


def test_a_file_of_keys_wins_over_kept_keys_and_those_over_the_environment(run, provider, tmp_path):
    """The endpoint of a key goes with it; --base-url is for keys without."""
    used = []
    provider(keys=("sk-env", "sk-kept", "sk-file"), script=lambda request: used.append(request.key_secret) or "ok")
    url = os.environ["OPENAI_BASE_URL"]
    os.environ["OPENAI_API_KEYS"] = "sk-env"
    assert run("chat", "1").exit_code == 0
    run("add_apikey", input="sk-kept")
    assert run("chat", "2", "--base-url", url).exit_code == 0
    file = tmp_path / "keys.toml"
    file.write_text(f'[[keys]]\nsecret = "sk-file"\nbase_url = "{url}"\n')
    file.chmod(0o600)
    assert run("chat", "3", "--pool", str(file), "--base-url", "http://127.0.0.1:9/v1").exit_code == 0
    assert used == ["sk-env", "sk-kept", "sk-file"]


# -- signals and pipes


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT to a process")
def test_an_interrupt_stops_the_answer_and_keeps_nothing_of_it(provider, conversation):
    """Exit code 130, as shells expect; what came is on the output, and not in the history."""
    provider(script=["word " * 60], stream_gap_s=0.5)
    with start("chat", "Tell me.") as process:
        assert process.stdout.read(4) == "word"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert process.returncode == 130
    assert err == "Stopped: the question and what came of the answer are not kept.\n"
    assert conversation()["messages"] == []
    assert conversation()["unanswered"] is None


@pytest.mark.skipif(os.name != "posix", reason="pipes")
def test_a_reader_that_leaves(provider, conversation):
    """`… | head -c 4`: it ends without a word."""
    provider(script=["word " * 60], stream_gap_s=0.05)
    with start("chat", "Tell me.") as process:
        assert process.stdout.read(4) == "word"
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == 1
    assert conversation()["messages"] == []


def test_an_answer_is_not_changed_on_its_way_to_a_file(run, provider):
    """Control characters are taken out for terminals only."""
    provider(script=["\x1b[31mred\x1b[0m\n\nend\n"])
    assert run("chat", "?").stdout == "\x1b[31mred\x1b[0m\n\nend\n"


def test_a_full_disk_is_said_in_one_line(run, provider, monkeypatch):
    """Before anything is sent."""
    simulator = provider()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    result = run("chat", "Hello!")
    assert result.stderr == "Error: No space left on device\n"
    assert simulator.stats().total.attempts == 0


def test_a_terminal_as_output_gets_no_control_characters(run, provider, monkeypatch):
    """An answer does not steer the terminal."""
    from stable_openai.cli.chat import once

    class Tty(io.StringIO):
        def isatty(self):
            return True

    provider(script=["\x1b]0;title\x07text"])
    shown = Tty()
    monkeypatch.setattr(once.sys, "stdout", shown)
    monkeypatch.setattr(once.sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    from stable_openai.cli import main

    assert main(["chat", "Hello!"]) == 0
    assert shown.getvalue() == "]0;titletext\n"
