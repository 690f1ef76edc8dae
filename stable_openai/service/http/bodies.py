"""Reading a request's body: a JSON object, with what the caller may say in it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from stable_openai.service.errors import InvalidArgument

from .problems import BodyTimeout

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["flag_in", "object_in", "text_in"]

_SECONDS: Final = 30.0  # for a body to come


async def object_in(request: web.Request, known: Collection[str] | None = None) -> dict[str, Any]:
    """The JSON object in a body, whatever its type says: ``curl -d`` calls it a form.

    Args:
        request: The request.
        known: The fields that it may have; None: whoever reads them looks himself.

    Raises:
        InvalidArgument: It is none, or has a field that is unknown.
        BodyTimeout: It did not come in time.
        web.HTTPRequestEntityTooLarge: It is too large.
    """
    try:
        raw = await asyncio.wait_for(request.read(), _SECONDS)
    except (TimeoutError, asyncio.TimeoutError):
        raise BodyTimeout(f"the body did not come within {_SECONDS:.0f} s") from None
    except web.HTTPException:
        raise
    except Exception:  # noqa: BLE001  # what aiohttp raises for a broken encoding, by its version
        raise InvalidArgument("body: can't be read") from None
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise InvalidArgument("body: is no valid JSON") from None
    if not isinstance(body, dict):
        raise InvalidArgument("body: must be a JSON object")
    if known is not None:
        for name in body:
            if name not in known:
                raise InvalidArgument(f"{name!r:.40}: is unknown; known are {', '.join(known)}")
    return body


def text_in(body: Mapping[str, Any], name: str) -> str:
    """A text in a body; empty where it is missing.

    Raises:
        InvalidArgument: It is something else.
    """
    value = body.get(name, "")
    if not isinstance(value, str):
        raise InvalidArgument(f"{name}: must be text")
    return value


def flag_in(body: Mapping[str, Any], name: str) -> bool:
    """A yes or no in a body; no where it is missing.

    Raises:
        InvalidArgument: It is something else.
    """
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise InvalidArgument(f"{name}: must be true or false")
    return value
