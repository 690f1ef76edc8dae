"""Tokens that a call has really used, by the answer's ``usage`` or by the caller's word."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from stable_openai.errors import ConfigurationError

__all__ = ["check_tokens", "tokens_used"]

_PARTS: Final = ("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens")


def check_tokens(value: object) -> int:
    """A number of tokens, from 0 up.

    Raises:
        ConfigurationError: It is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigurationError("tokens", f"must be a whole number from 0 up, not {value!r}")
    return value


def tokens_used(answer: object) -> int | None:
    """``usage`` of an answer, in tokens: of a parsed object, a dictionary, or a response that has been read."""
    usage = _field(answer, "usage")
    if usage is None:
        usage = _field(_body_of(answer), "usage")
    total = _count(_field(usage, "total_tokens"))
    if total is not None:
        return total
    parts = [_count(_field(usage, name)) for name in _PARTS]
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) > 1 else None


def _field(holder: object, name: str) -> Any:
    return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _body_of(answer: object) -> object:
    """What a response's body holds, so far as it was read already: nothing is consumed."""
    from stable_openai.verdict.responses import is_response, read_response  # with their patterns: see there

    if not is_response(answer):
        return getattr(answer, "body", None)
    body = read_response(answer).body
    if not isinstance(body, (bytes, str)):
        return body
    if (b'"usage"' if isinstance(body, bytes) else '"usage"') not in body:  # type: ignore[operator]  # of one kind
        return None
    try:
        return json.loads(body)
    except ValueError:
        return None
