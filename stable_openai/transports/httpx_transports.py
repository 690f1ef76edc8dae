"""``Transport`` and ``AsyncTransport``: failover beneath any client of httpx, or of httpx2.

A transport is where these libraries let others in. Neither is imported here: the request at hand says which it is of.
"""

from __future__ import annotations

import importlib
import threading
from typing import TYPE_CHECKING, Any, Final

from stable_openai.exchange import Ended, asend, send

from .aims import OwnAim
from .terms import Terms, WholeExchange, origin_of

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Unpack

    from stable_openai.exchange import Exchange
    from stable_openai.pool.pool import KeyPool

    from .terms import Bounds

    _Base: Any  # whichever library's: type checkers are to take it for either
else:
    _Base = object

__all__ = ["AsyncTransport", "Transport"]

_ERRORS_FROM: Final = 400
_ORIGIN: Final = "stable_openai.origin"  # of the request that a client follows redirects of
_OF_CLIENT: Final = {False: "HTTPTransport", True: "AsyncHTTPTransport"}


class _Pooled:
    """What both kinds have in common."""

    _is_async = False

    def __init__(
        self,
        pool: KeyPool | None = None,
        transport: Any = None,
        *,
        base_url: str | None = None,
        **bounds: Unpack[Bounds],
    ) -> None:
        self._terms = Terms.of(pool, base_url, bounds)
        self._given = transport
        self._made: dict[str, Any] = {}
        self._making = threading.Lock()

    def _inner(self, request: Any) -> Any:
        """What really sends: the transport that was given, or else one of the request's own library."""
        if self._given is not None:
            return self._given
        name = _library_of(request)
        found = self._made.get(name)
        if found is None:
            with self._making:
                found = self._made.get(name)
                if found is None:
                    library = importlib.import_module(name)
                    found = self._made[name] = getattr(library, _OF_CLIENT[self._is_async])()
        return found

    def _all_inner(self) -> list[Any]:
        if self._given is not None:
            return [self._given]
        with self._making:
            made = list(self._made.values())
            self._made.clear()
        return made

    def _begin(self, request: Any) -> Exchange | None:
        """Begin an exchange; None: the request is none of the pool's."""
        url = str(request.url)
        origin = origin_of(url)
        if request.extensions.get(_ORIGIN, origin) != origin:
            return None  # a redirect leads elsewhere: the client has dropped the credential, and so do we
        request.extensions = {**request.extensions, _ORIGIN: origin}
        return self._terms.begin(url, request.headers, getattr(request, "_content", None), OwnAim, WholeExchange)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} over {self._terms.whence}>"


class Transport(_Pooled, _Base):  # type: ignore[misc]  # mypy knows no bases but those that it finds
    """A transport over the keys of a pool: ``httpx.Client(transport=stable_openai.Transport(pool))``.

    Each request gets a key that is free, and goes on with another one where that fails; of a stream, until its first
    content. It backs off from the provider's own trouble. What the client gets at last is the provider's own response,
    or the library's own exception. A request with an ``Authorization`` (or ``api-key``) of the caller's own goes out as
    it is. Safe in threads.

    Args:
        pool: Where keys come from; default: the process-wide ``KeyManager()``.
        transport: What really sends, such as ``httpx.HTTPTransport(proxy=…)``; closed with the client. Default: the
            library's own, of the library that the request is of. (A client with a transport of one's own takes no
            proxies from the environment.)
        base_url: The part of an address that stands for the provider. Only requests beneath it get a key, and those
            move to the endpoint of a key that has a ``base_url``. Default: all get a key, and those move that are
            beneath ``https://api.openai.com/v1``.
        bounds: ``max_wait`` and ``timeout`` in seconds, ``stop``, ``wait`` and ``affinity``, as ``@stable`` takes them.

    Raises:
        ConfigurationError: An option is unknown or wrong.
        NoKeyAvailable: (by a request) no key is free in time, and the provider has answered nothing.
    """

    def handle_request(self, request: Any) -> Any:
        """Send a request over the pool; for the client."""
        exchange = self._begin(request)
        inner = self._inner(request)
        if exchange is None:
            return inner.handle_request(request)

        def transmit(outgoing: Any) -> Any:
            response = inner.handle_request(outgoing)
            _locate(response, request, outgoing)
            return _read(response) if _is_read_here(response) else response

        try:
            return _unread(send(exchange, request, transmit))
        except Ended as ended:
            error = ended.error
        raise error

    def close(self) -> None:
        """Close the connections."""
        for inner in self._all_inner():
            inner.close()

    def __enter__(self) -> Transport:
        if self._given is not None:
            self._given.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for inner in self._all_inner():
            inner.__exit__(kind, error, traceback)


class AsyncTransport(_Pooled, _Base):  # type: ignore[misc]  # as above
    """The twin of ``Transport`` for ``httpx.AsyncClient`` and ``httpx2.AsyncClient``; it takes the same."""

    _is_async = True

    async def handle_async_request(self, request: Any) -> Any:
        """Send a request over the pool; for the client."""
        exchange = self._begin(request)
        inner = self._inner(request)
        if exchange is None:
            return await inner.handle_async_request(request)

        async def transmit(outgoing: Any) -> Any:
            response = await inner.handle_async_request(outgoing)
            _locate(response, request, outgoing)
            return await _aread(response) if _is_read_here(response) else response

        try:
            return _unread(await asend(exchange, request, transmit))
        except Ended as ended:
            error = ended.error
        raise error

    async def aclose(self) -> None:
        """Close the connections."""
        for inner in self._all_inner():
            await inner.aclose()

    async def __aenter__(self) -> AsyncTransport:
        if self._given is not None:
            await self._given.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for inner in self._all_inner():
            await inner.__aexit__(kind, error, traceback)


def _library_of(thing: Any) -> str:
    """``"httpx"`` or ``"httpx2"``: where a request or response is from, subclasses of theirs included."""
    base = next(found for found in type(thing).__mro__ if found.__name__ in {"Request", "Response"})
    return base.__module__.partition(".")[0]


def _locate(response: Any, request: Any, outgoing: Any) -> None:
    """Make the target of a redirect absolute where the request was moved: the client does not know whereto."""
    if outgoing.url != request.url and response.has_redirect_location:
        response.headers["Location"] = str(outgoing.url.join(response.headers["Location"]))


def _is_read_here(response: Any) -> bool:
    """Whether a body is read before the client gets it: an error, or JSON, which may hold one and tells the usage."""
    if response.is_closed:
        return False
    return response.status_code >= _ERRORS_FROM or "json" in response.headers.get("Content-Type", "").partition(";")[0]


def _read(response: Any) -> Any:
    try:
        raw = b"".join(response.stream)
    finally:
        response.close()
    read = _same_with(response, raw)
    read.read()
    return read


async def _aread(response: Any) -> Any:
    try:
        raw = b"".join([piece async for piece in response.stream])
    finally:
        await response.aclose()
    read = _same_with(response, raw)
    read.read()  # of what is at hand
    return read


def _unread(response: Any) -> Any:
    """A response for the client to read, in whichever way its user likes, although it was read here."""
    library = importlib.import_module(_library_of(response))
    if response.is_closed and isinstance(response.stream, library.ByteStream):
        return _same_with(response, b"".join(response.stream))
    return response


def _same_with(response: Any, raw: bytes) -> Any:
    """The same response over a body that is at hand, as it came: compressed, if it was."""
    library = importlib.import_module(_library_of(response))
    return library.Response(
        response.status_code,
        headers=response.headers,
        stream=library.ByteStream(raw),
        extensions=response.extensions,
    )
