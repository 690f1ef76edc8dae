"""The page's changes as server-sent events."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from .assets import HEADERS
from .denied import Denied
from .page import Page

if TYPE_CHECKING:
    from collections.abc import Callable

    from .views import View
    from .watching import Watch

__all__ = ["stream"]

_SLOW: Final = 30.0  # seconds that a listener may take for what it was sent
_RETRY: Final = b"retry: 3000\n\n"


async def stream(
    http: web.Request, watch: Watch, view: View, csrf: str, may_stay: Callable[[], bool]
) -> web.StreamResponse:
    """Tell a page of changes until it leaves, the gateway ends, or its login does.

    Args:
        http: Its request.
        watch: What is known of the pool.
        view: Which keys it shows.
        csrf: What its forms hold.
        may_stay: Whether its login still holds.

    Raises:
        Denied: There are enough of them already.
    """
    listener = watch.listen()
    if listener is None:
        told = "As many status pages as there may be are kept up to date already: load this one again now and then."
        raise Denied(503, "Too many pages", told, headers={"Retry-After": "30"})
    try:
        response = web.StreamResponse(
            headers={**HEADERS, "Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
        )
        await response.prepare(http)
        page = Page(view, csrf)
        await _send(response, _RETRY)
        while not watch.ended and may_stay():
            listener.news.clear()
            board = await watch.latest()
            await _send(response, _event("update", page.differences(board, watch.said_since(listener))))
            await listener.news.wait()
        why = "The gateway has ended." if watch.ended else "Logged out: load the page again."
        await _send(response, _event("over", {"why": why}))
    except (ConnectionError, asyncio.TimeoutError):  # it has left, or reads no more
        if http.transport is not None:
            http.transport.abort()
    finally:
        watch.leave(listener)
    return response


async def _send(response: web.StreamResponse, data: bytes) -> None:
    await asyncio.wait_for(response.write(data), _SLOW)


def _event(kind: str, data: dict[str, Any]) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(data, allow_nan=False)}\n\n".encode()
