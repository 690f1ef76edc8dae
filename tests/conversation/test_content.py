"""What one can say: text, images as bytes, paths and addresses, raw parts; and what is refused, by name."""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path

import pytest

from stable_openai import ConfigurationError, assistant_msg, system_msg, tool_msg, user_msg

PNG = b"\x89PNG\r\n\x1a\n rest"
JPEG, GIF, WEBP = b"\xff\xd8\xff\xe0 rest", b"GIF89a rest", b"RIFF\x10\0\0\0WEBPVP8 rest"
URL = "https://images.invalid/cat.png"


def data_url(data, kind="png"):
    return {"type": "image_url", "image_url": {"url": f"data:image/{kind};base64,{base64.b64encode(data).decode()}"}}


def text(words):
    return {"type": "text", "text": words}


def url(address):
    return {"type": "image_url", "image_url": {"url": address}}


def test_messages_of_each_role():
    """Plain dictionaries, as the API takes them."""
    assert user_msg("hi") == {"role": "user", "content": "hi"}
    assert assistant_msg("hi") == {"role": "assistant", "content": "hi"}
    assert system_msg("hi") == {"role": "system", "content": "hi"}
    assert tool_msg("call-1", "hi") == {"role": "tool", "tool_call_id": "call-1", "content": "hi"}
    assert user_msg("") == {"role": "user", "content": ""}


@pytest.mark.parametrize(("data", "kind"), [(PNG, "png"), (JPEG, "jpeg"), (GIF, "gif"), (WEBP, "webp")])
def test_images_of_each_kind(tmp_path, data, kind):
    """As bytes, as a path, as the text of a path; what they are is read from their first bytes, not from a name."""
    path = tmp_path / "picture"
    path.write_bytes(data)
    for given in (data, bytearray(data), memoryview(data), path):
        assert user_msg(given)["content"] == [data_url(data, kind)]
        assert user_msg(images=[given])["content"] == [data_url(data, kind)]
        assert user_msg("look", images=given)["content"] == [text("look"), data_url(data, kind)]
    assert user_msg(images=str(path))["content"] == [data_url(data, kind)]


def test_addresses():
    """Sent as they are; one alone needs no list."""
    for address in (URL, "http://images.invalid/a", "HTTPS://images.invalid/a", "data:image/png;base64,AAAA"):
        assert user_msg("look", images=[address])["content"] == [text("look"), url(address)]
        assert user_msg("look", images=address)["content"] == [text("look"), url(address)]


def test_all_in_one():
    """Several of each, in order; images that are named come last; raw parts as they are, and copied."""
    part = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    message = user_msg("a", PNG, part, "b", text("c"), images=(URL, JPEG))
    assert message["content"] == [
        text("a"),
        data_url(PNG),
        part,
        text("b"),
        text("c"),
        url(URL),
        data_url(JPEG, "jpeg"),
    ]
    part["type"] = "changed"
    assert message["content"][2]["type"] == "input_audio"
    assert user_msg("a", "b")["content"] == [text("a"), text("b")]
    assert user_msg(text("a"))["content"] == "a"
    cached = {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}
    assert user_msg(cached)["content"] == [cached]


@pytest.mark.parametrize(
    ("said", "images", "match"),
    [
        ((), (), "content: is empty"),
        (("hi", 7), (), r"content\[1\]: must be text, .* not int"),
        ((None,), (), r"content\[0\].* not NoneType"),
        ((["hi"],), (), r"content\[0\].* not list"),
        (({"text": "hi"},), (), r"content\[0\].* not dict"),
        (({"type": 7},), (), r"content\[0\].* not dict"),
        ((io.BytesIO(PNG),), (), r"content\[0\].* not BytesIO"),
        (("hi",), [URL, 7], r"images\[1\]: must be bytes, a path or a URL, not int"),
        (("hi",), [None], r"images\[0\].* not NoneType"),
        (("hi",), [b"BM rest"], r"images\[0\]: is no PNG, JPEG, GIF or WebP image"),
        ((b"",), (), r"content\[0\]: is no PNG"),
        ((b"RIFF\0\0\0\0WAVE",), (), r"content\[0\]: is no PNG"),
        (("hi",), ["missing.png"], r"images\[0\]: can't be read: No such file or directory \('missing.png'\)"),
        (("hi",), ["a\0b"], r"images\[0\]: can't be read: .*null"),
        ((Path("nowhere") / "missing.png",), (), r"content\[0\]: can't be read"),
        (("hi",), ["ftp://images.invalid/a"], r"images\[0\]: can't be read"),
        (("hi",), ["A" * 5000], r"images\[0\]: can't be read: File name too long"),
    ],
)
def test_what_is_refused(said, images, match, tmp_path, monkeypatch):
    """The error says which, and why; a long name is not shown whole."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=match) as caught:
        user_msg(*said, images=images)
    assert len(str(caught.value)) < 400


def test_too_large(tmp_path):
    """20 MB at most, of bytes and of files; a file that never ends is not read to its end."""
    most = 20 << 20
    with pytest.raises(ConfigurationError, match=r"content\[0\]: is larger than 20 MB"):
        user_msg(PNG + bytes(most))
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.write(PNG)
        file.truncate(1 << 30)  # sparse
    with pytest.raises(ConfigurationError, match=r"images\[0\]: is larger than 20 MB"):
        user_msg(images=[path])
    os.truncate(path, most)
    assert user_msg(path)["content"][0]["type"] == "image_url"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="everything can be read here")
def test_a_file_of_others(tmp_path):
    """Why it can't be read is said."""
    path = tmp_path / "secret.png"
    path.write_bytes(PNG)
    path.chmod(0)
    with pytest.raises(ConfigurationError, match="Permission denied"):
        user_msg(path)


def test_a_folder(tmp_path):
    """Is no image."""
    with pytest.raises(ConfigurationError, match=r"content\[0\]: can't be read"):
        user_msg(tmp_path)


# -- in a conversation


def test_text_and_images_in_one_request(talk, way, tmp_path):
    """Sent and remembered alike; the next round has them too."""
    path = tmp_path / "cat.png"
    path.write_bytes(PNG)
    here = talk(script=lambda request: "a cat")
    chat = here.chat()
    assert way.ask(chat, "what is this?", path, JPEG, images=[URL]) == "a cat"
    content = [text("what is this?"), data_url(PNG), data_url(JPEG, "jpeg"), url(URL)]
    assert chat.fetch_messages() == [{"role": "user", "content": content}, assistant_msg("a cat")]
    way.ask(chat, "sure?")
    assert here.asked[1]["messages"] == [*chat.fetch_messages()[:2], user_msg("sure?")]
    chat.pin(0)
    assert chat.rollback() == [user_msg("sure?"), assistant_msg("a cat")]


def test_images_are_printed_as_what_they_are(talk, capsys):
    """What rolling back prints of a round with images is short."""
    chat = talk().chat()
    chat.request("look", PNG)
    chat.request("and now?")
    chat.rollback()
    assert capsys.readouterr().out == "[user]:look (image_url) [assistant]:You said: look\n"


def test_messages_with_roles(talk, way):
    """Given as they are, before what the user says; they are remembered with the answer, or not at all."""
    here = talk()
    chat = here.chat()
    way.ask(chat, system_msg("be kind"), user_msg("a"), assistant_msg("b"), "hello", images=[URL])
    told = [system_msg("be kind"), user_msg("a"), assistant_msg("b"), user_msg("hello", images=[URL])]
    assert here.asked[0]["messages"] == told
    assert chat.fetch_messages() == [*told, assistant_msg("You said: hello")]
    assert way.ask(chat, user_msg("alone")) == "You said: alone"
    assert len(chat) == 7


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ((), "content: is empty"),
        (({"role": "nobody", "content": "hi"},), r"content\[0\].role: must be one of assistant, developer"),
        ((user_msg("hi"), {"role": "user"}), r"content\[1\].content: must be text or a list of parts, not NoneType"),
        (({"role": "user", "content": 7},), r"content\[0\].content"),
        (({"role": "user", "content": ["hi"]},), r"content\[0\].content\[0\]: must be a part with a type"),
        (({"role": "assistant", "content": "x", "tool_calls": "y"},), r"content\[0\].tool_calls: must be a list"),
        (("hi", user_msg("hi")), r"content\[1\]: must be text"),
    ],
)
def test_what_is_refused_is_refused_at_once(talk, way, said, match):
    """By a stream too, before its first piece; nothing is sent, and no turn taken."""
    here = talk()
    chat = here.chat()
    ask = {"request": "request", "stream": "stream_request", "async": "async_request", "async stream": "async_stream_request"}  # fmt: skip
    with pytest.raises(ConfigurationError, match=match):
        if way.name == "async":
            way.ask(chat, *said)
        else:
            getattr(chat, ask[way.name])(*said)
    assert here.asked == []
    with pytest.raises(ConfigurationError, match=r"messages\[[01]\]"):
        chat.add_dialogs(*(said or [7]))
    assert len(chat) == 0


def test_what_is_given_and_returned_is_copied(talk):
    """Who changes it afterwards changes nothing that was said."""
    chat = talk().chat()
    mine = {"role": "user", "content": [text("a")]}
    chat.add_dialogs(mine)
    mine["content"][0]["text"] = "changed"
    theirs = chat.fetch_messages()
    theirs[0]["content"][0]["text"] = "changed"
    reply = chat.request("b")
    reply.message["content"] = "changed"
    assert chat.fetch_messages() == [
        {"role": "user", "content": [text("a")]},
        user_msg("b"),
        assistant_msg("You said: b"),
    ]
    assert reply == "You said: b"


def test_forged_dialogs(talk, way):
    """By both names, at any moment; all or nothing."""
    here = talk()
    chat = here.chat()
    chat.forge(user_msg("1+1?"), assistant_msg("10"))
    way.ask(chat, "sure?")
    chat.add_dialogs(user_msg("2+2?"), {"role": "assistant", "content": "11"})
    way.ask(chat, "really?")
    assert [message["content"] for message in here.asked[1]["messages"]] == ["1+1?", "10", "sure?", "You said: sure?", "2+2?", "11", "really?"]  # fmt: skip
    before = chat.fetch_messages()
    with pytest.raises(ConfigurationError, match=r"messages\[1\]"):
        chat.add_dialogs(user_msg("x"), "no message")
    assert chat.fetch_messages() == before
    chat.add_dialogs()
    assert chat.clear() == before
    assert len(chat) == 0
