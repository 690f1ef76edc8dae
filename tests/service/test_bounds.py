"""What is too large, too many, or no request at all."""

from __future__ import annotations

import asyncio
import gzip
import json

import grpc.aio
import pytest

from stable_openai.service.errors import InvalidArgument


async def test_a_body_that_is_too_large(serve):
    served = await serve(http={"max_body": 1_000})
    for path, kind in (("/ask", "text/plain"), ("/v1/sessions", "application/problem+json")):
        status, headers, _ = await served.http("POST", path, "x" * 2_000)
        assert status == 413 and headers["Content-Type"].startswith(kind)


async def test_a_small_body_that_unpacks_to_a_large_one(serve):
    served = await serve(http={"max_body": 10_000})
    packed = gzip.compress(b" " * 5_000_000)
    status, _, _ = await served.http("POST", "/v1/sessions", packed, {"Content-Encoding": "gzip"})
    assert status in (400, 413)
    status, _, _ = await served.http("POST", "/v1/sessions", b"no gzip", {"Content-Encoding": "gzip"})
    assert status == 400
    packed = gzip.compress(json.dumps({"prompt": ""}).encode())
    assert (await served.http("POST", "/ask", packed, {"Content-Encoding": "gzip"}))[2] == "prompt is required"


async def test_a_message_that_is_too_large(serve):
    client = await (await serve(grpc={"max_message": 1_000})).client()
    assert (await client.refusal("NewSession", config="x" * 2_000))[0] == "RESOURCE_EXHAUSTED"


async def test_a_message_that_is_none(serve):
    """Bytes that are no protobuf, and texts that are no UTF-8, are the caller's fault."""
    served = await serve()
    client = await served.client()
    for raw in (b"\xff\xff\xff", b"\x0a\x02\xff\xfe", b"\x0a\x7f"):
        for name in ("NewSession", "Chat", "DeleteSession"):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await client.channel.unary_unary(f"/muvtuber.chatbot.v2.ChatbotService/{name}")(raw)
            assert caught.value.code().name == "INVALID_ARGUMENT"


async def test_more_requests_at_once_than_the_server_takes(serve, provider):
    """One more is refused, over either; what runs is not disturbed."""
    served = await serve(cooldown=0, http={"max_requests": 1}, grpc={"max_calls": 1})
    client = await served.client()
    config = {"version": 3, "api_key": "sk-any-0123456789", "base_url": provider.url}
    calls = [
        asyncio.ensure_future(client.NewSession(config=json.dumps(config), initial_prompt="hi")),
        asyncio.create_task(served.http("POST", "/v1/sessions", {"config": config, "initial_prompt": "hi"})),
    ]
    await provider.arrived.get()
    await provider.arrived.get()
    status, headers, problem = await served.http("POST", "/v1/sessions", {"config": config})
    assert (status, headers["Retry-After"], problem["title"]) == (429, "1", "TooManyRequests")
    assert (await client.refusal("NewSession", config="{}"))[0] == "RESOURCE_EXHAUSTED"
    provider.go.set()
    one, two = await asyncio.gather(*calls)
    assert one.initial_response == two[2]["initial_response"] == "re: hi"


async def test_a_history_has_an_end(serve, config):
    """The oldest go first; the system prompt stays."""
    served = await serve(cooldown=0, max_messages=3)
    session = (await served.sessions.new(config(system_prompt="Be short."))).session_id
    for word in "abc":
        await served.sessions.ask(session, word)
    assert [message["content"] for message in served.sessions.look(session).messages] == [
        "Be short.", "c", "You said: c",
    ]  # fmt: skip


async def test_a_prompt_that_does_not_fit_into_the_history(serve, config):
    served = await serve(cooldown=0, max_history_tokens=20)
    session = (await served.sessions.new(config())).session_id
    with pytest.raises(InvalidArgument, match="prompt: is 20"):
        await served.sessions.ask(session, "word " * 200)
    assert await served.sessions.ask(session, "hi") == "You said: hi"


async def test_an_answer_with_half_a_character(serve, made, openai_simulator):
    """JSON can bring it; neither protobuf nor UTF-8 can carry it."""
    sim = openai_simulator(keys=[made.secret("one")], script=lambda _: "half: \ud83d!")
    served = await serve(cooldown=0)
    client = await served.client()
    config = {"version": 3, "api_key": made.secret("one"), "base_url": sim.base_url}
    made_one = await client.NewSession(config=json.dumps(config), initial_prompt="hi")
    assert made_one.initial_response == "half: ?!"
    _, _, answer = await served.http("POST", "/v1/sessions", {"config": config, "initial_prompt": "hi"})
    assert answer["initial_response"] == "half: ?!"


async def test_half_a_character_is_no_text(serve, config):
    """In a prompt and in each text of a config: it is refused before anybody is asked."""
    served = await serve()
    session = (await served.sessions.new(config())).session_id
    for path, body, field in [
        (f"/v1/sessions/{session}/messages", {"prompt": "\ud800"}, "prompt"),
        ("/v1/sessions", {"config": config(), "initial_prompt": "\ud800"}, "initial_prompt"),
        ("/v1/sessions", {"config": config(model="\ud800")}, "config.model"),
        ("/v1/sessions", {"config": config(system_prompt="\ud800")}, "config.system_prompt"),
    ]:
        status, _, problem = await served.http("POST", path, body)
        assert (status, problem["detail"].partition(":")[0]) == (400, field)
    assert not config.sim.stats().arrivals


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "OPTIONS"])
async def test_methods_that_are_not_there(serve, method):
    status, headers, problem = await (await serve()).http(method, "/v1/sessions")
    assert (status, headers["Allow"], problem["title"]) == (405, "POST", "MethodNotAllowed")


async def test_a_fault_of_our_own_tells_nothing(serve, monkeypatch, caplog):
    """No traceback and no words of the exception reach a client, nor do its words reach the log."""
    served = await serve()

    words = "sk-secret-of-somebody"  # not in the line that raises: that is in the log

    def fault(*_, **__):
        raise RuntimeError(words)

    monkeypatch.setattr(served.sessions._registry, "find", fault)
    status, _, problem = await served.http("GET", "/v1/sessions/x")
    assert (status, problem["detail"]) == (500, "internal error")
    code, details, _ = await (await served.client()).refusal("DeleteSession", session_id="x")
    assert (code, details) == ("INTERNAL", "ServiceError: internal error")
    assert "RuntimeError" in caplog.text and words not in caplog.text


async def test_what_is_no_http_at_all(serve, caplog):
    """It is refused without a traceback; the log has nothing of it, as there could be a token in a broken header."""
    served = await serve()
    address = served.http_at.address
    for sent in (
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /ask HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nAuthorization: Bearer of\x00somebody\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(sent)
        answer = await reader.read(4_096)
        assert answer.startswith(b"HTTP/1.") and b" 400 " in answer and b"Traceback" not in answer
        writer.close()
        await writer.wait_closed()
    assert "somebody" not in caplog.text
