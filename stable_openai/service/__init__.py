"""The chat service: sessions with a model that other programs talk to, over gRPC and HTTP.

``stable_openai.service.grpc`` and ``stable_openai.service.http`` are the two servers; both may run over one set of
sessions. Neither grpc nor aiohttp is loaded before its package is imported.
"""

from .callers import Callers
from .errors import ServiceError
from .options import SessionOptions
from .sessions import NewSession, Sessions

__all__ = ["Callers", "NewSession", "ServiceError", "SessionOptions", "Sessions"]
