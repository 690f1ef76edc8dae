"""Transports that lend out the connections of shared pools, to any number of httpx clients.

A transport is where httpx lets others in: a client over one of these is a client like any other (its timeouts, cookies
and event hooks are its own, it is closed when it says so), but closing it closes no connection.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator

    from .pools import Pool, Pools

__all__ = ["aclose_all", "close_all", "flavour"]


class _Flavour(NamedTuple):
    """What is particular to the httpx that the installed openai rides on: httpx, or httpx2 from openai 3 on."""

    make_tls: Callable[[], ssl.SSLContext]
    client: Callable[..., Any]
    async_client: Callable[..., Any]
    transport: Callable[[Callable[[], Pools]], Any]
    async_transport: Callable[[Callable[[], Awaitable[Pools]]], Any]


@functools.cache
def flavour() -> _Flavour:
    """Find it out, and fit our classes to it; this imports openai."""
    import openai

    root = next(base.__module__ for base in openai.DefaultHttpxClient.__mro__ if base.__name__ == "Client")
    library = importlib.import_module(root.partition(".")[0])
    stream = type("SharedStream", (_Stream, library.SyncByteStream), {})
    async_stream = type("AsyncSharedStream", (_AsyncStream, library.AsyncByteStream), {})
    transport = type("SharedTransport", (_Transport, library.BaseTransport), {"stream": stream})
    async_transport = type(
        "AsyncSharedTransport", (_AsyncTransport, library.AsyncBaseTransport), {"stream": async_stream}
    )
    return _Flavour(
        library.create_ssl_context,
        openai.DefaultHttpxClient,
        openai.DefaultAsyncHttpxClient,
        transport,
        async_transport,
    )


def _origin(url: Any) -> Hashable:
    return url.scheme, url.host, url.port


def _route(pool: Pool, url: Any) -> Any:
    """The pool's own transport for an address: straight, or through the proxy that the environment names."""
    return pool.client._transport_for_url(url)  # noqa: SLF001  # httpx has no public name for it; openai uses it as well


class _Transport:
    """Sends each request over the pool of its origin."""

    stream: Callable[..., Any]

    def __init__(self, pools: Callable[[], Pools]) -> None:
        self._pools = pools

    def handle_request(self, request: Any) -> Any:
        pools = self._pools()
        pool, idle = pools.take(_origin(request.url))
        try:
            close_all(idle)
            response = _route(pool, request.url).handle_request(request)
            response.stream = self.stream(response.stream, lambda: close_all(pools.give_back(pool)))
        except BaseException:
            close_all(pools.give_back(pool))
            raise
        return response

    def close(self) -> None:
        """A client is closed: the connections are not its own."""


class _AsyncTransport:
    """Sends each request over the pool of its origin, in the event loop that runs."""

    stream: Callable[..., Any]

    def __init__(self, pools: Callable[[], Awaitable[Pools]]) -> None:
        self._pools = pools

    async def handle_async_request(self, request: Any) -> Any:
        pools = await self._pools()
        pool, idle = pools.take(_origin(request.url))
        try:
            await aclose_all(idle)
            response = await _route(pool, request.url).handle_async_request(request)
            response.stream = self.stream(response.stream, lambda: aclose_all(pools.give_back(pool)))
        except BaseException:
            await aclose_all(pools.give_back(pool))
            raise
        return response

    async def aclose(self) -> None:
        """A client is closed: the connections are not its own."""


def close_all(pools: list[Pool]) -> None:
    """Close pools that nobody uses; if one can't be closed properly, that is no fault of whoever happens by."""
    for pool in pools:
        with contextlib.suppress(Exception):
            pool.client.close()


async def aclose_all(pools: list[Pool]) -> None:
    """Close async pools, in their event loop."""
    for pool in pools:
        with contextlib.suppress(Exception):
            await pool.client.aclose()


class _Stream:
    """The body of an answer; its end is the end of the request."""

    def __init__(self, stream: Any, ended: Callable[[], None]) -> None:
        self._stream = stream
        self._ended: Callable[[], None] | None = ended

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._stream)

    def close(self) -> None:
        ended, self._ended = self._ended, None
        try:
            self._stream.close()
        finally:
            if ended is not None:
                ended()


class _AsyncStream:
    """The body of an answer; its end is the end of the request."""

    def __init__(self, stream: Any, ended: Callable[[], Awaitable[None]]) -> None:
        self._stream = stream
        self._ended: Callable[[], Awaitable[None]] | None = ended

    def __aiter__(self) -> AsyncIterator[bytes]:
        iterator: AsyncIterator[bytes] = aiter(self._stream)
        return iterator

    async def aclose(self) -> None:
        ended, self._ended = self._ended, None
        try:
            await self._stream.aclose()
        finally:
            if ended is not None:
                await ended()
