"""The gRPC server, from the moment it listens until it has drained."""

from __future__ import annotations

import contextlib
import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from stable_openai.service.callers import Callers
from stable_openai.service.errors import Unauthenticated
from stable_openai.serving import Address, check_open, parse_address

from . import reflection
from .handlers import Handlers, authorization_of, refuse
from .messages import CHATBOT, STREAMING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from stable_openai.service.sessions import Sessions
    from stable_openai.serving import Tls

__all__ = ["GrpcOptions", "GrpcServer", "grpc_server", "reflection_from_env"]

_logger: Final = logging.getLogger("stable_openai.service.grpc")
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_SECOND: Final = 1_000  # in gRPC's milliseconds
_MAX_METADATA: Final = 16 << 10


@dataclass(frozen=True, kw_only=True)
class GrpcOptions:
    """How the server listens.

    Args:
        reflection: Whether it tells what it serves.
        max_message: The most bytes of a request.
        max_calls: The most calls at once; one more is refused with RESOURCE_EXHAUSTED.
        grace: The most seconds that calls may take to end when the server stops.
    """

    reflection: bool = False
    max_message: int = 1 << 20
    max_calls: int = 1_000
    grace: float = 10.0


@dataclass(frozen=True)
class GrpcServer:
    """A server that listens.

    Attributes:
        address: Where, with the port that it got.
    """

    address: Address
    server: grpc.aio.Server

    async def wait(self) -> None:
        """Wait until it has stopped."""
        await self.server.wait_for_termination()


def reflection_from_env(environ: Mapping[str, str] | None = None) -> bool:
    """Whether ``GRPC_REFLECTION`` asks for reflection: ``True``, ``1``, ``yes`` or ``on``."""
    return (os.environ if environ is None else environ).get("GRPC_REFLECTION", "").strip().lower() in _TRUE


@contextlib.asynccontextmanager
async def grpc_server(
    address: Address | str,
    sessions: Sessions,
    *,
    callers: Callers | None = None,
    options: GrpcOptions | None = None,
    tls: Tls | None = None,
) -> AsyncIterator[GrpcServer]:
    """Listen for as long as the ``async with`` block lasts; at its end, calls may come to theirs for ``grace`` seconds.

    Args:
        address: ``host:port``; port 0 for a free one.
        sessions: The sessions, which other servers may share.
        callers: Who may ask; without tokens, everybody, and only on loopback.
        options: How to listen.
        tls: The certificate to speak TLS with; None: it speaks without.

    Raises:
        ConfigurationError: The address is wrong, or is not on loopback and nobody has to show a token.
        OSError: It can't be listened on.
    """
    options = GrpcOptions() if options is None else options
    callers = Callers() if callers is None else callers
    address = parse_address(address, "--grpc") if isinstance(address, str) else address
    check_open(address, "--grpc", has_token=bool(callers.tokens))
    server = grpc.aio.server(
        interceptors=[_Gate(callers)], options=_channel_options(options), maximum_concurrent_rpcs=options.max_calls
    )
    server.add_generic_rpc_handlers(tuple(Handlers(sessions, callers).generic()))
    checks = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    if options.reflection:
        server.add_generic_rpc_handlers(tuple(reflection.handlers()))
    port = _bind(server, address, tls)
    await server.start()
    try:
        for service in (CHATBOT, STREAMING):
            await checks.set(service, health_pb2.HealthCheckResponse.SERVING)
        _logger.debug("gRPC on %s", Address(address.host, port))
        yield GrpcServer(Address(address.host, port), server)
    finally:
        await checks.enter_graceful_shutdown()
        await server.stop(options.grace)


def _bind(server: grpc.aio.Server, address: Address, tls: Tls | None) -> int:
    where = str(address) if address.host else f"[::]:{address.port}"
    port: int
    try:
        port = server.add_insecure_port(where) if tls is None else server.add_secure_port(where, _credentials(tls))
    except RuntimeError:
        port = 0
    if not port:
        raise OSError(f"{address} can't be listened on: is another server there?")
    return port


def _credentials(tls: Tls) -> grpc.ServerCredentials:
    """Credentials that follow the certificate when it is renewed."""
    given = tls.pem

    def newer() -> Any:
        nonlocal given
        before, given = given, tls.pem
        return None if given == before else _certificate(given)

    return grpc.dynamic_ssl_server_credentials(_certificate(given), newer)


def _certificate(pem: tuple[bytes, bytes]) -> Any:
    return grpc.ssl_server_certificate_configuration([pem])


def _channel_options(options: GrpcOptions) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", options.max_message),
        ("grpc.max_metadata_size", _MAX_METADATA),
        ("grpc.so_reuseport", 0),  # a second server on a port is a mistake, not a helper
        ("grpc.keepalive_time_ms", 60 * _SECOND),
        ("grpc.keepalive_timeout_ms", 20 * _SECOND),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 10 * _SECOND),
    ]


class _Gate(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpc has no types
    """Refuses whoever shows no token, whatever it asks for; health checks are for everybody."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], details: grpc.HandlerCallDetails
    ) -> Any:
        """Let a call through, or refuse it."""
        if not details.method.startswith(f"/{reflection.HEALTH}/"):
            try:
                self._callers.name_of(authorization_of(_Metadata(details.invocation_metadata)))
            except Unauthenticated as error:
                return _refusing(await continuation(details), error)
        return await continuation(details)


class _Metadata:
    """Metadata where a context is asked for it."""

    def __init__(self, metadata: Any) -> None:
        self._metadata = metadata

    def invocation_metadata(self) -> Any:
        return self._metadata


def _refusing(handler: Any, failure: Unauthenticated) -> Any:
    """A handler of the same kind that refuses; also in place of none, so that nobody learns what there is."""

    async def refusing(_: Any, context: Any) -> None:
        await refuse(context, failure)

    if handler is not None and handler.request_streaming:
        return grpc.stream_stream_rpc_method_handler(refusing)
    if handler is not None and handler.response_streaming:
        return grpc.unary_stream_rpc_method_handler(refusing)
    return grpc.unary_unary_rpc_method_handler(refusing)
