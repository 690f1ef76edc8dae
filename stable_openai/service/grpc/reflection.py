"""Server reflection, by its two names: v1, and v1alpha for older clients. The messages are the same on the wire."""

from __future__ import annotations

from typing import Any, Final

import grpc
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from .messages import CHATBOT, STREAMING, descriptors, pool_of

__all__ = ["HEALTH", "handlers"]

HEALTH: Final = "grpc.health.v1.Health"
_ALPHA: Final = "grpc.reflection.v1alpha"
_V1: Final = "grpc.reflection.v1"
_METHOD: Final = "ServerReflectionInfo"


def handlers() -> list[grpc.GenericRpcHandler]:
    """What a server is given to tell of all its services."""
    names = [CHATBOT, STREAMING, HEALTH, f"{_ALPHA}.ServerReflection", f"{_V1}.ServerReflection"]
    servicer = reflection.aio.ReflectionServicer(names, pool=_described())
    method = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    packages = (_ALPHA, _V1)
    return [grpc.method_handlers_generic_handler(f"{name}.ServerReflection", {_METHOD: method}) for name in packages]


def _described() -> Any:
    """Our descriptors, with those of health checking and of reflection itself."""
    read = descriptor_pb2.FileDescriptorProto.FromString
    alpha = read(reflection_pb2.DESCRIPTOR.serialized_pb)
    health = read(health_pb2.DESCRIPTOR.serialized_pb)
    return pool_of([*descriptors(), health, alpha, _as_v1(read(alpha.SerializeToString()))])


def _as_v1(file: descriptor_pb2.FileDescriptorProto) -> descriptor_pb2.FileDescriptorProto:
    """The file of v1alpha under the names of v1."""
    file.name, file.package = "grpc/reflection/v1/reflection.proto", _V1
    for field in (field for message in file.message_type for field in message.field):
        if field.type_name:
            field.type_name = field.type_name.replace(f".{_ALPHA}.", f".{_V1}.")
    for method in (method for service in file.service for method in service.method):
        method.input_type = method.input_type.replace(f".{_ALPHA}.", f".{_V1}.")
        method.output_type = method.output_type.replace(f".{_ALPHA}.", f".{_V1}.")
    return file
