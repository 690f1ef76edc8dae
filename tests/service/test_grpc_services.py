"""What stands beside the chat: health checks, reflection by both of its names, the ``.proto`` files, and the end."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import grpc
import grpc.aio
import pytest
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

import stable_openai.service.grpc
from stable_openai import ConfigurationError
from stable_openai.service import Sessions
from stable_openai.service.grpc import GrpcOptions, grpc_server
from stable_openai.service.grpc.messages import CHATBOT, STREAMING, descriptors

PROTOS = Path(stable_openai.service.grpc.__file__).parent / "protos"


@pytest.mark.parametrize("service", ["", CHATBOT, STREAMING])
async def test_health(serve, service):
    """For anyone, even where a token is needed: a probe has none."""
    client = await (await serve(tokens=["lab=token-0123456789"])).client()
    stub = health_pb2_grpc.HealthStub(client.channel)
    assert (await stub.Check(health_pb2.HealthCheckRequest(service=service))).status == 1


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_reflection_by_both_names(serve, version):
    """What it lists it can describe, itself included."""
    client = await (await serve()).client()
    method = client.channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        lambda message: message.SerializeToString(),
        reflection_pb2.ServerReflectionResponse.FromString,
    )
    request = reflection_pb2.ServerReflectionRequest
    call = method()
    await call.write(request(list_services=""))
    listed = [service.name for service in (await call.read()).list_services_response.service]
    assert {CHATBOT, STREAMING, "grpc.health.v1.Health", f"grpc.reflection.{version}.ServerReflection"} <= set(listed)
    for name in listed:
        await call.write(request(file_containing_symbol=name))
        files = (await call.read()).file_descriptor_response.file_descriptor_proto
        found = [descriptor_pb2.FileDescriptorProto.FromString(file) for file in files]
        assert name in {f"{file.package}.{service.name}" for file in found for service in file.service}
    await call.done_writing()


async def test_reflection_wants_a_token_and_so_does_what_is_not_there(serve):
    """Nobody learns without one what the server has."""
    client = await (await serve(tokens=["lab=token-0123456789"])).client()
    reflection = client.channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
    nothing = client.channel.unary_unary("/some.Service/Method")
    streaming = client.channel.unary_stream(f"/{STREAMING}/Chat")
    for call in (reflection(iter([b""])).read(), nothing(b""), streaming(b"").read()):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code().name == "UNAUTHENTICATED"


async def test_no_reflection_where_nobody_asks_for_it(serve):
    client = await (await serve(grpc={"reflection": False})).client()
    method = client.channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await method(iter([b""])).read()
    assert caught.value.code().name == "UNIMPLEMENTED"


def test_the_proto_files_say_the_same():
    """Messages, numbers and methods, as a reader of the files finds them."""
    texts = {path.name: path.read_text() for path in PROTOS.glob("*.proto")}
    files = descriptors()
    assert set(texts) == {file.name.rpartition("/")[2] for file in files}
    for file in files:
        text = re.sub(r"//.*", "", texts[file.name.rpartition("/")[2]])
        assert re.search(r"package ([\w.]+);", text)[1] == file.package
        told = {
            name: [(field, int(number)) for field, number in re.findall(r"string (\w+) = (\d+);", body)]
            for name, body in re.findall(r"message (\w+) {(.*?)}", text, re.DOTALL)
        }
        assert told == {
            message.name: [(field.name, field.number) for field in message.field] for message in file.message_type
        }
        methods = re.findall(r"rpc (\w+)\((\w+)\) returns \((stream )?(\w+)\);", text)
        assert methods == [
            (
                one.name,
                one.input_type.rpartition(".")[2],
                "stream " * one.server_streaming,
                one.output_type.rpartition(".")[2],
            )
            for service in file.service
            for one in service.method
        ]


async def test_the_messages_are_those_of_the_table(made):
    (file, _) = descriptors()
    told = {message.name: {field.name: field.number for field in message.field} for message in file.message_type}
    for method, (takes, gives) in made.table.items():
        assert (told[f"{method}Request"], told[f"{method}Response"]) == (takes, gives)


async def test_a_port_that_is_taken():
    async with Sessions() as sessions, grpc_server("127.0.0.1:0", sessions) as server:
        with pytest.raises(OSError, match="can't be listened on"):
            await grpc_server(server.address, sessions).__aenter__()
    with pytest.raises(ConfigurationError, match="--grpc"):
        await grpc_server("localhost", sessions).__aenter__()


async def test_calls_may_come_to_their_end_when_the_server_stops(provider):
    """It drains: what runs is answered, and nothing new is let in."""
    told = f'{{"version": 3, "api_key": "sk-any-0123456789", "base_url": "{provider.url}"}}'
    stop = asyncio.Event()
    where = asyncio.get_running_loop().create_future()

    async def run():
        async with Sessions() as sessions, grpc_server("127.0.0.1:0", sessions, options=GrpcOptions(grace=20)) as one:
            where.set_result(str(one.address))
            await stop.wait()

    running = asyncio.create_task(run())
    async with grpc.aio.insecure_channel(await where) as channel:
        call = channel.unary_unary(f"/{CHATBOT}/NewSession")(
            b"\x0a" + bytes([len(told)]) + told.encode() + b"\x12\x02hi"
        )
        await provider.arrived.get()
        stop.set()
        provider.go.set()
        assert b"re: hi" in await call
    await running


def test_the_sessions_load_no_server():
    """Whoever needs one of the two loads that one; the sessions alone need neither, nor openai before they are entered."""
    code = "import sys, stable_openai.service; print(*{'grpc', 'aiohttp', 'openai'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
