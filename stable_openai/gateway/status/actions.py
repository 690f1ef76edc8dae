"""What the page's buttons do."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from aiohttp import web
from yarl import URL

from stable_openai.gateway.gateway import GATEWAY

from .denied import Denied
from .document import confirm_page, login_page
from .sessions import new_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .board import Board, Row
    from .guard import Caller
    from .routes import Status

__all__ = ["act", "ask", "log_in", "log_out"]

_logger = logging.getLogger("stable_openai.gateway")
_HOME: Final = "/status"
_DONE: Final = {"revive": "was revived", "park": "was parked", "remove": "was removed"}


async def log_in(http: web.Request, status: Status) -> web.StreamResponse:
    """``POST /status/login``: a token against a cookie."""
    guard = status.guard
    caller = guard.look_at(http)
    form = await guard.read_form(http, caller)
    if not guard.asks:
        return _to_home()
    try:
        identity = guard.log_in(http, form.get("token", ""))
    except Denied as denied:
        page = login_page(caller.csrf, str(denied), for_admins=guard.for_admins)
        return web.Response(text=page, content_type="text/html", status=denied.status, headers=denied.headers)
    session = guard.sessions.find(identity)
    _logger.info("logged in at the status page: %s", session.token if session is not None else "")
    response = _to_home()
    guard.give(http, response, identity)
    return response


async def log_out(http: web.Request, status: Status) -> web.StreamResponse:
    """``POST /status/logout``."""
    caller = status.guard.enter(http)
    await status.guard.read_form(http, caller)
    status.guard.sessions.end(caller.identity)
    response = _to_home()
    status.guard.give(http, response, new_id())  # other processes may know the old one still
    return response


async def ask(http: web.Request, status: Status) -> web.StreamResponse:
    """``GET /status/keys/{name}/remove``: whether it is really to be removed."""
    caller = status.guard.enter(http)
    row = await _row_of(http, status)
    response = web.Response(text=confirm_page(row, caller.csrf), content_type="text/html")
    if caller.new:
        status.guard.give(http, response, caller.identity)
    return response


async def act(http: web.Request, status: Status) -> web.StreamResponse:
    """``POST /status/keys/{name}/revive`` and its like."""
    caller = status.guard.enter(http)
    form = await status.guard.read_form(http, caller)
    row = await _row_of(http, status)
    what = http.match_info["what"]
    if what == "remove" and form.get("sure") != "yes" and not caller.bearer:
        return web.Response(text=confirm_page(row, caller.csrf), content_type="text/html")
    name = row.status.name
    try:
        if what == "remove":
            await status.removal.remove(name)
        else:
            pool = http.app[GATEWAY].pool
            await asyncio.to_thread(pool.revive if what == "revive" else pool.park, name)
    except KeyError:
        raise _no_such_key() from None
    await status.watch.look()
    _say(caller, what, name)
    if "application/json" in http.headers.get("Accept", "") or caller.bearer:
        return web.json_response({"key": name, "done": what, "said": f"{name} {_DONE[what]}."})
    return _to_home(http, {"removed": name} if what == "remove" else {})


def _say(caller: Caller, what: str, name: str) -> None:
    _logger.info("%s %s at the status page, by %s", name, _DONE[what], caller.name)


async def _row_of(http: web.Request, status: Status) -> Row:
    """The key of a path, by its name, or by its id in the page where no path can hold its name."""
    name = http.match_info["name"]
    row = _find(await status.watch.board(), name) or _find(await status.watch.look(), name)
    if row is None:
        raise _no_such_key()
    return row


def _find(board: Board, name: str) -> Row | None:
    return board.rows.get(name) or next((row for row in board.rows.values() if row.id == name), None)


def _no_such_key() -> Denied:
    told = "There is no key of this name. It may have been removed meanwhile: load the status page again."
    return Denied(404, "No such key", told)


def _to_home(http: web.Request | None = None, told: Mapping[str, str] | None = None) -> web.Response:
    """See other, so that loading it again does nothing twice: the page that the form was on, where that is known.

    Args:
        http: The request with the form.
        told: What the page is to say besides, as its query has it.
    """
    came = _url_of(http.headers.get("Referer", "")) if http is not None else URL()
    asked = came.raw_query_string if came.path == _HOME else urlencode(told or {})
    return web.Response(status=303, headers={"Location": f"{_HOME}?{asked}" if asked else _HOME})


def _url_of(text: str) -> URL:
    try:
        return URL(text)
    except ValueError:
        return URL()
