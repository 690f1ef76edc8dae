"""Tokens: what a call will need, by estimate, and what it really used, by the answer's ``usage``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from stable_openai.errors import ConfigurationError

__all__ = ["check_tokens", "estimate_text", "estimate_tokens", "tokens_used"]

_CHARACTERS_PER_TOKEN: Final = 4  # OpenAI's own rule of thumb for English text
_PER_MESSAGE: Final = 4  # role and separators, as OpenAI's cookbook counts chat messages
_ANSWER: Final = 256  # what an answer is taken to need where the call does not limit it
_DEPTH: Final = 6
_TEXTS: Final = ("messages", "prompt", "input", "text", "question", "instructions")
_PARTS: Final = ("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens")
_ANSWER_LIMITS: Final = ("max_completion_tokens", "max_output_tokens", "max_tokens")


def estimate_tokens(arguments: Mapping[str, Any]) -> int:
    """Tokens that a call with these arguments will need, prompt and answer together: an estimate, meant a little high.

    Args:
        arguments: The call's arguments by name, such as ``messages``, ``prompt``, ``input`` and ``max_tokens``.
    """
    tokens = 0.0
    for name in _TEXTS:
        if name in arguments:
            tokens += _tokens_in(arguments[name], _DEPTH)
    for name in _ANSWER_LIMITS:
        limit = arguments.get(name)
        if isinstance(limit, int):
            return int(tokens) + limit
    return int(tokens) + _ANSWER


def estimate_text(text: str) -> int:
    """Tokens of a text, by estimate: a letter in four of most scripts, each sign of Chinese, Japanese and Korean."""
    return int(_tokens_in(text, 0)) if text else 0


def _tokens_in(value: object, depth: int) -> float:
    if isinstance(value, str):
        wide = 0 if value.isascii() else sum(character > "\u2e7f" for character in value)
        return wide + (len(value) - wide) / _CHARACTERS_PER_TOKEN + 1
    if depth == 0:
        return 0.0
    if isinstance(value, Mapping):
        return _PER_MESSAGE + sum(_tokens_in(part, depth - 1) for part in value.values())
    if isinstance(value, (list, tuple)):
        return sum(_tokens_in(part, depth - 1) for part in value)
    return 0.0


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
