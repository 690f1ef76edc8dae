"""The terminal's own commands, typed into it line by line."""

from __future__ import annotations

import json
import os

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from stable_openai import KeyPool
from stable_openai.cli.chat.commands import COMMANDS
from stable_openai.cli.chat.kept import KeptChat
from stable_openai.cli.chat.terminal import Terminal
from stable_openai.simulator import SimKey
from tests.cli.conftest import KEYS, said


@pytest.fixture
def talk(provider, folder, capsys):
    """``await talk("a line", "another")``: type lines into a terminal that is there for as long; gives what it said."""
    simulator = provider(script=lambda request: f"Answer to {request.prompt}.")

    async def talk(*lines, keys=KEYS, file=None, leave="\x04", **options):
        pool = KeyPool(keys)
        chat = KeptChat(folder / "conversation.json" if file is None else file, pool, model="gpt-4o", **options)
        chat.resume(model=True)
        capsys.readouterr()
        with create_pipe_input() as typed, create_app_session(input=typed, output=DummyOutput()):
            typed.send_text("".join(f"{line}\r" for line in lines) + leave)
            await Terminal(chat, pool, "of the test", folder / "lines").run()
        return capsys.readouterr().out

    talk.simulator = simulator
    return talk


async def test_a_conversation_and_its_file(talk, conversation):
    """Questions are answered; the next time, the last round is shown, and the conversation goes on."""
    assert "Answer to one.\nAnswer to two.\n" in await talk("one", "two")
    assert said(conversation()) == ["one", "Answer to one.", "two", "Answer to two."]
    out = await talk("three")
    assert "Going on with a conversation of 4 messages" in out
    assert "> two\nAnswer to two.\nAnswer to three.\n" in out
    assert "Answer to one." not in out


async def test_several_lines_are_one_question(talk, conversation):
    """A backslash before Enter, Alt-Enter and a paste make lines; what is typed blank is not sent."""
    await talk("one\\", "two\x1b\rthree", "", "   ", "\x1b[200~four\nfive\x1b[201~")
    assert said(conversation())[::2] == ["one\ntwo\nthree", "four\nfive"]


async def test_interrupt_and_end(talk):
    """Ctrl-C throws the line away, /quit and /exit leave as Ctrl-D does."""
    out = await talk("half a line\x03one", "/quit", "never asked")
    assert "(Ctrl-D leaves)" in out
    assert "Answer to one." in out
    assert "never" not in out
    assert "never" not in await talk("/exit", "never asked")


async def test_help_names_every_command(talk):
    """And the keys."""
    out = await talk("/help")
    for name in [*COMMANDS, "Alt-Enter", "Ctrl-C", "Ctrl-D"]:
        assert name in out


async def test_an_unknown_command_is_not_sent(talk, conversation):
    """It is told what there is, and how to ask such a thing all the same."""
    out = await talk("/etc/passwd is what?", "//etc/passwd is what?")
    assert "there is no /etc/passwd; there are /help, /model" in out
    assert said(conversation())[0] == "/etc/passwd is what?"


async def test_the_model_can_be_changed(talk, conversation):
    """The next question goes to it, and so does the next conversation in this file."""
    asked = []
    talk.simulator.provider.tune(script=lambda request: asked.append(request.model) or "ok")
    out = await talk("/model", "one", "/model o9", "/model a b", "two")
    assert "The model is gpt-4o.\n" in out
    assert "no blanks" in out
    await talk("three")
    assert asked == ["gpt-4o", "o9", "o9"]
    assert conversation()["model"] == "o9"


async def test_the_system_message(talk, conversation):
    """Shown, set, replaced, taken away; /new keeps it."""
    out = await talk("/system", "one", "/system Be kind.", "/system Be short.", "/system")
    assert "told nothing beforehand" in out
    assert "told: Be short." in out
    assert said(conversation()) == ["Be short.", "one", "Answer to one."]
    assert "the system message stays" in await talk("/new")
    assert said(conversation()) == ["Be short."]
    await talk("/system off", "/new")
    assert said(conversation()) == []


async def test_rounds_are_taken_back(talk, conversation):
    """One, several, more than there are; never half of one."""
    out = await talk("1", "2", "3", "4", "/rollback", "/rollback 2", "/rollback x", "/rollback 0")
    assert "Took back 1 round.\n> 3\nAnswer to 3.\n" in out
    assert "Took back 2 rounds.\n> 1\nAnswer to 1.\n" in out
    assert out.count("say how many rounds") == 2
    assert said(conversation()) == ["1", "Answer to 1."]
    out = await talk("/rollback 9", "/rollback")
    assert "Took back 1 round.\n" in out
    assert "no round to take back" in out


async def test_saving_and_loading(talk, conversation, tmp_path):
    """A file that is there is not written over by accident; one that is no conversation changes nothing."""
    file, bad = tmp_path / "talk.json", tmp_path / "bad.json"
    bad.write_text("{")
    await talk("one", f"/save {file}", "/new")
    assert said(conversation()) == []
    assert [message["content"] for message in json.loads(file.read_text())] == ["one", "Answer to one."]
    out = await talk(f"/load {file}", f"/save {file}", f"/load {bad}", "/load", f"/load {file}.not", "two")
    out = " ".join(out.split())
    assert "Loaded 2 messages" in out
    assert "is there already; /save -f" in out
    assert "no UTF-8 JSON" in out
    assert "say which file: /load FILE" in out
    assert "No such file" in out
    assert said(conversation()) == ["one", "Answer to one.", "two", "Answer to two."]
    assert "Saved 4 messages" in await talk(f"/save -f {file}")


async def test_keys_are_shown_masked(talk):
    """With their state."""
    out = await talk("/keys")
    assert "sk-…aaA1" in out
    assert "of the test" in out
    assert not any(key in out for key in KEYS)


async def test_asking_again(talk, conversation):
    """An answer that is there is replaced by the new one; where there is no question yet, it is said."""
    answers = iter(range(1, 9))
    talk.simulator.provider.tune(script=lambda _: f"Answer {next(answers)}.")
    out = await talk("/retry", "one", "two", "/retry")
    assert "there is no question yet" in out
    assert out.endswith("> two\nAnswer 3.\n")
    assert said(conversation()) == ["one", "Answer 1.", "two", "Answer 3."]


# -- what goes wrong


async def test_a_failure_is_a_line_and_the_program_goes_on(talk, conversation):
    """The question can be asked again, now or the next time; the history never has half a round."""
    provider = talk.simulator.provider
    provider.tune(server_error_rate=0.0, overloaded_rate=0.0, cut_stream_rate=1.0)
    out = await talk("one")
    assert "the connection failed" in out
    assert "/retry" in out
    assert said(conversation()) == []
    assert "no answer yet. It is in the line below" in await talk(leave="\x03\x04")
    provider.tune(cut_stream_rate=0.0)
    assert "Answer to one.\n" in await talk("")  # Enter
    assert said(conversation()) == ["one", "Answer to one."]
    assert conversation()["unanswered"] is None


async def test_a_new_answer_that_fails_leaves_the_old_one(talk, conversation):
    """/retry of what is answered takes nothing away."""
    await talk("one")
    talk.simulator.provider.tune(cut_stream_rate=1.0)
    out = await talk("/retry")
    assert "The answer that was there stays." in out
    assert said(conversation()) == ["one", "Answer to one."]
    assert conversation()["unanswered"] is None
    talk.simulator.provider.tune(cut_stream_rate=0.0)
    await talk("/retry")
    assert said(conversation()) == ["one", "Answer to one."]


async def test_no_key_is_left(talk, provider):
    """Two failures, and no traceback, and no secret."""
    provider(keys=[SimKey(key, state="dead") for key in KEYS])
    out = await talk("one", "two", base_url=os.environ["OPENAI_BASE_URL"])
    assert "the key was refused: " in out
    assert "no key" in out
    assert "Traceback" not in out
    assert not any(key in out for key in KEYS)


async def test_a_full_disk_does_not_end_the_conversation(talk, monkeypatch, tmp_path):
    """It is said; the conversation can be saved elsewhere."""

    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        out = await talk("/model other", "one")
    assert "could not be written down" in out
    assert "No space left on device" in out


async def test_lines_that_were_typed_are_kept_for_oneself(talk, folder):
    """In a file of mode 0600, which does not grow for ever."""
    await talk("one", "/help")
    lines = folder / "lines"
    assert lines.stat().st_mode & 0o777 == 0o600
    assert "+one\n" in lines.read_text()
    lines.write_text("\n# 2020\n+old\n" * 100_000)
    await talk("two")
    text = lines.read_text()
    assert len(text) < 600_000
    assert text.startswith(("\n\n# 2020", "\n# 2020"))
    assert text.endswith("+two\n")
