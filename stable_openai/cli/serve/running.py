"""All that was asked for, in one event loop, until a signal comes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import click

from stable_openai.cli.opening import NoKeys, open_pool
from stable_openai.serving import Siblings
from stable_openai.stores.opening import MEMORY

from .listening import enter, probe
from .renewing import on_hangup, read_certificate, read_keys
from .workers import socket_of_worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from stable_openai.keys import Key
    from stable_openai.pool.pool import KeyPool
    from stable_openai.service.sessions import Sessions
    from stable_openai.serving import Tls, Tokens

    from .settings import Settings

Wanted: TypeAlias = "Callable[[Sequence[Key]], list[Key]]"

__all__ = ["look", "serve"]

_BASE_URL: Final = "https://api.openai.com/v1"
_SHORT: Final = 16  # characters of a token: of letters and figures, some 95 bits
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


async def serve(settings: Settings) -> None:
    """Serve until a signal comes; then what runs may end within the time to drain, and a second signal cuts it.

    Raises:
        ConfigurationError: Something that was told is wrong, or an address can't be listened on; nothing listens then.
    """
    tokens, tls = settings.all_tokens(), settings.tls()
    if not settings.is_worker:
        _warn_of_short(tokens, settings)
    over = asyncio.Event()
    again: list[Callable[[], object]] = [] if tls is None else [partial(read_certificate, tls)]
    with _signals(over), on_hangup(lambda: [read() for read in again], over.set):
        async with contextlib.AsyncExitStack() as running:
            pool = _pool(settings, needed=settings.gateway is not None)
            if pool is not None:
                running.push_async_callback(pool.aclose)
            sessions = None
            if settings.grpc or settings.http:
                sessions = await running.enter_async_context(_sessions(settings, pool))
            wanted: Wanted = list
            if settings.gateway:
                wanted = await running.enter_async_context(_gateway(settings, pool, tokens, tls, over))
            if pool is not None:
                loop = asyncio.get_running_loop()
                again.append(partial(loop.run_in_executor, None, read_keys, pool, settings.pool, wanted))
            if sessions is not None:
                await running.enter_async_context(_chat_service(settings, sessions, tokens, tls))
            await over.wait()
            click.echo("stopping; what runs may end (once more cuts it)", err=True)


def look(settings: Settings) -> None:
    """Look at all that was told, and open none of it: what is wrong is said once, and not by each worker.

    Raises:
        ConfigurationError: Something is wrong.
        OSError: A file can't be read.
    """
    _warn_of_short(settings.all_tokens(), settings)
    settings.tls()
    open_pool(settings.pool, store=MEMORY)[0].close()
    if settings.gateway:
        probe(settings, "gateway")


def _warn_of_short(tokens: Tokens, settings: Settings) -> None:
    """Say which tokens could be guessed by those who can come."""
    if settings.is_open:
        for token in tokens:
            if len(token.secret) < _SHORT:
                told = f"the token {token.name} has {len(token.secret)} characters: others can come here and guess it"
                click.echo(f"{told}; {_SHORT} at random are safe", err=True)


def _pool(settings: Settings, *, needed: bool) -> KeyPool | None:
    """The server's keys; None where there are none and none are needed, since sessions may bring their own."""
    try:
        pool, whence = open_pool(settings.pool, store=settings.counted_in)
    except NoKeys:
        if needed:
            raise
        return None
    click.echo(f"{len(pool)} keys {whence}", err=True)
    return pool


@contextlib.asynccontextmanager
async def _gateway(
    settings: Settings, pool: KeyPool | None, tokens: Tokens, tls: Tls | None, over: asyncio.Event
) -> AsyncIterator[Wanted]:
    """Yields what leaves out keys that were removed at its status page."""
    from stable_openai.gateway.app import create_app
    from stable_openai.gateway.app import serve as listen
    from stable_openai.gateway.options import GatewayOptions
    from stable_openai.gateway.status import STATUS, StatusOptions

    assert pool is not None  # noqa: S101  # the gateway has been refused without
    base_url = settings.base_url or os.environ.get("OPENAI_BASE_URL") or _BASE_URL
    options = GatewayOptions(
        base_url=base_url,
        tokens=tokens,
        token_store=settings.counted_in,
        max_wait=settings.max_wait,
        **settings.bounds,
    )
    status = StatusOptions(admins=settings.admins or None, behind_proxy=settings.behind_proxy)
    siblings = Siblings() if settings.is_worker else None
    app = create_app(pool, options, status=status, siblings=siblings)
    address = settings.address("gateway")
    async with contextlib.AsyncExitStack() as stack:
        if siblings is not None:
            await stack.enter_async_context(siblings.connected(socket_of_worker(), orphaned=over.set))
        server = listen(app, address, reuse_port=settings.is_worker, drain=settings.drain, tls=tls)
        found = await enter(stack, server, settings, "gateway")
        url = f"{'http' if tls is None else 'https'}://{found[0]}"
        if settings.is_worker:
            click.echo(f"worker {os.getpid()} serves on {url}", err=True)
        else:
            click.echo(f"gateway on {url}/v1, its keys on {url}/status", err=True)
        yield app[STATUS].removal.without_removed


@contextlib.asynccontextmanager
async def _sessions(settings: Settings, pool: KeyPool | None) -> AsyncIterator[Sessions]:
    """The sessions of the chat service; what is wrong with them is said before anything listens."""
    from stable_openai.service.options import SessionOptions
    from stable_openai.service.sessions import Sessions

    names = ("model", "base_url", "max_sessions", "idle", "max_wait")
    told = {name: getattr(settings, name) for name in names if getattr(settings, name) is not None}
    told["base_urls"] = settings.session_base_urls
    async with contextlib.AsyncExitStack() as stack:
        with settings.explained():
            sessions = Sessions(SessionOptions.from_env(**told), pools=pool, kept=settings.sessions)
            await stack.enter_async_context(sessions)
        yield sessions


@contextlib.asynccontextmanager
async def _chat_service(settings: Settings, sessions: Sessions, tokens: Tokens, tls: Tls | None) -> AsyncIterator[None]:
    from stable_openai.service.callers import Callers

    callers = Callers(tokens, store=settings.counted_in)
    async with contextlib.AsyncExitStack() as listening:
        if settings.grpc:
            from stable_openai.service.grpc.server import GrpcOptions, grpc_server, reflection_from_env

            reflection = settings.debug or reflection_from_env()
            over_grpc = grpc_server(
                settings.address("grpc"),
                sessions,
                callers=callers,
                options=GrpcOptions(reflection=reflection, grace=settings.drain),
                tls=tls,
            )
            grpc = await enter(listening, over_grpc, settings, "grpc")
            click.echo(f"gRPC on {grpc.address}{'' if tls is None else ', with TLS'}", err=True)
        if settings.http:
            from stable_openai.service.http.server import HttpOptions, http_server

            over_http = http_server(
                settings.address("http"),
                sessions,
                callers=callers,
                options=HttpOptions(grace=settings.drain),
                tls=tls,
            )
            http = await enter(listening, over_http, settings, "http")
            click.echo(f"HTTP on {http.url}, described at {http.url}/openapi.json", err=True)
        yield


@contextlib.contextmanager
def _signals(over: asyncio.Event) -> Any:
    """Have the first signal end the service in order; the second one is as usual."""
    loop = asyncio.get_running_loop()

    def end() -> None:
        over.set()
        for number in _SIGNALS:
            loop.remove_signal_handler(number)

    with contextlib.suppress(NotImplementedError):  # on Windows, Control-C interrupts
        for number in _SIGNALS:
            loop.add_signal_handler(number, end)
    yield
    with contextlib.suppress(NotImplementedError):
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
