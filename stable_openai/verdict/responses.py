"""Response objects of any HTTP library, read by shape: only what has already been received is looked at."""

from __future__ import annotations

import inspect
import io
from collections.abc import Mapping
from typing import Any, Final

from stable_openai.verdict.answer import Answer, Headers

_MISSING: Final = object()
# Where libraries keep a body that has been read: requests, httpx and httpx2 (_content), aiohttp and urllib3 (_body).
_BODY_PLACES: Final = (
    "_content", "_body", "json_body", "body", "http_body", "content", "text", "data", "detail", "details",
    "response_json",
)  # fmt: skip
_STATUS_NAMES: Final = ("status_code", "http_status", "status", "code", "http_status_code", "statusCode")
_HEADER_NAMES: Final = ("headers", "http_headers", "response_headers", "hdrs")


def attribute(obj: object, name: str) -> Any:
    """An attribute, or None: a foreign property may raise anything."""
    try:
        return getattr(obj, name, None)
    except Exception:  # noqa: BLE001
        return None


def stored(obj: object, name: str) -> Any:
    """An attribute that is stored, not computed: a computed one may block, or consume a stream."""
    try:
        found = inspect.getattr_static(obj, name, _MISSING)
    except Exception:  # noqa: BLE001
        return None
    if found is _MISSING or callable(found) or isinstance(found, (property, classmethod, staticmethod)):
        return None
    if hasattr(type(found), "__get__"):
        if not inspect.ismemberdescriptor(found) and not inspect.isgetsetdescriptor(found):
            return None
        return attribute(obj, name)  # a slot
    return found


def status_of(obj: object) -> int | None:
    """The HTTP status that an object carries, under any of its usual names."""
    for name in _STATUS_NAMES:
        status = as_status(attribute(obj, name))
        if status is not None:
            return status
    return None


def as_status(value: object) -> int | None:
    """A number that can be an HTTP status."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isdigit():  # noqa: PLR2004
        value = int(value)
    return int(value) if isinstance(value, int) and 100 <= value < 600 else None  # noqa: PLR2004


def headers_of(obj: object) -> Any:
    """The headers that an object carries, None where it has no such attribute."""
    for name in _HEADER_NAMES:
        found = attribute(obj, name)
        if found is not None and not callable(found) and (isinstance(found, Mapping) or hasattr(found, "items")):
            return found
    return None


def body_of(obj: object) -> Any:
    """The body, as far as it has been read."""
    for name in _BODY_PLACES:
        found = stored(obj, name)
        if isinstance(found, (bytes, bytearray)) or (isinstance(found, (str, Mapping, list)) and found):
            return bytes(found) if isinstance(found, bytearray) else found
    handle = attribute(obj, "fp")
    if isinstance(handle, io.BytesIO):  # read into memory already
        return handle.getvalue()
    return None


def is_response(obj: object) -> bool:
    """Whether an object is a response: it has a numeric status and headers."""
    return (
        not isinstance(obj, (BaseException, type, Mapping))
        and status_of(obj) is not None
        and headers_of(obj) is not None
    )


def read_response(obj: object) -> Answer:
    """Reads a response object; openai's raw responses hold the real one inside."""
    inner = stored(obj, "http_response")
    if inner is not None and status_of(inner) is not None:
        obj = inner
    return Answer(status_of(obj), Headers(headers_of(obj)), body_of(obj), source=obj)


def is_parsed(obj: object) -> bool:
    """Whether an object is a parsed answer of a provider's library: a pydantic model or openai 0.28's mapping."""
    return hasattr(type(obj), "model_fields") and hasattr(type(obj), "model_dump")


def error_in_parsed(obj: object) -> Any:
    """The error that a parsed answer holds although its status was 200, else None."""
    error = attribute(obj, "error")
    if error is None and isinstance(extra := attribute(obj, "model_extra"), Mapping):
        error = extra.get("error")
    if not error or isinstance(error, (bool, int)):
        return None
    if isinstance(error, (str, Mapping)):
        return {"error": error}
    plain = {
        name: value for name in ("code", "message", "type", "param") if (value := attribute(error, name)) is not None
    }
    return {"error": plain} if plain.get("message") or plain.get("code") else None
