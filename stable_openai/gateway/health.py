"""What watches the gateway: whether it is alive, whether it is ready, and its metrics."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiohttp import web

from stable_openai.errors import StableError

from .errors import Refused
from .gateway import GATEWAY
from .status import STATUS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .seen import Seen

__all__ = ["alive", "in_our_words", "metrics", "nothing", "ready"]

_USABLE: Final = frozenset({"open", "cooling down"})  # a cooldown ends by itself, within minutes at most
_READY: Final = "ready"
_CACHED: Final = {"Cache-Control": "no-store"}


async def alive(http: web.Request) -> web.Response:  # noqa: ARG001  # as aiohttp calls it
    """``/healthz``: the process answers."""
    return web.json_response({"status": "alive"}, headers=_CACHED)


async def ready(http: web.Request) -> web.Response:
    """``/readyz``: a key is usable, and it is not shutting down."""
    gateway = http.app[GATEWAY]
    try:
        board = await http.app[STATUS].watch.board()
    except StableError:
        return _readiness("the store can't be reached", 0)
    usable = sum(row.status.standing in _USABLE for row in board.rows.values())
    return _readiness("draining" if gateway.draining else _READY if usable else "no key is usable", usable)


def _readiness(state: str, usable: int) -> web.Response:
    status = 200 if state == _READY else 503
    return web.json_response({"status": state, "usable_keys": usable}, status=status, headers=_CACHED)


async def metrics(http: web.Request) -> web.StreamResponse:
    """``/metrics``, for those who may send requests."""
    gateway = http.app[GATEWAY]
    try:
        gateway.admit(http)
        try:
            board = await http.app[STATUS].watch.board()
            keys = [row.status for row in board.rows.values()]
        except StableError:
            keys = []  # what is counted here can be told all the same
        found = await asyncio.to_thread(gateway.metrics.text, keys)  # of thousands of keys it takes its time
        if found is None:
            raise Refused(501, "no_metrics", "Metrics need prometheus_client: pip install 'stable-openai[metrics]'.")
    except Refused as refused:
        return refused.response()
    text, kind = found
    return web.Response(body=text, headers={"Content-Type": kind, **_CACHED})


async def nothing(http: web.Request) -> web.StreamResponse:
    """Any other path."""
    return await http.app[GATEWAY].noted(http, _not_found)


async def _not_found(http: web.Request, seen: Seen) -> web.StreamResponse:  # noqa: ARG001  # as it is called
    if http.method == "CONNECT":
        told = "This is no proxy for connections: let the API's base URL be that of this gateway, with /v1 behind it."
        raise Refused(405, "method_not_allowed", told, headers={"Allow": "GET, HEAD, POST"}, closes=True)
    raise Refused(404, "not_found", "There is nothing at this path: the API is beneath /v1.")


@web.middleware
async def in_our_words(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Say what the router itself refuses, such as ``CONNECT host:443`` or ``OPTIONS *``, as all else is said."""
    try:
        return await handler(request)
    except web.HTTPClientError:
        return await nothing(request)
