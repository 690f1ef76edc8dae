"""``ChatMessage``: putting together, taking out, and its tokens."""

from __future__ import annotations

import copy
import pickle
import sys
import types

import pytest

from stable_openai import ChatMessage, ChatSetup, ConfigurationError, user_msg
from stable_openai.pool import tokens

SYSTEM, HELLO, HI = (
    {"role": role, "content": text} for role, text in (("system", "Be brief."), ("user", "hello"), ("assistant", "hi"))
)
PNG = b"\x89PNG\r\n\x1a\n0"


def test_putting_together():
    """In order; each returns the object."""
    message = ChatMessage()
    assert message.push_system("Be brief.").push_user("hello").push_assistant("hi") is message
    assert message.to_list() == list(message) == [SYSTEM, HELLO, HI]
    assert (len(message), message[-1], repr(message)) == (3, HI, "<ChatMessage: system, user, assistant>")
    assert repr(ChatMessage()) == "<ChatMessage: empty>"
    assert not ChatMessage()


def test_images_and_parts():
    """As ``user_msg`` takes them."""
    part = {"type": "text", "text": "which?"}
    message = ChatMessage().push_user("look", PNG, part, images=["https://example.org/a.png"])
    assert message[0] == user_msg("look", PNG, part, images=["https://example.org/a.png"])


def test_tools(office):
    """A result of a tool is a message of its own."""
    assert ChatMessage().push_tool("call-1", "22 °C").to_list() == [
        {"role": "tool", "tool_call_id": "call-1", "content": "22 °C"}
    ]


def test_going_on_from_an_answer(office, said):
    """Its text, or the whole of it."""
    response = office("a").cm.send(said("hello"))
    for told in (response, response.get_msg()):
        assert said("hello").push_assistant(told)[1] == {"role": "assistant", "content": "You said: hello"}


def test_several_at_once():
    """A list, another message, an iterator: all, or, where one is none, nothing."""
    message = ChatMessage([SYSTEM])
    other = ChatMessage.from_list([HELLO, HI])
    for given in (HELLO, [HELLO, HI], other, iter([HI])):
        message.push_msg(given)
    assert message.to_list() == [SYSTEM, HELLO, HELLO, HI, HELLO, HI, HI]
    for wrong in ([HELLO, {"role": "nobody", "content": ""}], [HELLO, "hello"], "hello", 5, None, {"content": "hello"}):
        with pytest.raises(ConfigurationError, match=r"^message(s\[\d\](\.role)?)?: must be "):
            message.push_msg(wrong)
    assert len(message) == 7


def test_what_is_no_text_is_refused():
    """By the name of the method."""
    for method in ("push_system", "push_assistant"):
        with pytest.raises(ConfigurationError, match=rf"^content: of {method} must be a text, not NoneType"):
            getattr(ChatMessage(), method)(None)
    with pytest.raises(ConfigurationError, match="^content: is empty: say something"):
        ChatMessage().push_user()


def test_drained_messages_stay():
    """As they did in chatmanager: another goes on from them, and this one can be sent again."""
    message = ChatMessage([SYSTEM, HELLO])
    other = ChatMessage().push_msg(message.drain()).push_assistant("hi")
    assert (len(message), len(other)) == (2, 3)


def test_taking_out():
    """The last, one by its index, all."""
    message = ChatMessage([SYSTEM, HELLO, HI])
    assert (message.pop(), message.pop(0), len(message)) == (HI, SYSTEM, 1)
    assert (message.clear(), len(message)) == ([HELLO], 0)
    with pytest.raises(IndexError):
        message.pop()


def test_copies():
    """Nobody changes what somebody else has: neither what came in nor what goes out."""
    given = {"role": "user", "content": [{"type": "text", "text": "hello"}]}
    message = ChatMessage([given])
    twins = [message.copy(), copy.copy(message), copy.deepcopy(message), pickle.loads(pickle.dumps(message))]
    given["content"][0]["text"] = "changed"
    message.to_list()[0]["content"].clear()
    message[0]["content"].clear()
    next(iter(message))["content"].clear()
    assert message[0]["content"] == [{"type": "text", "text": "hello"}]
    assert all(twin == message for twin in twins)
    twins[0].push_user("more")
    assert twins[0] != message
    assert message != message.to_list()
    with pytest.raises(TypeError, match="unhashable"):
        hash(message)


# -- tokens


@pytest.fixture
def installed(monkeypatch):
    """``installed(True)``: a tokenizer that counts words, in the place of the extra; ``installed(False)``: none."""

    def install(there):
        module = None
        if there:
            module = types.ModuleType("bpe_openai")
            module.get_encoding = lambda name: types.SimpleNamespace(
                encode_ordinary=lambda text: text.split() * (2 if name == "cl100k_base" else 1)
            )
        monkeypatch.setitem(sys.modules, "bpe_openai", module)
        tokens._encoders.clear()

    yield install
    tokens._encoders.clear()


def test_tokens_are_counted_by_the_extra(installed):
    """Its words, four for each message and three for the answer, as OpenAI's cookbook has it; by the model's tokenizer."""
    installed(there=True)
    message = ChatMessage([SYSTEM, HELLO])
    assert message.token_usage() == message.token_usage("gpt-4o") == (4 + 2) + (4 + 1) + 3
    assert message.token_usage("gpt-4-turbo") == message.token_usage("ft:gpt-3.5-turbo:lab::1") == (4 + 4) + (4 + 2) + 3
    assert message.push_msg({**HELLO, "name": "Jo Ann"}).token_usage() == 14 + (4 + 1) + (1 + 2)
    assert ChatMessage().token_usage() == 0
    assert message.token_usage_is_exact()


def test_what_is_exact(installed):
    """Text alone, to a model whose rules are published."""
    installed(there=True)
    message = ChatMessage([SYSTEM, HELLO])
    exact = ("gpt-4o", "gpt-4o-mini-2024-07-18", "gpt-4", "gpt-4-turbo", "gpt-4.1-nano", "gpt-3.5-turbo", "gpt-35-turbo",
             "chatgpt-4o-latest", "ft:gpt-4o-mini:lab::1")  # fmt: skip
    assert [model for model in exact if not message.token_usage_is_exact(model)] == []
    unknown = ("o3", "gpt-5", "deepseek-chat", "claude-4", "gpt-40", "my-gpt-4o")
    assert [model for model in unknown if message.token_usage_is_exact(model)] == []
    ChatSetup.model = "o3"
    assert not message.token_usage_is_exact()
    long = ChatMessage().push_user("long " * 10_001)  # which is counted in pieces
    for other in (ChatMessage().push_user("look", PNG), ChatMessage().push_tool("call-1", "5"), long):
        assert other.token_usage("gpt-4o") > 0
        assert not other.token_usage_is_exact("gpt-4o")


def test_tokens_are_estimated_without_the_extra(installed):
    """And it says so."""
    installed(there=False)
    short, long = ChatMessage([HELLO]), ChatMessage().push_user("hello there, how are you? " * 20)
    assert 5 < short.token_usage() < 15
    assert 100 < long.token_usage() < 200
    assert not short.token_usage_is_exact()
