"""The application, and how it is served."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any, Final

from aiohttp import http_exceptions, web

from stable_openai.errors import ConfigurationError
from stable_openai.serving import Address, check_open, sign

from .gateway import GATEWAY, Gateway
from .health import alive, in_our_words, metrics, nothing, ready
from .options import GatewayOptions
from .origins import sharing
from .status import add_status_page

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator

    from stable_openai.pool.pool import KeyPool
    from stable_openai.serving import Siblings, Tls

    from .status import StatusOptions

__all__ = ["create_app", "serve"]

_BACKLOG: Final = 1024
_KEPT: Final = 75.0  # seconds that an idle connection is kept
_LONGEST: Final = 32_768  # bytes of an address, and of a header
_FOUR: Final = "127.0.0.1"


class _WithoutWords(logging.Filter):
    """What aiohttp says of requests that it can't read holds their bytes, credentials and all."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, http_exceptions.HttpProcessingError):
            return False  # the client is told
        if error is not None:
            record.exc_info = None
            record.msg = f"{record.msg} ({type(error).__name__})"
        return True


_logger = logging.getLogger("stable_openai.gateway.http")
_logger.addFilter(_WithoutWords())


def create_app(
    pool: KeyPool,
    options: GatewayOptions | None = None,
    *,
    status: StatusOptions | None = None,
    siblings: Siblings | None = None,
) -> web.Application:
    """Make the gateway's application: ``/v1/…``, ``/healthz``, ``/readyz``, ``/metrics`` and ``/status``.

    More routes may be added before it is served; its state is ``app[GATEWAY]``. The pool stays the caller's to close.
    ``serve`` serves it; another server of aiohttp's has to be told ``handler_cancellation=True``, so that clients that
    leave end what they have begun, and ``auto_decompress=False``, so that bodies stay as they come.

    Args:
        pool: Where keys come from.
        options: How it behaves.
        status: How its status page behaves.
        siblings: The other workers of the same gateway, if any.
    """
    gateway = Gateway(pool, options or GatewayOptions())
    app = web.Application(logger=_logger, middlewares=[in_our_words])
    app[GATEWAY] = gateway
    app.cleanup_ctx.append(gateway.running)
    app.on_shutdown.append(_drain)
    app.on_response_prepare.append(sign)
    app.on_response_prepare.append(sharing(with_all=bool(gateway.options.tokens)))
    app.router.add_get("/healthz", alive)
    app.router.add_get("/readyz", ready)
    app.router.add_get("/metrics", metrics)
    add_status_page(app, status, siblings)
    app.router.add_route("*", "/v1", gateway.handle, expect_handler=_expect)
    app.router.add_route("*", "/v1/{target:.*}", gateway.handle, expect_handler=_expect)
    app.router.add_route("*", "/{target:.*}", nothing, expect_handler=_expect)
    return app


@contextlib.asynccontextmanager
async def serve(
    app: web.Application,
    address: Address | None = None,
    *,
    sock: socket.socket | None = None,
    reuse_port: bool = False,
    drain: float = 30.0,
    tls: Tls | None = None,
    option: str = "--gateway",
) -> AsyncIterator[list[Address]]:
    """Serve an application of ``create_app``; on leaving, what runs may end within ``drain`` seconds, then is cut.

    Args:
        app: The application.
        address: Where to listen.
        sock: A socket that listens already, instead of an address: for workers, or from systemd.
        reuse_port: Whether other processes may listen there too (``SO_REUSEPORT``): for workers.
        drain: Seconds that requests may still take once it is to end.
        tls: The certificate to speak TLS with; None: it speaks plain HTTP.
        option: What the address is called where it was given, for the error.

    Yields:
        The addresses that it listens at.

    Raises:
        ConfigurationError: Others can come there without a token.
        OSError: The address is in use, or is none of this machine's.
    """
    if (address is None) == (sock is None):
        raise ConfigurationError("address", "give either an address or a socket")
    if address is None and sock is not None:
        address = _address_of(sock.getsockname())
    assert address is not None  # noqa: S101  # one of the two was given
    check_open(address, option, has_token=bool(app[GATEWAY].options.tokens))
    runner = web.AppRunner(
        app,
        access_log=None,
        handler_cancellation=True,
        auto_decompress=False,
        keepalive_timeout=_KEPT,
        max_line_size=_LONGEST,
        max_field_size=_LONGEST,
        shutdown_timeout=drain,
        logger=_logger,
    )
    await runner.setup()
    context = None if tls is None else tls.context
    try:
        if sock is not None:
            await web.SockSite(runner, sock, ssl_context=context, backlog=_BACKLOG).start()
        else:
            host = _FOUR if address.host == "localhost" and not address.port else address.host  # one port, not two
            site = web.TCPSite(
                runner,
                host or None,
                address.port,
                ssl_context=context,
                backlog=_BACKLOG,
                reuse_port=reuse_port or None,
            )
            await site.start()
        yield [_address_of(name) for name in runner.addresses]
        app[GATEWAY].draining = True
    finally:
        await runner.cleanup()


async def _drain(app: web.Application) -> None:
    app[GATEWAY].draining = True


async def _expect(http: web.Request) -> None:
    """``100 Continue`` is sent once the body is wanted (RFC 9110, 10.1.1), not before."""


def _address_of(name: Any) -> Address:
    return Address(name[0], name[1]) if isinstance(name, tuple) else Address("localhost", 0)
