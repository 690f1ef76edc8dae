"""``ChatResponse``: answers of every kind, and who gave them."""

from __future__ import annotations

import json

import pytest
from openai.types.chat import ChatCompletion

from stable_openai import ChatMessage, ChatResponse
from stable_openai.conversation.manager.exports import export
from stable_openai.conversation.manager.sessions import Session

CALL = {"id": "call-1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}


def response_of(finish_reason="stop", usage=None, **message):
    message = {"role": "assistant", "content": None, **message}
    choice = {"index": 0, "finish_reason": finish_reason, "message": message}
    head = {"id": "1", "object": "chat.completion", "created": 1, "model": "gpt-4o"}
    return ChatResponse(ChatCompletion.model_validate({**head, "choices": [choice], "usage": usage}), "a", "sk-…", 0.5)


def test_tool_calls():
    """They are no text; the conversation goes on from them."""
    response = response_of("tool_calls", tool_calls=[CALL])
    assert (response.get_msg(), response.tool_calls) == ("", [CALL])
    prompt = ChatMessage().push_user("How warm is it?").push_assistant(response).push_tool("call-1", "22 °C")
    assert prompt[1] == {"role": "assistant", "content": None, "tool_calls": [CALL]}


def test_refusals():
    """They are shown as a text, and teach nothing."""
    response = response_of(refusal="I'd rather not.")
    assert response.get_msg() == "I'd rather not."
    pairs = [(ChatMessage().push_user("hello"), each) for each in (response, response_of(content="hi"))]
    (line,) = export("s", pairs, "jsonl", None, ascii_only=True).splitlines()
    assert json.loads(line)["messages"][-1] == {"role": "assistant", "content": "hi"}


def test_without_usage():
    """Some providers tell none."""
    response = response_of(content="hi")
    assert (response.usage, response.token_usage()) == (None, 0)
    assert repr(response) == "<ChatResponse of gpt-4o by a: stop, 0 tokens>"


def test_nothing_was_said():
    """An answer without choices is none."""
    empty = ChatCompletion.model_construct(choices=[])
    with pytest.raises(ValueError, match="no choices"):
        ChatResponse(empty)


def test_nobody_changes_it():
    """What it hands out are copies."""
    response = response_of("tool_calls", tool_calls=[CALL])
    response.message["tool_calls"].clear()
    response.tool_calls[0]["function"]["name"] = "other"
    assert response.tool_calls == [CALL]
    with pytest.raises(AttributeError):
        response.key_name = "b"


def test_a_key_that_leaves_while_it_is_used(office, said):
    """The answer is taken all the same, under the key's mask."""

    def answer(request):
        setting.cm.keys.remove_key("a")
        return "fine"

    setting = office("a", script=answer)
    response = setting.cm.send(said("hello"))
    assert (response.get_msg(), response.key_name) == ("fine", "sk-…6789")


def test_a_session_that_is_shown_holds_no_secret(office, said):
    """Neither its text in any format nor its objects."""
    cm = office("a").cm
    response = cm.send(said("hello"))
    shown = [repr(response), str(response), repr(response.response), repr(Session("s"))]
    shown += [cm.export_session(format=form) for form in ("json", "jsonl", "markdown")]
    assert not any("0123456789" in each for each in shown)
