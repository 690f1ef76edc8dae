"""The gateway's state, and what it does with a request before and after its way to the provider."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING, Any, Final

from aiohttp import hdrs, web

from stable_openai.failover.patience import Patience
from stable_openai.serving import Admissions, TokenLimited, is_local

from .asking import Room, asked_of, read_body
from .errors import Refused
from .headers import PSEUDONYM, for_provider
from .homes import Homes
from .metrics import make_metrics
from .origins import answer_preflight
from .passage import Passage
from .relaying import ClientLeft
from .seen import LEFT, Seen, log_access, size_of
from .upstream import Outgoing, Upstream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stable_openai.pool.pool import KeyPool
    from stable_openai.serving import Admission, Token

    from .options import GatewayOptions

__all__ = ["GATEWAY", "Gateway"]

_logger = logging.getLogger("stable_openai.gateway")
_ROOT: Final = "/v1"
_DOTS: Final = frozenset({".", ".."})
_REFLECTED: Final = frozenset({"TRACE", "CONNECT"})  # the first would send the key back (RFC 9110, 9.3.8)
_CREDENTIALS: Final = ("api-key", "x-api-key")  # besides Authorization
_MANY: Final = 64


class Gateway:
    """What an application holds: see ``create_app``.

    Attributes:
        draining: Whether it is about to end, and takes no new requests.
        in_flight: Requests that are under way.
        homes: Which account knows what.
    """

    def __init__(self, pool: KeyPool, options: GatewayOptions) -> None:
        self.pool = pool
        self.options = options
        self.patience = Patience(max_wait=options.max_wait, timeout=options.timeout)
        self.metrics = make_metrics()
        self.homes = Homes(pool)
        self.draining = False
        self.in_flight = 0
        self._admissions = Admissions(options.tokens, store=options.token_store)
        self._room = Room(options.max_held)
        self._hosts: set[str] = set()  # those that were found to be local
        self._upstream: Upstream | None = None

    @property
    def upstream(self) -> Upstream:
        """The way to the providers, while the application runs."""
        assert self._upstream is not None  # noqa: S101  # requests come after the start
        return self._upstream

    async def running(self, app: web.Application) -> Any:  # noqa: ARG002  # as aiohttp calls it
        """Open and close what needs the loop; for ``cleanup_ctx``."""
        self._upstream = Upstream(self.options)
        yield
        await self._upstream.close()
        await self._admissions.aclose()

    # -- requests

    async def handle(self, http: web.Request) -> web.StreamResponse:
        """Answer a request to ``/v1/…``."""
        return await self.noted(http, self._answer)

    async def noted(
        self, http: web.Request, answer: Callable[[web.Request, Seen], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Answer a request, count it, and write its line; whatever goes wrong, the client gets an error it can read."""
        seen = Seen(http)
        self.in_flight += 1
        self.metrics.began()
        response: web.StreamResponse | None = None
        try:
            response = await answer(http, seen)
        except Refused as refused:
            response = refused.response()
        except ClientLeft:
            response = _gone(http)
            seen.status = LEFT
        except Exception as error:  # noqa: BLE001  # nothing of it is for the client
            # Without its words: they may hold anything.
            _logger.error("a request has failed here: %s\n%s", type(error).__name__, _where(error))  # noqa: TRY400
            response = Refused(500, "internal_error", "The gateway itself has failed.", closes=True).response()
        finally:
            self.in_flight -= 1
            seen.status = seen.status or (LEFT if response is None else response.status)
            seen.sent = seen.sent or (0 if response is None else size_of(response))
            self.metrics.ended(seen)
            log_access(seen)
        if not response.prepared:
            response.headers["x-request-id"] = seen.id
        return response

    async def _answer(self, http: web.Request, seen: Seen) -> web.StreamResponse:
        if self.draining:
            raise Refused(
                503, "shutting_down", "The gateway is shutting down.", headers={"Retry-After": "1"}, closes=True
            )
        preflight = answer_preflight(http)
        if preflight is not None:
            if not self.options.tokens:
                self._check_local(http)
            return preflight
        token = self.admit(http)
        if token is not None:
            seen.token = token.name
        target = _target_of(http)
        if self.in_flight > self.options.max_requests:
            told = f"The gateway has {self.options.max_requests} requests under way already."
            raise Refused(503, "overloaded", told, headers={"Retry-After": "1"}, closes=True)
        with self._room.place() as place:
            version = f"{http.version.major}.{http.version.minor}"
            outgoing = Outgoing(http.method, target, for_provider(http.headers, version), place)
            outgoing.body = await read_body(http, self.options, place)
            seen.received = len(outgoing.body)
            return await self._pass(http, seen, outgoing)

    async def _pass(self, http: web.Request, seen: Seen, outgoing: Outgoing) -> web.StreamResponse:
        counts = self.pool.counts_tokens or self._admissions.counts_tokens(seen.token)
        asked = await asked_of(http, outgoing.body, counts_tokens=counts, most=self.options.max_body)
        admission = await self._enter(seen, asked.tokens)
        try:
            return await Passage(self, http, outgoing, asked, seen=seen, admission=admission).answer()
        finally:
            if admission is not None:  # where it was not settled by an answer
                if seen.attempts:
                    admission.settle()
                else:
                    admission.release()

    async def _enter(self, seen: Seen, tokens: int) -> Admission | None:
        try:
            return await self._admissions.enter(seen.token, tokens) if seen.token else None
        except TokenLimited as limited:
            raise Refused.by_token(limited) from None

    def admit(self, http: web.Request) -> Token | None:
        """Whose request it is; None where no tokens are asked for.

        Raises:
            Refused: It shows no token that is known; or, where none is asked for, comes from a page of the web.
        """
        tokens = self.options.tokens
        if not tokens:
            self._check_local(http)
            return None
        token = tokens.bearer_of(http.headers.get(hdrs.AUTHORIZATION, "").encode("utf-8", "surrogateescape"))
        for name in _CREDENTIALS:
            if token is None and name in http.headers:
                token = tokens.find(http.headers[name].encode("utf-8", "surrogateescape"))
        if token is None:
            told = "This gateway asks for a token of its own: send it as 'Authorization: Bearer …'."
            if any(name in http.headers for name in (hdrs.AUTHORIZATION, *_CREDENTIALS)):
                told = (
                    "What you have sent is none of this gateway's tokens. Its operator gives them out; API keys of a "
                    "provider are none."
                )
            raise Refused(401, "invalid_api_key", told, headers={"WWW-Authenticate": "Bearer"}, closes=True)
        return token

    def _check_local(self, http: web.Request) -> None:
        """Keep pages of the web away, which browsers let send requests to loopback."""
        for name in (hdrs.HOST, hdrs.ORIGIN):
            host = http.headers.get(name)
            if host is None or host in self._hosts:
                continue
            if not is_local(host.partition("://")[2] if name is hdrs.ORIGIN else host):
                told = f"Without tokens, this gateway serves this machine alone, not the {name} of this request."
                raise Refused(403, "forbidden", f"{told} Start it with --token to serve others.", closes=True)
            if len(self._hosts) < _MANY:
                self._hosts.add(host)


GATEWAY: Final = web.AppKey("gateway", Gateway)


def _target_of(http: web.Request) -> str:
    """What follows ``/v1`` in the address of a request that may be passed on.

    Raises:
        Refused: It may not.
    """
    if http.method in _REFLECTED:
        raise Refused(405, "method_not_allowed", f"{http.method} is not passed on.", closes=True)
    if http.headers.get(hdrs.UPGRADE, "").lower() == "websocket":  # another one may be overlooked (RFC 9110, 7.8)
        told = "Websockets are not passed on: use the API by HTTP, and server-sent events for streams."
        raise Refused(501, "websocket_not_supported", told, closes=True)
    if PSEUDONYM in http.headers.get("Via", ""):
        raise Refused(400, "loop", "This request has come through this gateway before: a key's base_url leads to it.")
    target = http.rel_url.raw_path_qs[len(_ROOT) :]
    path = target.partition("?")[0]
    if "/." in path or "%2" in path:
        plain = path.lower().replace("%2e", ".").replace("%2f", "/").replace("%5c", "/")
        if not _DOTS.isdisjoint(plain.split("/")):
            raise Refused(400, "bad_path", "The path leads out of what is passed on.")
    return target


def _gone(http: web.Request) -> web.Response:
    """What aiohttp is to be given where nobody listens any more."""
    if http.transport is not None:
        http.transport.abort()
    return web.Response(status=LEFT)


def _where(error: Exception) -> str:
    """Where an error was raised."""
    return "".join(traceback.format_tb(error.__traceback__))
