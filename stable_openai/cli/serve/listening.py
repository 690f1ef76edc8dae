"""Have a server listen; where it can't, say which one, and what to do."""

from __future__ import annotations

import contextlib
import errno
import socket
from typing import TYPE_CHECKING, Final, TypeVar

from stable_openai.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractAsyncContextManager, AsyncExitStack

    from .settings import Settings

__all__ = ["enter", "probe"]

_Server = TypeVar("_Server")
_ELSEWHERE: Final = "is no address of this machine: localhost:{port} is for programs here alone, 0.0.0.0:{port} for all"
_UNKNOWN: Final = "can't be listened on: something listens there already, or it is no address of this machine"
_WHY: Final = {
    errno.EADDRINUSE: "is in use: stop what listens there, or take another port",
    errno.EACCES: "is not for this user: ports below 1024 are the system's; take a higher one",
    errno.EADDRNOTAVAIL: _ELSEWHERE,
}


async def enter(
    stack: AsyncExitStack, server: AbstractAsyncContextManager[_Server], settings: Settings, name: str
) -> _Server:
    """Enter a server's context, in which it listens.

    Args:
        stack: What leaves it.
        server: The context.
        settings: Where the address was told.
        name: The setting that has it, such as ``gateway``.

    Raises:
        ConfigurationError: It can't listen there; the message says why.
    """
    with _explained(settings, name):
        return await stack.enter_async_context(server)


def probe(settings: Settings, name: str) -> None:
    """See whether something could listen there, before workers are started that would each say that it can't.

    Raises:
        ConfigurationError: It could not; the message says why.
    """
    host, port = settings.address(name)
    with _explained(settings, name):
        for family, kind, _, _, where in socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            with socket.socket(family, kind) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                sock.bind(where)


@contextlib.contextmanager
def _explained(settings: Settings, name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        address = settings.address(name)
        if error.errno is None:
            why = _UNKNOWN  # gRPC does not say
        elif isinstance(error, socket.gaierror):
            why = _ELSEWHERE
        elif error.errno in _WHY:
            why = _WHY[error.errno]
        else:
            raise
        raise ConfigurationError(settings.where(name), f"{address} {why.format(port=address.port)}") from None
