"""Lines as OpenAI's Batch API writes them into its files of answers and of errors, and what is read out of them."""

from __future__ import annotations

import array
import base64
import binascii
import hashlib
import json
import sys
from collections.abc import Mapping
from typing import Any, Final

from .endpoints import CHAT, COMPLETIONS, EMBEDDINGS, MODERATIONS, RESPONSES

__all__ = ["answer_text", "body_of", "error_text", "failure_line", "success_line", "usage_of", "vector_of"]

_ID_DIGITS: Final = 32
_REFUSED: Final = 400  # from this status on, an answer is none (RFC 9110)


def success_line(custom_id: str, status: int, request_id: str | None, body: Mapping[str, Any]) -> dict[str, Any]:
    """The line of an answer.

    Args:
        custom_id: The request's id.
        status: The answer's status.
        request_id: What the provider calls the exchange, where it says so.
        body: The answer.
    """
    return {
        "id": _line_id(custom_id),
        "custom_id": custom_id,
        "response": {"status_code": status, "request_id": request_id, "body": body},
        "error": None,
    }


def failure_line(
    custom_id: str,
    *,
    status: int | None = None,
    request_id: str | None = None,
    body: Any = None,
    code: str,
    message: str,
    reason: str,
    retriable: bool,
) -> dict[str, Any]:
    """The line of a request that failed.

    The Batch API leaves ``error`` null where the provider's own error stands in the response's body; it says there
    why there is no such answer. Ours are ``reason`` and ``retriable``.

    Args:
        custom_id: The request's id.
        status: The answer's status; None where there was no answer.
        request_id: What the provider calls the exchange, where it says so.
        body: The answer's body, as far as it could be read.
        code: A word for what happened.
        message: What happened, for people.
        reason: The same as a verdict's word.
        retriable: Whether asking again may succeed.
    """
    tells = status is not None and isinstance(body, Mapping) and bool(body.get("error"))
    return {
        "id": _line_id(custom_id),
        "custom_id": custom_id,
        "response": None if status is None else {"status_code": status, "request_id": request_id, "body": body},
        "error": None if tells else {"code": code, "message": message},
        "reason": reason,
        "retriable": retriable,
    }


def _line_id(custom_id: str) -> str:
    return "batch_req_" + hashlib.sha256(custom_id.encode("utf-8", "surrogatepass")).hexdigest()[:_ID_DIGITS]


def body_of(line: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The answer that a line holds; None in that of a failure."""
    response = line.get("response")
    if line.get("error") or not isinstance(response, Mapping):
        return None
    status, body = response.get("status_code"), response.get("body")
    answered = isinstance(status, int) and status < _REFUSED and isinstance(body, Mapping)
    return body if answered else None


def error_text(line: Mapping[str, Any]) -> str:
    """Why a request failed, for people; an empty text in the line of an answer."""
    if body_of(line) is not None:
        return ""
    response = _mapping(line.get("response"))
    for holder in (line.get("error"), _mapping(response.get("body")).get("error")):
        told = holder.get("message") if isinstance(holder, Mapping) else holder
        if isinstance(told, str) and told:
            return told
    status = response.get("status_code")
    return f"status {status}" if isinstance(status, int) else "failed"


def usage_of(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """The ``usage`` of an answer, as the provider tells it; None where it tells none."""
    usage = body.get("usage")
    return dict(usage) if isinstance(usage, Mapping) else None


def answer_text(url: str, body: Mapping[str, Any]) -> str:
    """What an answer says, in one text; empty where it says nothing.

    Of several choices, and of vectors, scores and calls of tools, it is JSON.

    Args:
        url: Where the request went.
        body: The answer.
    """
    if url == CHAT:
        return _one([_message_text(_mapping(choice.get("message"))) for choice in _mappings(body.get("choices"))])
    if url == COMPLETIONS:
        return _one([_text(choice.get("text")) for choice in _mappings(body.get("choices"))])
    if url == EMBEDDINGS:
        return _one([_text(entry.get("embedding")) for entry in _mappings(body.get("data"))])
    if url == MODERATIONS:
        return _one([_text(result) for result in _mappings(body.get("results"))])
    return _response_text(body) if url == RESPONSES else ""


def vector_of(body: Mapping[str, Any]) -> list[float] | None:
    """The vector of an embedding, whether it came as numbers or as base64; None where there is none."""
    entries = _mappings(body.get("data"))
    found = entries[0].get("embedding") if entries else None
    if isinstance(found, str):
        return _unpacked(found)
    if isinstance(found, list) and all(isinstance(number, (int, float)) for number in found):
        return [float(number) for number in found]
    return None


def _unpacked(text: str) -> list[float] | None:
    numbers = array.array("f")
    try:
        numbers.frombytes(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return None
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()


def _message_text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(part["text"] for part in _mappings(content) if isinstance(part.get("text"), str))
    for found in (content, message.get("tool_calls"), message.get("function_call"), message.get("refusal")):
        if found:
            return _text(found)
    return ""


def _response_text(body: Mapping[str, Any]) -> str:
    items = _mappings(body.get("output"))
    parts = [part for item in items if item.get("type") == "message" for part in _mappings(item.get("content"))]
    said = [part[name] for part in parts for name in ("text", "refusal") if isinstance(part.get(name), str)]
    if said:
        return "".join(said)
    calls = [item for item in items if str(item.get("type", "")).endswith("_call")]
    return _text(calls) if calls else ""


def _one(texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else _text(texts) if texts else ""


def _text(value: object) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: object) -> list[Mapping[str, Any]]:
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []
