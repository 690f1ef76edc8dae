"""Pages of the web as clients: what browsers ask before a page may send a request elsewhere, and read what comes back.

With tokens, any page may: what lets it in is a token that it has to know and show, not something that the browser adds
of itself; OpenAI's own API has it the same way. Without tokens, only pages of this machine may, as whatever page the
user looks at can lead the browser to loopback. (CORS, in https://fetch.spec.whatwg.org; private networks:
https://wicg.github.io/private-network-access.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import hdrs, web

from stable_openai.serving import is_local

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["answer_preflight", "sharing"]

_V1: Final = "/v1"
_METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE"
_KEPT: Final = "7200"  # seconds, the longest that Chromium keeps such an answer
_PRIVATE: Final = "Access-Control-Request-Private-Network"


def answer_preflight(http: web.Request) -> web.Response | None:
    """The answer to a browser that asks whether a page may send a request; None: it is no such question.

    It has no token with it. ``sharing`` adds which origin may.
    """
    headers = http.headers
    if http.method != hdrs.METH_OPTIONS or hdrs.ACCESS_CONTROL_REQUEST_METHOD not in headers:
        return None
    if hdrs.ORIGIN not in headers:
        return None
    answer = web.Response(status=204)
    answer.headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = _METHODS
    answer.headers[hdrs.ACCESS_CONTROL_MAX_AGE] = _KEPT
    asked = headers.get(hdrs.ACCESS_CONTROL_REQUEST_HEADERS)
    if asked is not None:  # a star would not stand for Authorization
        answer.headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = asked
    if headers.get(_PRIVATE) == "true":
        answer.headers["Access-Control-Allow-Private-Network"] = "true"
    return answer


def sharing(*, with_all: bool) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """For ``on_response_prepare``: let the page that has sent a request to the API read the answer.

    Args:
        with_all: Whether any page may, as callers have to show a token; else only those of this machine.
    """

    async def share(http: web.Request, response: web.StreamResponse) -> None:
        origin = http.headers.get(hdrs.ORIGIN)
        if origin is None or not http.path.startswith(_V1):
            return
        if not with_all and not is_local(origin.partition("://")[2]):
            return
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = "*" if with_all else origin
        response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = "*"
        if not with_all:
            response.headers.add(hdrs.VARY, hdrs.ORIGIN)

    return share
