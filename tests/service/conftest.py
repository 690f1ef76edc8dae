"""Both servers over one set of sessions, on loopback, and clients that know nothing but the message table."""

from __future__ import annotations

import asyncio
import contextlib
import json
import types

import aiohttp
import grpc
import grpc.aio
import pytest
from aiohttp import web
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from stable_openai import ManualClock
from stable_openai.service import Callers, SessionOptions, Sessions
from stable_openai.service.grpc import GrpcOptions, grpc_server
from stable_openai.service.http import HttpOptions, http_server

CHATBOT = "muvtuber.chatbot.v2.ChatbotService"
# The message table, as the issue has it; all are strings.
TABLE = {
    "NewSession": ({"config": 1, "initial_prompt": 2}, {"session_id": 1, "initial_response": 2}),
    "Chat": ({"session_id": 1, "prompt": 2}, {"response": 2}),
    "DeleteSession": ({"session_id": 1}, {"session_id": 1}),
}
STRING = descriptor_pb2.FieldDescriptorProto.TYPE_STRING
OPTIONAL = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL


def secret_of(name):
    return f"sk-service-{name}-0123456789"


class Client:
    """Calls methods with messages of whatever descriptors it was given: ``await client.Chat(session_id=…, prompt=…)``."""

    def __init__(self, channel, kinds, metadata=()):
        self.channel = channel
        self.kinds = kinds
        self.metadata = metadata

    def __getattr__(self, method):
        takes, gives = self.kinds[method]

        def call(**fields):
            return self.channel.unary_unary(
                f"/{CHATBOT}/{method}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=gives.FromString,
            )(takes(**fields), metadata=self.metadata)

        return call

    async def refusal(self, method, **fields):
        """The status, the text and the trailing metadata with which a call is refused."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await getattr(self, method)(**fields)
        return caught.value.code().name, caught.value.details(), dict(caught.value.trailing_metadata() or ())


def kinds_of_table():
    """Message classes made of the table alone: names of messages are nobody's business on the wire."""
    file = descriptor_pb2.FileDescriptorProto(name="made/of/the/table.proto", package="table", syntax="proto3")
    for method, sides in TABLE.items():
        for side, fields in zip(("In", "Out"), sides, strict=True):
            message = file.message_type.add(name=method + side)
            for name, number in fields.items():
                message.field.add(name=name, number=number, type=STRING, label=OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    kind = lambda name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"table.{name}"))  # noqa: E731
    return {method: (kind(f"{method}In"), kind(f"{method}Out")) for method in TABLE}


def kinds_of_reflection(address):
    """Message classes that the server itself tells of."""
    with grpc.insecure_channel(str(address)) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert CHATBOT in database.get_services()
        service = descriptor_pool.DescriptorPool(database).FindServiceByName(CHATBOT)
        kind = message_factory.GetMessageClass
        return {method.name: (kind(method.input_type), kind(method.output_type)) for method in service.methods}


class Served:
    """Both servers, and clients for them."""

    def __init__(self, sessions, grpc_at, http_at, clock, stack):
        self.sessions = sessions
        self.grpc_at = grpc_at
        self.http_at = http_at
        self.clock = clock
        self._stack = stack

    async def client(self, how="table", token=None):
        channel = await self._stack.enter_async_context(grpc.aio.insecure_channel(str(self.grpc_at.address)))
        kinds = (
            kinds_of_table() if how == "table" else await asyncio.to_thread(kinds_of_reflection, self.grpc_at.address)
        )
        return Client(channel, kinds, () if token is None else (("authorization", f"Bearer {token}"),))

    async def http(self, method, path, body=None, headers=None):
        """Status, headers and body of an answer: JSON where it says so, else text."""
        data = body if body is None or isinstance(body, (str, bytes)) else json.dumps(body)
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.http_at.url + path, data=data, headers=headers) as answer,
        ):
            text = await answer.text()
            kind = answer.content_type
            return answer.status, answer.headers, json.loads(text) if kind.endswith("json") else text


@pytest.fixture
async def serve():
    """``await serve(cooldown=…, pools=…, kept=…, tokens=…)``: both servers until the test ends, on a clock moved by hand."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(*, pools=None, kept=None, tokens=(), clock=None, grpc=None, http=None, until=None, **options):
            own = stack if until is None else until
            clock = ManualClock() if clock is None else clock
            callers = Callers(tokens)
            own.push_async_callback(callers.aclose)
            sessions = await own.enter_async_context(
                Sessions(SessionOptions(**options), pools=pools, kept=kept, clock=clock)
            )
            told = GrpcOptions(**{"reflection": True, "grace": 0.0, **(grpc or {})})
            grpc_at = await own.enter_async_context(grpc_server("localhost:0", sessions, callers=callers, options=told))
            http_at = await own.enter_async_context(
                http_server(
                    "127.0.0.1:0", sessions, callers=callers, options=HttpOptions(**{"grace": 0.1, **(http or {})})
                )
            )
            return Served(sessions, grpc_at, http_at, clock, own)

        yield start


class Provider:
    """Answers when it is told to; sees who hangs up."""

    def __init__(self):
        self.asked = []
        self.arrived = asyncio.Queue()
        self.left = asyncio.Queue()
        self.go = asyncio.Event()
        self.url = ""

    async def answer(self, request):
        body = await request.json()
        self.asked.append(body["messages"])
        self.arrived.put_nowait(body["messages"][-1]["content"])
        try:
            if body.get("stream"):
                return await self.stream(request)
            await self.go.wait()
        except asyncio.CancelledError:
            self.left.put_nowait(body["messages"][-1]["content"])
            raise
        message = {"role": "assistant", "content": f"re: {body['messages'][-1]['content']}"}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        return web.json_response(
            {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
        )

    async def stream(self, request):
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        head = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}

        async def send(delta, finish=None):
            chunk = {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
            await response.write(f"data: {json.dumps(chunk)}\n\n".encode())

        await send({"content": "one "})
        await self.go.wait()
        await send({"content": "two"})
        await send({}, "stop")
        await response.write(b"data: [DONE]\n\n")
        return response


@pytest.fixture
async def provider():
    made = Provider()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", made.answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    yield made
    made.go.set()
    await runner.cleanup()


@pytest.fixture
def config(openai_simulator):
    """``config(…)``: of a session with a key of a simulator, which is ``config.sim``; its text is ``config.text(…)``."""
    sim = openai_simulator(keys=[secret_of("one"), secret_of("two")])

    def config(key="one", **more):
        return {"version": 3, "api_key": secret_of(key), "base_url": sim.base_url, **more}

    config.sim = sim
    config.text = lambda *args, **more: json.dumps(config(*args, **more))
    return config


@pytest.fixture
def made():
    """What tests need of this file, as conftest can't be imported."""
    return types.SimpleNamespace(secret=secret_of, table=TABLE, chatbot=CHATBOT)
