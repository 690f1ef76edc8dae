"""The messages and services of the gRPC server, made of tables; ``protos/`` has them as ``.proto`` files for clients.

The first is that of muvtuber's chatbots, field by field: whoever speaks it can speak to us. They live in a pool of
descriptors of their own, so that a process with generated code for the same files can load both.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

__all__ = ["CHATBOT", "STREAMING", "descriptors", "message_class", "pool_of"]

CHATBOT: Final = "muvtuber.chatbot.v2.ChatbotService"
STREAMING: Final = "stable_openai.chat.v1.StreamingService"


class Method(NamedTuple):
    """A method: what it takes, what it gives, and whether it gives that piece by piece."""

    takes: str
    gives: str
    streams: bool = False


class File(NamedTuple):
    """A ``.proto`` file: its package, messages (texts with their numbers) and one service."""

    name: str
    package: str
    messages: dict[str, dict[str, int]]
    service: str
    methods: dict[str, Method]


FILES: Final = (
    File(
        "muvtuber/chatbot/v2/chatbot.proto",
        "muvtuber.chatbot.v2",
        {
            "NewSessionRequest": {"config": 1, "initial_prompt": 2},
            "NewSessionResponse": {"session_id": 1, "initial_response": 2},
            "ChatRequest": {"session_id": 1, "prompt": 2},
            "ChatResponse": {"response": 2},  # there is no 1
            "DeleteSessionRequest": {"session_id": 1},
            "DeleteSessionResponse": {"session_id": 1},
        },
        "ChatbotService",
        {
            "NewSession": Method("NewSessionRequest", "NewSessionResponse"),
            "Chat": Method("ChatRequest", "ChatResponse"),
            "DeleteSession": Method("DeleteSessionRequest", "DeleteSessionResponse"),
        },
    ),
    File(
        "stable_openai/chat/v1/streaming.proto",
        "stable_openai.chat.v1",
        {"ChatRequest": {"session_id": 1, "prompt": 2}, "ChatPiece": {"text": 1}},
        "StreamingService",
        {"Chat": Method("ChatRequest", "ChatPiece", streams=True)},
    ),
)


def _descriptor(file: File) -> descriptor_pb2.FileDescriptorProto:
    made = descriptor_pb2.FileDescriptorProto(name=file.name, package=file.package, syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, fields in file.messages.items():
        message = made.message_type.add(name=name)
        for field, number in fields.items():
            message.field.add(name=field, number=number, label=kinds.LABEL_OPTIONAL, type=kinds.TYPE_STRING)
    service = made.service.add(name=file.service)
    for name, method in file.methods.items():
        service.method.add(
            name=name,
            input_type=f".{file.package}.{method.takes}",
            output_type=f".{file.package}.{method.gives}",
            server_streaming=method.streams,
        )
    return made


def descriptors() -> list[descriptor_pb2.FileDescriptorProto]:
    """Both files."""
    return [_descriptor(file) for file in FILES]


def pool_of(files: list[descriptor_pb2.FileDescriptorProto]) -> Any:
    """A pool of descriptors with these files in it."""
    pool = descriptor_pool.DescriptorPool()
    for file in files:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


_POOL: Final = pool_of(descriptors())


def message_class(name: str) -> Any:
    """The class of a message, by its full name."""
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(name))
