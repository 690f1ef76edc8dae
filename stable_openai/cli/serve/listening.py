"""Have a server listen; where it can't, say which one, and what to do."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Final, TypeVar

from stable_openai.errors import ConfigurationError

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager, AsyncExitStack

    from .settings import Settings

__all__ = ["enter"]

_Server = TypeVar("_Server")
_ELSEWHERE: Final = "is no address of this machine: localhost:{port} is for programs here alone, 0.0.0.0:{port} for all"
_TAKEN: Final = "is in use: stop what listens there, or take another port"
_WHY: Final = {
    errno.EADDRINUSE: _TAKEN,
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
    try:
        return await stack.enter_async_context(server)
    except OSError as error:
        why = _ELSEWHERE if isinstance(error, socket.gaierror) else _WHY.get(error.errno or 0)
        if why is None and error.errno is not None:
            raise
        address = settings.address(name)
        told = f"{address} {(why or _TAKEN).format(port=address.port)}"  # gRPC does not say why
        raise ConfigurationError(settings.where(name), told) from None
