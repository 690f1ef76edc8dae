"""Sessions, and what they are exported to."""

from __future__ import annotations

import json
import threading

import pytest

from stable_openai import ChatManager, ChatMessage, ChatResponse, ConfigurationError
from stable_openai.conversation.manager.sessions import Session


def test_sessions_by_name(office, said):
    """Each has what was sent while it was set; setting it again goes on with it."""
    cm = office("a").cm
    cm.send(said("1"))
    other = cm.set_session("other")
    cm.send(said("2"))
    cm.set_session("session1")
    cm.send(said("3"))
    assert [session.name for session in cm.sessions] == ["session1", "other"]
    assert [message[0]["content"] for message, _ in cm.get_session()] == ["1", "3"]
    assert cm.get_session("other") is other
    assert repr(other) == "<Session 'other' of 1 pairs>"
    assert repr(cm) == "<ChatManager with gpt-4o-mini, 'session1', 1 keys>"


def test_dropping_a_session(office, said):
    """It is returned; where it was set, none is."""
    cm = office("a").cm
    cm.send(said("1"))
    cm.set_session("other")
    assert len(cm.drop_session("session1")) == 1
    assert cm.get_session().name == "other"
    cm.drop_session("other")
    with pytest.raises(ConfigurationError, match="^session: is not set"):
        cm.get_session()
    assert cm.sessions == []


def test_wrong_names():
    """There is none of the name: those that there are are named."""
    cm = ChatManager()
    with pytest.raises(ConfigurationError, match="^session: there is none of the name 'x'; there are: none yet"):
        cm.export_session("x")
    cm.set_session("a")
    with pytest.raises(ConfigurationError, match="^session: there is none of the name 'x'; there are: 'a'"):
        cm.drop_session("x")
    for wrong in ("", " ", 5):
        with pytest.raises(ConfigurationError, match="^name: must be the name of a session"):
            cm.set_session(wrong)
    with pytest.raises(ConfigurationError, match="^name: must be the name of a session, .* not a function"):
        cm.export_session(lambda message, response: None)


def test_places_taken_by_threads():
    """Many threads book and fill places: each pair is there once, and each booking in its order."""
    session, start = Session("s"), threading.Barrier(8, timeout=30)

    def fill(name):
        start.wait()
        for number in range(50):
            booking = session.book(2, 10_000)
            booking.put(1, (name, 2 * number + 1))
            booking.put(0, (name, 2 * number))

    threads = [threading.Thread(target=fill, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(session) == 800
    for name in range(8):
        assert [number for owner, number in session.pairs if owner == name] == list(range(100))
    assert len(session.clear()) == 800
    assert session.pairs == []


# -- exports


@pytest.fixture
def cm(office):
    """Two pairs: one is whole, the other was cut off."""
    cm = office("a", script=lambda request: "没错" if request.prompt == "对吗" else "far too long an answer").cm
    cm.send(ChatMessage().push_system("Be brief.").push_user("对吗"))
    cm.send(ChatMessage().push_user("And?"), max_tokens=2)
    return cm


def test_json(cm):
    """All that is known; the text in ASCII, the file in UTF-8 that one can read."""
    text = cm.export_session("session1")
    first, second = json.loads(text)
    assert text.isascii()
    assert sorted(first) == ["key_name", "latency_s", "messages", "response"]
    assert first["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "对吗"}]
    assert first["response"]["choices"][0]["message"]["content"] == "没错"
    assert first["key_name"] == "a"
    assert second["response"]["choices"][0]["finish_reason"] == "length"
    assert "0123456789" not in text


def test_files(cm, tmp_path):
    """Written whole, as what their names end in; what was there stays where that fails."""
    path = tmp_path / "log.json"
    assert cm.export_session(path=path) == cm.export_session()
    assert "没错" in path.read_text("utf-8")
    assert json.loads(path.read_bytes()) == json.loads(cm.export_session())
    cm.export_session(path=tmp_path / "log.md")
    assert (tmp_path / "log.md").read_text("utf-8") == cm.export_session(format="markdown")
    cm.export_session(path=tmp_path / "log.jsonl")
    assert json.loads((tmp_path / "log.jsonl").read_bytes()) == json.loads(cm.export_session(format="jsonl"))
    with pytest.raises(ConfigurationError):
        cm.export_session(processor=lambda message, response: object(), path=path)
    with pytest.raises(OSError, match="nowhere"):
        cm.export_session(path=tmp_path / "nowhere" / "log.json")
    assert "没错" in path.read_text("utf-8")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["log.json", "log.jsonl", "log.md"]


def test_markdown(cm):
    """For reading."""
    assert cm.export_session(format="markdown").startswith(
        "# session1\n\n## 1\n\n**system**\n\nBe brief.\n\n**user**\n\n对吗\n\n**assistant** (gpt-4o-mini, stop, "
    )
    assert "\n\n## 2\n\n**user**\n\nAnd?\n\n**assistant** (gpt-4o-mini, length, " in cm.export_session(
        format="markdown"
    )


def test_jsonl_is_openais_format_for_fine_tuning(cm):
    """A line for each conversation, with its answer at the end; what was cut off teaches nothing good."""
    lines = cm.export_session(format="jsonl").splitlines()
    assert [json.loads(line) for line in lines] == [
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "对吗"},
                {"role": "assistant", "content": "没错"},
            ]
        }
    ]


def test_a_processor_of_ones_own(cm):
    """It makes the entry of each pair, in each format."""

    def entry(message, response):
        assert isinstance(message, ChatMessage)
        assert isinstance(response, ChatResponse)
        return f"{message[-1]['content']} {response.finish_reason}"

    assert json.loads(cm.export_session("session1", entry)) == ["对吗 stop", "And? length"]
    assert [json.loads(line) for line in cm.export_session(processor=entry, format="jsonl").splitlines()] == [
        "对吗 stop",
        "And? length",
    ]
    assert (
        cm.export_session(processor=entry, format="markdown")
        == "# session1\n\n## 1\n\n对吗 stop\n\n## 2\n\nAnd? length\n"
    )


def test_what_can_not_be_exported(cm):
    """It says whose fault it is; what the processor raises is raised."""
    with pytest.raises(ConfigurationError, match="^processor: must return what JSON can hold: .*object"):
        cm.export_session(processor=lambda message, response: object())
    with pytest.raises(
        ConfigurationError, match="^processor: must return text for Markdown; of pair 0 it returned int"
    ):
        cm.export_session(processor=lambda message, response: 5, format="markdown")
    with pytest.raises(ConfigurationError, match="^processor: must be callable"):
        cm.export_session(processor="json")
    with pytest.raises(ConfigurationError, match="^format: must be one of json, jsonl, markdown, not 'xml'"):
        cm.export_session(format="xml")
    with pytest.raises(ZeroDivisionError):
        cm.export_session(processor=lambda message, response: 1 / 0)


def test_half_a_character(cm, tmp_path):
    """Models at times break off in the middle of one: it is escaped, and the file is written all the same."""
    cm.export_session(processor=lambda message, response: "\ud83d", path=tmp_path / "log.json")
    assert json.loads((tmp_path / "log.json").read_bytes()) == ["\ud83d"] * 2


def test_an_empty_session():
    """Nothing, in each format."""
    cm = ChatManager()
    cm.set_session("s")
    assert (cm.export_session(), cm.export_session(format="jsonl")) == ("[]", "")
    assert cm.export_session(format="markdown") == "# s\n"
