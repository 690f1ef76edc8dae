"""The HTTP server, from the moment it listens until it has drained."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiohttp import web

from stable_openai.service.callers import Callers
from stable_openai.serving import Address, check_open, parse_address, sign

from .gate import gate
from .openapi import document_of
from .routes import Routes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from stable_openai.service.sessions import Sessions
    from stable_openai.serving import Tls

__all__ = ["HttpOptions", "HttpServer", "http_app", "http_server"]

_logger: Final = logging.getLogger("stable_openai.service.http")
# aiohttp repeats a broken request in its log, headers and all: that is no place for a token.
_silent: Final = logging.getLogger("stable_openai.service.http.broken")
_silent.setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True, kw_only=True)
class HttpOptions:
    """How the server listens.

    Args:
        max_body: The most bytes of a request's body.
        max_requests: The most requests at once; one more is refused with 429.
        grace: The most seconds that requests may take to end when the server stops.
    """

    max_body: int = 1 << 20
    max_requests: int = 1_000
    grace: float = 10.0


@dataclass(frozen=True)
class HttpServer:
    """A server that listens.

    Attributes:
        address: Where, with the port that it got.
        scheme: ``http`` or ``https``.
    """

    address: Address
    scheme: str = "http"

    @property
    def url(self) -> str:
        """Its root, without a slash at the end."""
        return f"{self.scheme}://{self.address}"


def http_app(
    sessions: Sessions, *, callers: Callers | None = None, options: HttpOptions | None = None
) -> web.Application:
    """Make the application, for a server of one's own: run it with ``handler_cancellation``, as ``http_server`` does.

    Args:
        sessions: The sessions, which other servers may share.
        callers: Who may ask; without tokens, everybody on this machine.
        options: Its bounds.
    """
    options = HttpOptions() if options is None else options
    callers = Callers() if callers is None else callers
    app = web.Application(middlewares=[gate(callers, options.max_requests)], client_max_size=options.max_body)
    app.on_response_prepare.append(sign)
    document = document_of(sessions.options, wants_token=bool(callers.tokens))
    app.add_routes(Routes(sessions, callers, document).all())
    return app


@contextlib.asynccontextmanager
async def http_server(
    address: Address | str,
    sessions: Sessions,
    *,
    callers: Callers | None = None,
    options: HttpOptions | None = None,
    tls: Tls | None = None,
) -> AsyncIterator[HttpServer]:
    """Listen for as long as the ``async with`` block lasts; at its end, requests have ``grace`` seconds for theirs.

    Args:
        address: ``host:port``; port 0 for a free one.
        sessions: The sessions, which other servers may share.
        callers: Who may ask; without tokens, everybody, and only on loopback.
        options: Its bounds.
        tls: The certificate to speak TLS with; None: it speaks plain HTTP.

    Raises:
        ConfigurationError: The address is wrong, or is not on loopback and nobody has to show a token.
        OSError: It can't be listened on.
    """
    options = HttpOptions() if options is None else options
    callers = Callers() if callers is None else callers
    address = parse_address(address, "--http") if isinstance(address, str) else address
    check_open(address, "--http", has_token=bool(callers.tokens))
    runner = web.AppRunner(
        http_app(sessions, callers=callers, options=options),
        handler_cancellation=True,  # whoever hangs up wants no answer: the provider is not to go on with it
        access_log=None,
        logger=_silent,
        shutdown_timeout=options.grace,
    )
    await runner.setup()
    try:
        context = None if tls is None else tls.context
        await web.TCPSite(runner, address.host or None, address.port, ssl_context=context).start()
        server = HttpServer(Address(address.host, runner.addresses[0][1]), "http" if tls is None else "https")
        _logger.debug("HTTP on %s", server.url)
        yield server
    finally:
        await runner.cleanup()
