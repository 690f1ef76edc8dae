"""Where things are kept, how they are written, and how one line is made of whatever went wrong."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stable_openai import ConfigurationError, KeyPool, NoKeyAvailable
from stable_openai.cli import places
from stable_openai.cli.chat.interrupts import unless_interrupted
from stable_openai.cli.chat.kept import KeptChat
from stable_openai.cli.complaints import complaint, printable
from stable_openai.cli.private_files import Busy, locked, write
from tests.cli.conftest import KEYS, said

# -- places


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, "HOME/.config/stable-openai"),
        ("linux", {"XDG_CONFIG_HOME": "ROOT/xdg"}, "ROOT/xdg/stable-openai"),
        ("linux", {"XDG_CONFIG_HOME": "relative"}, "HOME/.config/stable-openai"),
        ("darwin", {"XDG_CONFIG_HOME": "ROOT/xdg"}, "HOME/Library/Application Support/stable-openai"),
        ("win32", {"APPDATA": "ROOT/roaming"}, "ROOT/roaming/stable-openai"),
        ("win32", {}, "HOME/AppData/Roaming/stable-openai"),
        ("linux", {"STABLE_OPENAI_HOME": "ROOT/own", "XDG_CONFIG_HOME": "ROOT/xdg"}, "ROOT/own"),
        ("linux", {"STABLE_OPENAI_HOME": "~/own"}, "HOME/own"),
    ],
)
def test_the_folder(platform, variables, expected, tmp_path, monkeypatch):
    """As each platform has it, unless the user names one."""
    monkeypatch.setattr(places.sys, "platform", platform)
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    for name in ("XDG_CONFIG_HOME", "APPDATA", "STABLE_OPENAI_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.replace("ROOT", str(tmp_path)))
    wanted = expected.replace("HOME", str(tmp_path / "user")).replace("ROOT", str(tmp_path))
    assert places.home() == Path(wanted)


# -- files


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_a_file_is_private_from_its_first_byte(tmp_path):
    """Before it takes its place, under any umask; also where an open one was there before, or a link leads to it."""
    old, link = tmp_path / "old", tmp_path / "link"
    old.write_text("open to all")
    old.chmod(0o644)
    link.symlink_to(old)
    modes = []
    before = os.umask(0)
    try:
        write(link, "secret", check=lambda beside: modes.append(beside.stat().st_mode & 0o777))
    finally:
        os.umask(before)
    assert modes == [0o600]
    assert old.stat().st_mode & 0o777 == 0o600
    assert link.is_symlink()
    assert link.read_text() == "secret"


def test_a_file_that_fails_its_check_is_not_taken(tmp_path):
    """The old one stays; nothing is left beside it."""
    file = tmp_path / "file"
    file.write_text("old")

    def refuse(_):
        raise ConfigurationError("file", "is wrong")

    with pytest.raises(ConfigurationError):
        write(file, "new", check=refuse)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_lock_is_one_process_s_and_ends_with_it(tmp_path):
    """Also where that is killed."""
    code = (
        "import pathlib, sys\n"
        "from stable_openai.cli.private_files import locked\n"
        "with locked(pathlib.Path(sys.argv[1])):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    lock = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Busy), locked(lock, wait=False):
            pass
        holder.kill()
        holder.wait()
        with locked(lock):
            pass


# -- complaints


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ConfigurationError("model", "is not set"), "model: is not set"),
        (NoKeyAvailable("no key is eligible"), "no key is eligible"),
        (FileNotFoundError(2, "No such file or directory", "x.json"), "No such file or directory: x.json"),
        (ConnectionError("the stream broke off"), "the connection failed: the stream broke off"),
        (TimeoutError("too slow"), "the provider did not answer in time: too slow"),
        (RuntimeError("two\nlines\x1b[31m"), "RuntimeError: two lines[31m"),
    ],
)
def test_one_line_of_any_error(error, line):
    """What it means, and what was said; no line breaks, no control characters."""
    assert complaint(error) == line


def test_no_secret_and_no_novel():
    """A key is masked in whatever form a provider repeats it; a long text is cut."""
    secret = "my-gateway-password"
    line = complaint(RuntimeError(f"you sent {secret}, which {'is ' * 500}"), [secret])
    assert secret not in line
    assert "…word" in line
    assert len(complaint(ConfigurationError("x", "long " * 500))) == 400


def test_what_would_steer_a_terminal_is_taken_out():
    """Tabs and line breaks are not."""
    assert printable("a\tb\r\nc\x1b]0;x\x07\x9b31m\u202ed") == "a\tb\nc]0;x31md"


# -- the conversation's file


def test_a_system_message_comes_and_goes_and_pins_stay_with_theirs(tmp_path):
    """Pins are counted from the first message, which it is."""
    chat = KeptChat(tmp_path / "talk.json", KeyPool(KEYS), model="gpt-4o")
    chat.add_dialogs({"role": "user", "content": "q"}, {"role": "assistant", "content": "a"})
    chat.pin_messages(1)
    chat.system = "one"
    chat.system = "two"
    assert chat.state()[1] == [2]
    chat.keep()
    other = KeptChat(tmp_path / "talk.json", KeyPool(KEYS), model="gpt-9")
    other.resume(model=True)
    assert (other.model, other.system, other.state()) == ("gpt-4o", "two", chat.state())
    other.system = None
    assert other.state()[1] == [1]


def test_a_conversation_that_chat_has_dumped_can_be_gone_on_with(tmp_path):
    """Its file is a plain list of messages."""
    (tmp_path / "talk.json").write_text('[{"role": "user", "content": "q"}]')
    chat = KeptChat(tmp_path / "talk.json", KeyPool(KEYS), model="gpt-4o")
    chat.resume(model=True)
    assert said({"messages": chat.fetch_messages()}) == ["q"]
    assert chat.model == "gpt-4o"


# -- interrupts


async def test_only_an_interrupt_is_taken_for_one():
    """A task that somebody else cancels is cancelled; what the work raises is raised; its result is True."""

    async def work():
        await asyncio.sleep(0)

    async def fail():
        raise ValueError("x")

    assert await unless_interrupted(work())
    with pytest.raises(ValueError, match="x"):
        await unless_interrupted(fail())
    task = asyncio.create_task(unless_interrupted(asyncio.sleep(60)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
