"""What is answered: echoes, scripts, usage, and streams that say the same as whole bodies."""

import base64
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stable_openai.simulator import Provider, Request, SimKey
from stable_openai.simulator.durations import plain, spoken
from stable_openai.simulator.streams import MAX_PIECES, pieces


def ask(provider, **fields):
    return provider.reply(Request("a", **fields), 0.0)


def test_the_echo_tells_prompts_apart():
    """The same prompt has the same answer, another prompt another."""
    provider = Provider(["a"])
    answers = [ask(provider, prompt=p).body["choices"][0]["message"]["content"] for p in ("x", "y", "x")]
    assert answers == ["You said: x", "You said: y", "You said: x"]


def test_a_list_of_answers_is_given_in_turn_to_those_who_are_served():
    """Rejected requests use no answer up."""
    provider = Provider(["a"], script=["one", "two"])
    texts = []
    for key in ("a", "nobody", "a", "a"):
        reply = provider.reply(Request(key), 0.0)
        if reply.ok:
            texts.append(reply.body["choices"][0]["message"]["content"])
    assert texts == ["one", "two", "one"]


def test_a_callable_answers_by_the_request():
    """A script sees the request as it was sent."""
    provider = Provider(["a"], script=lambda request: request.payload["hint"].upper())
    assert ask(provider, payload={"hint": "yes"}).body["choices"][0]["message"]["content"] == "YES"


def test_a_callable_is_not_asked_for_what_is_rejected():
    """No limit has room for the prompt: the script is left alone; no room for the answer: it is refused."""
    asked = []

    def script(request):
        asked.append(request.prompt)
        return "z" * 400

    provider = Provider([SimKey("a", tpm=150)], script=script)
    assert ask(provider, prompt="x" * 2000).outcome == "too_large"
    assert asked == []
    assert ask(provider, prompt="x").ok
    assert ask(provider, prompt="y").outcome == "tpm"
    assert asked == ["x", "y"]


def test_max_tokens_cuts_the_answer():
    """A cut answer says so, in each of the shapes."""
    provider = Provider(["a"])
    chat = ask(provider, prompt="x" * 100, max_tokens=3).body
    assert chat["choices"][0]["finish_reason"] == "length"
    assert chat["usage"]["completion_tokens"] == 3
    response = ask(provider, path="responses", prompt="x" * 100, max_tokens=3).body
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    events = ask(provider, path="responses", prompt="x" * 100, max_tokens=3, stream=True).events
    assert events[-1].name == "response.incomplete"


def test_several_choices():
    """`n` answers, all in the usage."""
    provider = Provider(["a"])
    body = ask(provider, prompt="x", n=3).body
    assert [choice["index"] for choice in body["choices"]] == [0, 1, 2]
    assert body["usage"]["completion_tokens"] == 9
    events = ask(provider, prompt="x", n=2, stream=True).events
    assert {e.data["choices"][0]["index"] for e in events[:-1]} == {0, 1}


@given(st.text(max_size=300))
def test_pieces_make_the_text(text):
    """A stream's pieces are the text, and not too many."""
    assert "".join(pieces(text)) == text
    assert len(pieces(text)) <= MAX_PIECES


@given(st.text(max_size=80))
def test_streams_say_what_bodies_say(text):
    """The deltas of each kind of stream make the text of the whole answer."""
    provider = Provider(["a"], script=lambda _: text)
    chat = ask(provider, stream=True, include_usage=True).events
    assert chat[-1].data == "[DONE]"
    assert chat[-2].data["usage"]["total_tokens"] == ask(provider).body["usage"]["total_tokens"]
    deltas = [e.data["choices"][0]["delta"].get("content") or "" for e in chat[:-2]]
    assert "".join(deltas) == text
    old = ask(provider, path="completions", stream=True, include_usage=True).events
    assert "".join(e.data["choices"][0]["text"] for e in old[:-2]) == text
    new = ask(provider, path="responses", stream=True).events
    assert "".join(e.data["delta"] for e in new if e.name == "response.output_text.delta") == text
    assert [e.data["sequence_number"] for e in new] == list(range(len(new)))
    for event in (*chat, *new):
        raw = event.encode()
        assert raw.endswith(b"\n\n")
        assert raw.count(b"\n") == (2 if event.name is None else 3)


def test_embeddings_are_the_same_for_the_same_text():
    """Deterministic, of length 1, as numbers or as base64."""
    provider = Provider(["a"], embedding_dimensions=8)
    reply = ask(provider, path="embeddings", inputs=("x", "y", "x"), prompt_tokens=7)
    vectors = [row["embedding"] for row in reply.body["data"]]
    assert vectors[0] == vectors[2] != vectors[1]
    assert sum(v * v for v in vectors[0]) == pytest.approx(1.0)
    assert reply.body["usage"] == {"prompt_tokens": 7, "total_tokens": 7}
    assert reply.tokens == 7
    packed = ask(provider, path="embeddings", inputs=("x",), base64=True, dimensions=4).body["data"][0]["embedding"]
    assert len(struct.unpack("<4f", base64.b64decode(packed))) == 4


def test_bodies_are_json():
    """What a reply holds can be sent."""
    reply = ask(Provider(["a"]), prompt="x")
    assert json.loads(reply.content()) == reply.body


def test_durations_are_as_providers_write_them():
    """The formats of recorded headers and texts."""
    assert [spoken(s) for s in (0, 0.006, 0.0841, 8.64, 20, 432, 4125.745, 3600, 0.9999)] == [
        "0s",
        "6ms",
        "85ms",
        "8.64s",
        "20s",
        "7m12s",
        "1h8m45.745s",
        "1h0m0s",
        "1s",
    ]
    assert [plain(s, scaled=False) for s in (0.0, 0.2, 59.001)] == ["0", "1", "60"]
    assert [plain(s, scaled=True) for s in (0.0, 0.2, 1.25)] == ["0", "0.2", "1.25"]
