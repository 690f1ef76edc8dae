"""The way to the providers: one session of aiohttp, whose connections all requests share."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

import aiohttp
from yarl import URL

from stable_openai.connections.ways import proxy_for, trust
from stable_openai.masking import Secret

if TYPE_CHECKING:
    from multidict import CIMultiDict

    from stable_openai.keys import Key

    from .asking import Place
    from .options import GatewayOptions

__all__ = ["Outgoing", "Upstream"]

_LARGE: Final = 1 << 20  # bytes, from which on aiohttp wants a file
_LONGEST: Final = 32_768  # bytes of one header of an answer
_DNS_KEPT: Final = 60  # seconds
_AUTO: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class Outgoing:
    """A request as it is sent under one key after the other.

    Args:
        method: Its method.
        target: What follows ``/v1`` in its address, with the query.
        headers: Its headers, without a credential.
        place: What its body takes.

    Attributes:
        body: Its body.
    """

    __slots__ = ("body", "headers", "method", "place", "target")

    def __init__(self, method: str, target: str, headers: CIMultiDict[str], place: Place) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.body = b""
        self.place = place

    def drop_body(self) -> None:
        """It won't be sent again: the answer has begun."""
        self.body = b""
        self.place.leave()

    def __repr__(self) -> str:
        return f"<Outgoing {self.method} of {len(self.body)} bytes>"  # its headers may hold a key


class Upstream:
    """Sends requests. Made and closed in the loop that uses it.

    Args:
        options: The gateway's.
    """

    def __init__(self, options: GatewayOptions) -> None:
        self._default = options.base_url
        self._bases: dict[str | None, tuple[str, str | None]] = {}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=trust(), ttl_dns_cache=_DNS_KEPT),  # it is the keys that limit
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=options.connect_timeout, sock_read=options.idle_timeout
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_AUTO,
            max_line_size=_LONGEST,
            max_field_size=_LONGEST,
        )

    async def send(self, outgoing: Outgoing, key: Key) -> aiohttp.ClientResponse:
        """Send a request under a key, and wait for the head of its answer. No redirect is followed."""
        base, proxy = self._base_of(key.base_url)
        outgoing.headers["Authorization"] = Secret(f"Bearer {key.secret!s}")
        body = outgoing.body
        return await self._session.request(
            outgoing.method,
            URL(base + outgoing.target, encoded=True),
            data=None if not body else body if len(body) < _LARGE else io.BytesIO(body),
            headers=outgoing.headers,
            allow_redirects=False,
            proxy=proxy,
        )

    def base_of(self, key: Key) -> str:
        """The address that stands for ``/v1`` under a key."""
        return self._base_of(key.base_url)[0]

    def _base_of(self, base_url: str | None) -> tuple[str, str | None]:
        found = self._bases.get(base_url)
        if found is None:
            base = (base_url or self._default).rstrip("/")
            found = self._bases[base_url] = (base, proxy_for(base))
        return found

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()
