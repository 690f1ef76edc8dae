"""The gRPC server: ``muvtuber.chatbot.v2.ChatbotService``, and answers piece by piece beside it."""

from .server import GrpcOptions, GrpcServer, grpc_server, reflection_from_env

__all__ = ["GrpcOptions", "GrpcServer", "grpc_server", "reflection_from_env"]
