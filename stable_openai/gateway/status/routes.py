"""The status page's state, and where it is found."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from stable_openai.gateway.gateway import GATEWAY
from stable_openai.gateway.seen import LEFT, Seen, log_access, size_of

from . import actions
from .assets import HEADERS
from .denied import Denied
from .document import denied_page, login_page
from .events import stream
from .guard import CALLER, Guard
from .page import status_page
from .removal import Removal
from .settings import StatusOptions
from .views import View
from .watching import Watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from stable_openai.gateway.gateway import Gateway
    from stable_openai.serving import Siblings

__all__ = ["STATUS", "Status", "add_status_page"]

_logger = logging.getLogger("stable_openai.gateway")
_JSON: Final = "application/json"
_INTERNAL: Final = "The gateway itself has failed at this. Its log says where."


class Status:
    """What an application holds for its status page.

    Attributes:
        guard: Who may come in.
        watch: What is known of the pool.
        removal: How keys are removed.
    """

    def __init__(self, gateway: Gateway, options: StatusOptions, siblings: Siblings | None) -> None:
        self.guard = Guard(gateway, options, gateway.pool.clock, siblings)
        self.watch = Watch(gateway.pool, options)
        self.removal = Removal(gateway.pool, siblings)


STATUS: Final = web.AppKey("status", Status)


def add_status_page(
    app: web.Application, options: StatusOptions | None = None, siblings: Siblings | None = None
) -> None:
    """Give a gateway's application ``/status``, before it is served.

    Args:
        app: An application that has its ``GATEWAY``.
        options: How the page behaves.
        siblings: The other workers that serve the page at the same address, if any: logins, logouts and removals hold
            in all of them.

    Raises:
        RuntimeError: It is served already.
    """
    app[STATUS] = Status(app[GATEWAY], options or StatusOptions(), siblings)
    app.cleanup_ctx.append(_running)
    app.on_shutdown.append(_end)
    for method, path, handler in (
        ("GET", "/status", _page),
        ("GET", "/status.json", _json),
        ("GET", "/status/events", _events),
        ("POST", "/status/login", actions.log_in),
        ("POST", "/status/logout", actions.log_out),
        ("GET", "/status/keys/{name}/remove", actions.ask),
        ("POST", "/status/keys/{name}/{what:revive|park|remove}", actions.act),
    ):
        app.router.add_route(method, path, _answering(handler))
    for path, handler in (("/status", _page), ("/status.json", _json)):
        app.router.add_route("HEAD", path, _answering(handler))


async def _running(app: web.Application) -> AsyncIterator[None]:
    task = asyncio.ensure_future(app[STATUS].watch.run())
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _end(app: web.Application) -> None:
    app[STATUS].watch.end()


def _answering(handler: Callable[[web.Request, Status], Awaitable[web.StreamResponse]]) -> Any:
    """Make a route of a handler: whatever goes wrong, there is an answer that says what to do."""

    async def answer(http: web.Request) -> web.StreamResponse:
        try:
            response = await handler(http, http.app[STATUS])
        except Denied as denied:
            response = _denied(http, denied)
        except (web.HTTPException, ConnectionError):
            raise
        except Exception as error:  # noqa: BLE001  # its words may hold anything
            _logger.error("the status page has failed: %s", type(error).__name__)  # noqa: TRY400
            response = _denied(http, Denied(500, "This has failed", _INTERNAL))
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    async def logged(http: web.Request) -> web.StreamResponse:
        seen = Seen(http)
        seen.status = LEFT
        CALLER.set("")
        try:
            response = await answer(http)
            seen.status, seen.sent = response.status, size_of(response)
            return response
        finally:
            seen.token = CALLER.get()
            log_access(seen)

    return logged


def _denied(http: web.Request, denied: Denied) -> web.Response:
    if wants_json(http) or http.path == "/status/events":
        error = {"error": {"message": str(denied), "code": denied.title.lower().replace(" ", "_")}}
        response = web.json_response(error, status=denied.status, headers=denied.headers)
    else:
        page = denied_page(denied.title, str(denied))
        response = web.Response(text=page, content_type="text/html", status=denied.status, headers=denied.headers)
    if denied.closes:
        response.force_close()
    return response


def wants_json(http: web.Request) -> bool:
    """Whether the answer is for a program."""
    return http.path.endswith(".json") or _JSON in http.headers.get("Accept", "")


async def _page(http: web.Request, status: Status) -> web.StreamResponse:
    caller = status.guard.look_at(http)
    if not caller.name:
        if caller.bearer:
            status.guard.enter(http)
        text = login_page(caller.csrf, for_admins=status.guard.for_admins)
        response = web.Response(text=text, content_type="text/html", status=401)
        response.headers["WWW-Authenticate"] = "Bearer"
    else:
        board = await status.watch.board()
        text = status_page(
            board,
            View.of(http.query),
            caller.csrf,
            logged_in=caller.name if status.guard.asks else "",
            again="again" in http.query,
            removed=http.query.get("removed", ""),
        )
        response = web.Response(text=text, content_type="text/html")
    if caller.new:
        status.guard.give(http, response, caller.identity)
    return response


async def _json(http: web.Request, status: Status) -> web.StreamResponse:
    status.guard.enter(http)
    board = await status.watch.board()
    return web.json_response(board.data(), dumps=_dump)


def _dump(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, allow_nan=False)


async def _events(http: web.Request, status: Status) -> web.StreamResponse:
    caller = status.guard.enter(http)

    def may_stay() -> bool:
        return caller.bearer or not status.guard.asks or status.guard.sessions.find(caller.identity) is not None

    return await stream(http, status.watch, View.of(http.query), caller.csrf, may_stay)
