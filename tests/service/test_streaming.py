"""Answers piece by piece, over gRPC and as server-sent events."""

from __future__ import annotations

import json

import grpc
import grpc.aio
import pytest

from stable_openai.service.grpc.messages import message_class

STREAM = "/stable_openai.chat.v1.StreamingService/Chat"


def streamed(client, session_id, prompt):
    """A call of the streaming method."""
    takes, gives = message_class("stable_openai.chat.v1.ChatRequest"), message_class("stable_openai.chat.v1.ChatPiece")
    method = client.channel.unary_stream(STREAM, lambda m: m.SerializeToString(), gives.FromString)
    return method(takes(session_id=session_id, prompt=prompt), metadata=client.metadata)


def events_in(text):
    """Kind and data of each event."""
    blocks = [block.split("\n") for block in text.split("\n\n") if block]
    return [(kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for kind, data in blocks]


async def test_both_ways_give_the_same_pieces(serve, config):
    served = await serve(cooldown=0)
    client = await served.client()
    session = (await client.NewSession(config=config.text())).session_id
    pieces = [piece.text async for piece in streamed(client, session, "a b 你好")]
    assert "".join(pieces) == "You said: a b 你好" and len(pieces) > 1
    status, headers, text = await served.http(
        "POST", f"/v1/sessions/{session}/messages", {"prompt": "a b 你好", "stream": True}
    )
    assert (status, headers["Content-Type"]) == (200, "text/event-stream")
    events = events_in(text)
    assert [data["text"] for kind, data in events[:-1]] == pieces
    assert events[-1] == ("done", {"response": "You said: a b 你好"})
    assert len(served.sessions.look(session).messages) == 4


async def test_pieces_come_as_they_are_said(serve, provider):
    """The first is there while the provider still holds the second back."""
    served = await serve()
    client = await served.client()
    config = json.dumps({"version": 3, "api_key": "sk-any-0123456789", "base_url": provider.url})
    call = streamed(client, (await client.NewSession(config=config)).session_id, "hi")
    assert (await call.read()).text == "one "
    provider.go.set()
    assert (await call.read()).text == "two"
    assert await call.read() is grpc.aio.EOF


async def test_a_stream_that_breaks_off_is_not_remembered(serve, made, openai_simulator):
    """Half an answer, then the error: UNAVAILABLE over gRPC, an event with a problem over HTTP."""
    sim = openai_simulator(keys=[made.secret("one")], cut_stream_rate=1.0)
    served = await serve(cooldown=0)
    client = await served.client()
    config = json.dumps({"version": 3, "api_key": made.secret("one"), "base_url": sim.base_url})
    session = (await client.NewSession(config=config)).session_id
    call, said = streamed(client, session, "a b c d e f"), []
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        while True:
            said.append((await call.read()).text)
    assert said
    assert caught.value.code().name == "UNAVAILABLE" and caught.value.details().startswith("ChatGPTError: ")
    path = f"/v1/sessions/{session}/messages"
    _, _, text = await served.http("POST", path, {"prompt": "a b c d e f", "stream": True})
    kind, problem = events_in(text)[-1]
    assert (kind, problem["title"], problem["status"]) == ("error", "ChatGPTError", 503)
    assert [data["text"] for kind, data in events_in(text)[:-1]] == said
    assert served.sessions.look(session).messages == []


async def test_what_is_wrong_at_first_is_an_ordinary_refusal(serve):
    served = await serve()
    client = await served.client()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await streamed(client, "nobody", "hi").read()
    assert caught.value.code().name == "NOT_FOUND"
    status, headers, problem = await served.http(
        "POST", "/v1/sessions/nobody/messages", {"prompt": "hi", "stream": True}
    )
    assert (status, headers["Content-Type"], problem["title"]) == (404, "application/problem+json", "SessionNotFound")


async def test_a_grpc_stream_that_is_cancelled_cancels_the_provider(serve, provider):
    served = await serve()
    client = await served.client()
    config = json.dumps({"version": 3, "api_key": "sk-any-0123456789", "base_url": provider.url})
    session = (await client.NewSession(config=config)).session_id
    call = streamed(client, session, "hi")
    assert (await call.read()).text == "one "
    call.cancel()
    assert await provider.left.get() == "hi"
    assert served.sessions.look(session).messages == []
