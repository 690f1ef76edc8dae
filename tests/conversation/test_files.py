"""Conversations in files: what is dumped comes back, a bad file is refused whole, and none is ever half-written."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from stable_openai import ConfigurationError, assistant_msg, system_msg, tool_msg, user_msg

CALLS = [{"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}]
SAID = [
    system_msg("sei höflich"),
    user_msg("自然数50的后面是几? \u2028 \x00 🦊"),
    {"role": "assistant", "content": None, "tool_calls": CALLS},
    tool_msg("a", "51"),
    assistant_msg("51"),
    user_msg("look", images=["https://images.invalid/a.png"]),
    assistant_msg("a fox"),
]


@pytest.fixture
def chat(talk):
    chat = talk().chat()
    chat.add_dialogs(*SAID)
    return chat


def test_there_and_back(chat, talk, tmp_path):
    """A plain list, in UTF-8 that one can read; relative and absolute paths, as text and as ``Path``."""
    path = tmp_path / "talk_record.json"
    chat.dump(path)
    assert json.loads(path.read_text(encoding="utf-8")) == SAID
    assert "自然数50" in path.read_text(encoding="utf-8")
    other = talk().chat()
    other.add_dialogs(user_msg("gone after that"))
    other.load(str(path))
    assert other.fetch_messages() == SAID
    assert other._history.pinned() == []
    other.request("and now?")
    assert len(other) == len(SAID) + 2


def test_pins_are_kept(chat, talk, tmp_path, monkeypatch):
    """With pins, the file says more; loaded, they hold as before."""
    monkeypatch.chdir(tmp_path)
    chat.pin(1, -1)
    chat.dump("./pinned.json")
    content = json.loads(Path("pinned.json").read_text(encoding="utf-8"))
    assert content == {"format": 1, "messages": SAID, "pinned": [1, 6]}
    other = talk().chat(MsgMaxCount=3)
    other.load("./pinned.json")
    assert other.fetch_messages() == [SAID[0], SAID[1], SAID[6]]
    assert other._history.pinned() == [1, 2]
    other.clear()
    other.dump("empty.json")
    other.load("empty.json")
    assert len(other) == 0


def test_as_the_seeds_write_it(chat, talk, tmp_path):
    """``json.dumps(fetch_messages())``, with or without ASCII alone, with a byte order mark."""
    path = tmp_path / "record.json"
    for ascii_only, encoding in ((False, "utf8"), (True, "ascii"), (False, "utf-8-sig")):
        path.write_text(json.dumps(chat.fetch_messages(), ensure_ascii=ascii_only), encoding=encoding)
        other = talk().chat()
        other.load(path)
        assert other.fetch_messages() == SAID


def test_half_a_pair(chat, tmp_path):
    """Half a surrogate pair has no UTF-8; it is written so that it can be read again."""
    chat.add_dialogs(assistant_msg("half \ud83e"))
    chat.dump(tmp_path / "half.json")
    chat.load(tmp_path / "half.json")
    assert chat.fetch_messages() == [*SAID, assistant_msg("half \ud83e")]


def test_open_calls_come_back(chat, talk, tmp_path):
    """A conversation that was dumped between a tool's call and its result goes on where it was."""
    chat.rollback()
    chat.add_dialogs(user_msg("look"), {"role": "assistant", "content": None, "tool_calls": CALLS})
    chat.dump(tmp_path / "open.json")
    other = talk().chat()
    other.load(tmp_path / "open.json")
    with pytest.raises(ConfigurationError, match="has no result for the tool calls a"):
        other.request("and?")
    assert other.request(tool_msg("a", "51"))


BAD = {
    "empty": b"",
    "no JSON": b"{'role'",
    "no UTF-8": b'["\xff"]',
    "cut": json.dumps(SAID).encode()[:-20],
    "a number": b"7",
    "a number too long": b"9" * 5000,
    "too deep": b"[" * 100_000,
    "a text": b'"hello"',
    "a list of texts": b'["hello"]',
    "no role": b'[{"content": "x"}]',
    "a role that is none": b'[{"role": "user", "content": "x"}, {"role": "me", "content": "x"}]',
    "no content": b'[{"role": "user"}]',
    "content that is none": b'[{"role": "user", "content": {"text": "x"}}]',
    "parts that are none": b'[{"role": "user", "content": ["x"]}]',
    "tool calls that are none": b'[{"role": "assistant", "content": "x", "tool_calls": ["x"]}]',
    "a message": b'{"role": "user", "content": "x"}',
    "another format": b'{"format": 2, "messages": [], "pinned": []}',
    "no messages": b'{"format": 1, "pinned": []}',
    "pins that are none": b'{"format": 1, "messages": [], "pinned": {}}',
    "a pin that points nowhere": b'{"format": 1, "messages": [{"role": "user", "content": "x"}], "pinned": [0, 1]}',
    "a pin from the back": b'{"format": 1, "messages": [{"role": "user", "content": "x"}], "pinned": [-1]}',
    "a pin that is no number": b'{"format": 1, "messages": [{"role": "user", "content": "x"}], "pinned": [false]}',
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_whole(chat, tmp_path, name):
    """Nothing of it is taken, and what was said stays, with its pins."""
    chat.pin(1)
    path = tmp_path / "bad.json"
    path.write_bytes(BAD[name])
    with pytest.raises(ConfigurationError) as caught:
        chat.load(path)
    assert caught.value.field.startswith(("file", "messages", "pinned"))
    assert len(str(caught.value)) < 400
    assert chat.fetch_messages() == SAID
    assert chat._history.pinned() == [1]


def test_a_file_that_is_too_large(chat, tmp_path):
    """It is not read at all."""
    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.truncate((1 << 30) + 1)  # sparse
    with pytest.raises(ConfigurationError, match="larger than 1024 MB"):
        chat.load(path)


def test_no_file(chat, tmp_path):
    """The system's own errors."""
    with pytest.raises(FileNotFoundError):
        chat.load(tmp_path / "missing.json")
    with pytest.raises(IsADirectoryError):
        chat.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        chat.dump(tmp_path / "missing" / "record.json")
    with pytest.raises(OSError, match="directory|not permitted|denied"):
        chat.dump(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert [path for path in tmp_path.parent.iterdir() if path.name.endswith(".part")] == []


class Crash(BaseException):
    """The end of the process, as far as it can be had in a test."""


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_a_crash_in_the_middle(chat, tmp_path, monkeypatch, moment):
    """Before all is written, or before it is renamed: the old file is there, whole, and nothing beside it."""
    path = tmp_path / "record.json"
    chat.dump(path)
    before = path.read_bytes()
    chat.request("one more")

    def crash(*arguments):
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(os if moment == "fsync" else Path, moment, crash)
        with pytest.raises(Crash):
            chat.dump(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    chat.dump(path)
    assert len(json.loads(path.read_text("utf-8"))) == len(SAID) + 2


def test_what_is_no_json(chat, tmp_path):
    """A message that can't be written leaves the old file as it is."""
    path = tmp_path / "record.json"
    chat.dump(path)
    before = path.read_bytes()
    chat.add_dialogs({"role": "user", "content": "x", "name": object()})
    with pytest.raises(TypeError):
        chat.dump(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_who_may_read_it(chat, tmp_path, monkeypatch):
    """A new file is its owner's alone, from its first moment; an old one keeps its mode."""
    path = tmp_path / "record.json"
    modes = []
    replace = Path.replace

    def watch(self, target):
        modes.append(stat.S_IMODE(self.stat().st_mode))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watch)
    old = os.umask(0)
    try:
        chat.dump(path)
        path.chmod(0o640)
        chat.dump(path)
    finally:
        os.umask(old)
    assert modes == [0o600, 0o640]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.skipif(os.name != "posix", reason="links are POSIX's")
def test_a_link(chat, tmp_path):
    """Is followed, and stays one."""
    (tmp_path / "there").mkdir()
    (tmp_path / "record.json").symlink_to("there/real.json")
    chat.dump(tmp_path / "record.json")
    chat.dump(tmp_path / "record.json")
    assert (tmp_path / "record.json").is_symlink()
    assert json.loads((tmp_path / "there" / "real.json").read_text("utf-8")) == SAID
    assert len(list((tmp_path / "there").iterdir())) == 1
