"""Errors as HTTP has them: problem+json (RFC 9457), and plain text where the first version of the service had that."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aiohttp import web

from stable_openai.service.errors import ServiceError
from stable_openai.service.texts import clean

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BodyTimeout", "BodyTooLarge", "MethodNotAllowed", "NotFound", "json_response", "problem_of", "refusal"]


class NotFound(ServiceError):
    """There is nothing at this address."""

    code, status = "NOT_FOUND", 404


class MethodNotAllowed(ServiceError):
    """The address has no such method."""

    code, status = "UNIMPLEMENTED", 405

    def __init__(self, method: str, allowed: str) -> None:
        super().__init__(f"{method:.20} is not for this address; it takes {allowed}")
        self.allowed = allowed


class BodyTimeout(ServiceError):
    """The body did not come in time."""

    code, status = "DEADLINE_EXCEEDED", 408


class BodyTooLarge(ServiceError):
    """The body is larger than the server takes."""

    code, status = "RESOURCE_EXHAUSTED", 413


def problem_of(failure: ServiceError) -> dict[str, Any]:
    """A problem as JSON; ``type`` points into the document that the server has at ``/openapi.json``."""
    return {
        "type": f"/openapi.json#/components/responses/{failure.name}",
        "title": failure.name,
        "status": failure.status,
        "detail": clean(str(failure)),
        "code": failure.code,
    }


def refusal(failure: ServiceError, *, plain: bool) -> web.Response:
    """The answer to a request that is refused."""
    headers = {}
    if failure.retry_seconds is not None:
        headers["Retry-After"] = failure.retry_seconds
    if isinstance(failure, MethodNotAllowed):
        headers["Allow"] = failure.allowed
    if failure.status == web.HTTPUnauthorized.status_code:
        headers["WWW-Authenticate"] = "Bearer"
    if plain:
        return web.Response(text=clean(failure.told), status=failure.status, headers=headers)
    return json_response(problem_of(failure), failure.status, headers, "application/problem+json")


def json_response(
    body: Mapping[str, Any],
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    content_type: str = "application/json",
) -> web.Response:
    """An answer of JSON."""
    return web.Response(
        body=json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"),
        status=status,
        headers={**(headers or {}), "Content-Type": content_type, "Cache-Control": "no-store"},
    )
