"""What every HTTP request goes through: who asks, from where, how many at once; and every failure on its way back."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from stable_openai.service.errors import ForeignOrigin, ServiceError, TooManyRequests
from stable_openai.serving import is_local

from .problems import BodyTooLarge, MethodNotAllowed, NotFound, refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp.typedefs import Middleware

    from stable_openai.service.callers import Callers

__all__ = ["authorization_of", "gate"]

_logger: Final = logging.getLogger("stable_openai.service.http")
_PLAIN: Final = frozenset({"/ask", "/renew"})  # these answer in plain text
_OPEN: Final = frozenset({"/healthz", "/openapi.json"})  # these want no token


def gate(callers: Callers, max_requests: int) -> Middleware:
    """Make the middleware.

    Args:
        callers: Who may ask.
        max_requests: The most requests at once.
    """
    running = 0

    @web.middleware
    async def through(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        nonlocal running
        running += 1
        try:
            if running > max_requests:
                raise TooManyRequests("the server has as many requests as it takes at once", retry_after=1.0)
            _check(request, callers)
            response = await handler(request)
        except Exception as error:  # noqa: BLE001  # no failure reaches a client as it is
            failure = _told_of(error, request)
            _logger.info("%s %s: %d %s", request.method, _route(request), failure.status, failure.name)
            return refusal(failure, plain=request.path in _PLAIN)
        finally:
            running -= 1
        _logger.debug("%s %s: %d", request.method, _route(request), response.status)
        return response

    return through


def authorization_of(request: web.Request) -> bytes:
    """What a request shows to be let in."""
    return request.headers.get("Authorization", "").encode("utf-8", "replace")


def _check(request: web.Request, callers: Callers) -> None:
    if not callers.tokens:
        _check_origin(request)
    elif request.path not in _OPEN:
        callers.name_of(authorization_of(request))


def _check_origin(request: web.Request) -> None:
    """Refuse what a browser sends for a page of the web: it may send to loopback, and with any type of body."""
    host, origin = request.headers.get("Host"), request.headers.get("Origin")
    if host is not None and not is_local(host):
        raise ForeignOrigin("the name by which this server is called does not stand for this machine")
    if origin is not None and not is_local(origin.partition("://")[2]):
        raise ForeignOrigin("a page of another site may not use this server")


def _told_of(error: Exception, request: web.Request) -> ServiceError:
    """What a client is told of a failure."""
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return BodyTooLarge("the body is larger than this server takes")
    if isinstance(error, web.HTTPMethodNotAllowed):
        return MethodNotAllowed(request.method, ", ".join(sorted(error.allowed_methods)))
    if isinstance(error, web.HTTPNotFound):
        return NotFound("there is nothing at this address: see /openapi.json")
    frames = "".join(traceback.format_tb(error.__traceback__)[-3:])
    _logger.error("%s failed: %s\n%s", _route(request), type(error).__qualname__, frames)  # its text may hold a secret
    return ServiceError("internal error")


def _route(request: web.Request) -> Any:
    """The route that a request has taken: its path would tell a session's id, which lets one in."""
    resource = request.match_info.route.resource
    return "(none)" if resource is None else resource.canonical
