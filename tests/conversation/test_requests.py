"""What comes back, and how it stands in the history: answers, tool calls, refusals, structured answers, images."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import json
import pickle

import openai
import pydantic
import pytest

from stable_openai import ConfigurationError, assistant_msg, tool_msg, user_msg
from stable_openai.conversation.replies import Reply

TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]


def call(name, arguments="{}", of="look"):
    return {"id": name, "type": "function", "function": {"name": of, "arguments": arguments}}


def answer(way, made, *calls, content=None, **message):
    """A whole answer with tool calls, or a stream of its pieces."""
    if not way.streams:
        return made.completion(content, "tool_calls", tool_calls=list(calls), **message)
    first = [made.chunk(role="assistant", content=content, **message)]
    for index, each in enumerate(calls):
        function = each["function"]
        head = {"id": each["id"], "type": "function", "function": {"name": function["name"], "arguments": ""}}
        first.append(made.chunk(tool_calls=[{"index": index, **head}]))
        first += [
            made.chunk(tool_calls=[{"index": index, "function": {"arguments": sign}}]) for sign in function["arguments"]
        ]
    return made.streamed(*first, made.chunk(finish="tool_calls"), made.event("[DONE]"))


def fine(way, made, text="fine"):
    return made.whole(text) if way.streams else made.completion(text)


# -- answers


def test_an_answer_is_a_text(talk):
    """With everything else that came with it."""
    chat = talk().chat()
    reply = chat.request("hello")
    assert (reply, reply.upper(), f"{reply}!") == ("You said: hello", "YOU SAID: HELLO", "You said: hello!")
    assert isinstance(reply, str)
    assert reply.response.usage.total_tokens > 0
    assert reply.message == assistant_msg("You said: hello")
    assert (reply.tool_calls, reply.parsed) == ([], None)
    assert repr(chat) == "<Chat with gpt-3.5-turbo, 2 messages>"


def test_pieces(talk, streaming):
    """Of a stream, as they come; joined, they are what the history has."""
    chat = talk(script=lambda request: "one two  three\n").chat()
    assert streaming.pieces(chat, "count") == ["one ", "two  ", "three\n"]
    assert chat.fetch_messages()[-1] == assistant_msg("one two  three\n")


def test_an_empty_answer(over, way, made):
    """Is one: it stands in the history as a text, which may be sent back."""
    chat = over(way, made.whole("") if way.streams else made.completion(None), fine(way, made))
    assert way.ask(chat, "say nothing") == ""
    assert chat.fetch_messages() == [user_msg("say nothing"), assistant_msg("")]
    way.ask(chat, "well?")
    assert chat.asked()[1]["messages"][1] == assistant_msg("")


def test_several_choices(over, way, made):
    """The first is the conversation's."""
    if way.streams:
        given = made.streamed(
            made.chunk("B", index=1), "A", made.chunk(finish="stop"), made.chunk("b", finish="stop", index=1)
        )
    else:
        body = made.completion("A").json()
        body["choices"].append({**body["choices"][0], "index": 1, "message": assistant_msg("B")})
        given = made.Response(200, json=body)
    chat = over(way, given)
    assert way.ask(chat, "which?", n=2) == "A"
    assert chat.fetch_messages()[1] == assistant_msg("A")


def test_an_answer_in_parts(over, made):
    """As some providers send it: its texts are the answer, its parts stand in the history."""
    parts = [{"type": "thinking", "thinking": []}, {"type": "text", "text": "fi"}, {"type": "text", "text": "ne"}]
    way = type("Way", (), {"is_async": False, "streams": False})
    chat = over(way, made.completion(parts), made.completion("fine"))
    assert chat.request("hello") == "fine"
    chat.request("again")
    assert chat.asked()[1]["messages"][1] == {"role": "assistant", "content": parts}


def test_a_refusal(over, way, made):
    """Is the answer's text where there is no other, and sent back as what it is."""
    given = made.streamed(made.chunk(refusal="I "), made.chunk(refusal="won't"), made.chunk(finish="stop")) if way.streams else made.completion(None, refusal="I won't")  # fmt: skip
    chat = over(way, given, fine(way, made))
    assert way.ask(chat, "do it") == ("" if way.streams else "I won't")
    assert chat.fetch_messages()[1]["refusal"] == "I won't"
    way.ask(chat, "please")
    assert chat.asked()[1]["messages"][1]["refusal"] == "I won't"


def test_spoken_answers(over, made):
    """Only the id of a voice is sent back, as the API has it."""
    way = type("Way", (), {"is_async": False, "streams": False})
    audio = {"id": "audio-1", "data": "AAAA", "expires_at": 1, "transcript": "fine"}
    chat = over(way, made.completion(None, audio=audio), made.completion("fine"))
    assert chat.request("hello") == ""
    chat.request("again")
    assert chat.asked()[1]["messages"][1] == {"role": "assistant", "content": None, "audio": {"id": "audio-1"}}


# -- tools


def test_tool_calls(over, way, made):
    """Called, answered, gone on: what is sent is what the API wants, and what is left is consistent."""
    calls = [call("a", '{"x": 1}'), call("b")]
    chat = over(way, answer(way, made, *calls), fine(way, made, "it is 3"), tools=TOOLS)
    assert way.ask(chat, "what is 1 + 2?") == ""
    assert chat.fetch_messages()[1] == {"role": "assistant", "content": None, "tool_calls": calls}
    assert way.ask(chat, tool_msg("a", "1"), tool_msg("b", "2")) == "it is 3"
    assert chat.asked()[1]["messages"] == [
        user_msg("what is 1 + 2?"),
        {"role": "assistant", "content": None, "tool_calls": calls},
        tool_msg("a", "1"),
        tool_msg("b", "2"),
    ]
    assert chat.asked()[1]["tools"] == TOOLS
    assert [message["role"] for message in chat.rollback()] == ["user", "assistant", "tool", "tool", "assistant"]
    assert len(chat) == 0


def test_open_tool_calls(over, way, made):
    """Who forgets a result is told of it, before anything is sent; it may be given, or the round taken back."""
    chat = over(way, answer(way, made, call("a"), call("b")), answer(way, made, call("c")), fine(way, made))
    way.ask(chat, "look")
    before = chat.fetch_messages()
    for said in (("and?",), (tool_msg("a", "1"),), (tool_msg("b", "2"), "and?")):
        with pytest.raises(ConfigurationError, match=r"content: has no result for the tool calls .*tool_msg\(id"):
            way.ask(chat, *said)
    assert chat.fetch_messages() == before
    assert len(chat.sent) == 1
    chat.add_dialogs(tool_msg("a", "1"))
    way.ask(chat, tool_msg("b", "2"))
    assert chat.rollback()
    assert way.ask(chat, "never mind") == "fine"


def test_a_tool_round_fails(over, way, made):
    """The calls are still open then, and the same results may be given again."""
    chat = over(way, answer(way, made, call("a")), made.refusal(), fine(way, made))
    way.ask(chat, "look")
    with pytest.raises(openai.BadRequestError):
        way.ask(chat, tool_msg("a", "1"))
    assert [message["role"] for message in chat.fetch_messages()] == ["user", "assistant"]
    assert way.ask(chat, tool_msg("a", "1")) == "fine"


def test_tool_calls_with_a_text(over, way, made):
    """Both are kept; and a provider's own fields of a call are sent back, as some demand."""
    own = {**call("a"), "extra_content": {"signature": "xyz"}}
    if way.streams:
        piece = {"index": 0, **own}
        given = made.streamed("let me see", made.chunk(tool_calls=[piece]), made.chunk(finish="tool_calls"))
    else:
        given = made.completion("let me see", "tool_calls", tool_calls=[own])
    chat = over(way, given, fine(way, made))
    assert way.ask(chat, "look") == "let me see"
    assert chat.fetch_messages()[1] == {"role": "assistant", "content": "let me see", "tool_calls": [own]}


def test_the_older_kind_of_call(over, way, made):
    """``function_call``, as it was before there were several."""
    function = {"name": "look", "arguments": '{"x": 1}'}
    if way.streams:
        given = made.streamed(
            made.chunk(function_call={"name": "look", "arguments": ""}),
            made.chunk(function_call={"arguments": '{"x": '}),
            made.chunk(function_call={"arguments": "1}"}),
            made.chunk(finish="function_call"),
        )
    else:
        given = made.completion(None, "function_call", function_call=function)
    chat = over(way, given, fine(way, made))
    assert way.ask(chat, "look") == ""
    assert chat.fetch_messages()[1] == {"role": "assistant", "content": None, "function_call": function}
    assert way.ask(chat, {"role": "function", "name": "look", "content": "3"}) == "fine"


def test_what_is_printed_of_tools(over, made, capsys):
    """A round with tool calls is printed by their names."""
    way = type("Way", (), {"is_async": False, "streams": False})
    custom = {"id": "b", "type": "custom", "custom": {"name": "draw", "input": "x"}}
    chat = over(way)
    chat.add_dialogs(user_msg("look"), {"role": "assistant", "content": None, "tool_calls": [call("a"), custom]})
    chat.add_dialogs(tool_msg("a", "1"), tool_msg("b", "2"), assistant_msg("so"), user_msg("x"))
    chat.rollback()
    assert capsys.readouterr().out == "[user]:look [assistant]:look(…), draw(…) [tool]:1 [tool]:2 [assistant]:so\n"


# -- structured answers


class Point(pydantic.BaseModel):
    x: int
    y: int


def test_a_pydantic_model(over, way, made):
    """As ``response_format``: the schema is sent, the answer parsed; a stream has the text."""
    chat = over(way, fine(way, made, '{"x":1,"y":2}'), fine(way, made))
    (*_, last) = way.pieces(chat, "where?", response_format=Point)
    sent = chat.asked()[0]["response_format"]
    assert sent["json_schema"]["name"] == "Point"
    assert sent["json_schema"]["strict"] is True
    assert last == '{"x":1,"y":2}'
    if not way.streams:
        assert last.parsed == Point(x=1, y=2)
    assert chat.fetch_messages() == [user_msg("where?"), assistant_msg('{"x":1,"y":2}')]
    way.ask(chat, "again")
    assert "response_format" not in chat.asked()[1]


def test_a_pydantic_model_and_tools(over, made):
    """What openai's parser adds to a call is not sent back."""
    way = type("Way", (), {"is_async": False, "streams": False})
    tools = [openai.pydantic_function_tool(Point)]
    called = call("a", '{"x":1,"y":2}', of="Point")
    chat = over(way, made.completion(None, "tool_calls", tool_calls=[called]), made.completion('{"x":1,"y":2}'))
    reply = chat.request("where?", response_format=Point, tools=tools)
    assert reply.response.choices[0].message.tool_calls[0].function.parsed_arguments == Point(x=1, y=2)
    assert reply.tool_calls == [called]
    assert chat.request(tool_msg("a", "ok"), response_format=Point).parsed == Point(x=1, y=2)
    assert chat.asked()[1]["messages"][1] == {"role": "assistant", "content": None, "tool_calls": [called]}


def test_an_answer_that_does_not_fit(over, made):
    """Cut short, or of another shape: openai's and pydantic's errors, and nothing is remembered."""
    way = type("Way", (), {"is_async": False, "streams": False})
    chat = over(way, made.completion('{"x":1', "length"), made.completion('{"x":1}'), response_format=Point)
    with pytest.raises(openai.LengthFinishReasonError):
        chat.request("where?")
    with pytest.raises(pydantic.ValidationError):
        chat.request("where?")
    assert len(chat) == 0


def test_formats_as_the_api_has_them(over, way, made):
    """JSON mode and schemas as mappings pass through."""
    chat = over(way, fine(way, made, "{}"), fine(way, made), response_format={"type": "json_object"})
    assert json.loads(way.ask(chat, "JSON, please")) == {}
    way.ask(chat, "text, please", response_format={"type": "text"})
    assert [each["response_format"]["type"] for each in chat.asked()] == ["json_object", "text"]


def test_a_dataclass(over, way, made):
    """As openai has it: pydantic's dataclasses."""
    made_class = pydantic.dataclasses.dataclass(dataclasses.make_dataclass("Place", [("x", int)]))
    chat = over(way, fine(way, made, '{"x":1}'))
    try:
        (*_, last) = way.pieces(chat, "where?", response_format=made_class)
    except TypeError:
        pytest.skip("this openai takes no dataclasses")
    assert chat.asked()[0]["response_format"]["type"] == "json_schema"
    assert way.streams or last.parsed.x == 1


# -- rolling back


def test_rollback(talk, way, capsys):
    """Prints the round that is the last now, and returns what was taken back."""
    chat = talk(script=[str(number) for number in range(2, 10)]).chat()
    for question in ("自然数1的后面是几?", "再往后是几?", *["再往后呢?"] * 5):
        way.ask(chat, question)
    assert chat.rollback() == [user_msg("再往后呢?"), assistant_msg("8")]
    assert capsys.readouterr().out == "[user]:再往后呢? [assistant]:7\n"
    assert len(chat.rollback(n=3)) == 6
    assert capsys.readouterr().out == "[user]:再往后呢? [assistant]:4\n"
    assert len(chat.rollback(100)) == 6
    assert chat.rollback() == []
    assert capsys.readouterr().out == ""
    for wrong in (0, -1, 1.5, True, "1", None):
        with pytest.raises(ValueError, match="n must be a whole number from 1 up"):
            chat.rollback(wrong)


def test_rollback_of_what_is_pinned(talk):
    """Pins hold against trimming, not against who takes a round back; system messages stay."""
    chat = talk().chat()
    chat.add_dialogs(
        {"role": "system", "content": "s"},
        user_msg("a"),
        user_msg("b"),
        assistant_msg("c"),
        {"role": "system", "content": "t"},
    )
    chat.pin(1, 3)
    assert chat.rollback() == [user_msg("a"), user_msg("b"), assistant_msg("c")]
    assert [message["content"] for message in chat.fetch_messages()] == ["s", "t"]
    assert chat._history.pinned() == []


# -- images


@pytest.mark.parametrize("name", ["sync", "async"])
def test_dalle(over, made, name):
    """Makes images by the chat's keys, and fails over as any request does; it is no part of what is said."""
    way = type("Way", (), {"is_async": name == "async"})
    image = made.Response(200, json={"created": 1, "data": [{"url": "https://images.invalid/1.png"}]})
    chat = over(way, made.refusal(401, "invalid_api_key"), image, keys=("one", "two"), temperature=0.5)
    if way.is_async:
        got = asyncio.run(chat.async_dalle("a cat", model="dall-e-3", size="1024x1024"))
    else:
        got = chat.dalle("a cat", model="dall-e-3", size="1024x1024")
    assert got.data[0].url == "https://images.invalid/1.png"
    assert chat.asked()[1] == {"prompt": "a cat", "model": "dall-e-3", "size": "1024x1024"}
    assert [request.url.path for request in chat.sent] == ["/v1/images/generations"] * 2
    assert len({request.headers["authorization"] for request in chat.sent}) == 2
    assert len(chat) == 0


def test_replies_travel():
    """An answer can be copied and pickled, with all that came with it."""
    reply = Reply({"role": "assistant", "content": "42"}, parsed=[1])
    for made in (pickle.loads(pickle.dumps(reply)), copy.deepcopy(reply), copy.copy(reply)):
        assert (made, made.message, made.parsed) == ("42", reply.message, [1])
