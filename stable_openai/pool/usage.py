"""Tokens: what a call will need, by estimate, and what it really used, by the answer's ``usage``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["estimate_tokens", "tokens_used"]

_CHARACTERS_PER_TOKEN: Final = 4  # OpenAI's own rule of thumb for English text
_PER_MESSAGE: Final = 4  # role and separators, as OpenAI's cookbook counts chat messages
_ANSWER: Final = 256  # what an answer is taken to need where the call does not limit it
_DEPTH: Final = 6
_TEXTS: Final = ("messages", "prompt", "input", "text", "question", "instructions")
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


def tokens_used(answer: object) -> int | None:
    """``usage.total_tokens`` of an answer: a parsed object, a dictionary, or a response whose JSON is already read."""
    usage = answer.get("usage") if isinstance(answer, Mapping) else getattr(answer, "usage", None)
    if usage is None:
        body = getattr(answer, "body", None)
        usage = body.get("usage") if isinstance(body, Mapping) else None
    total = usage.get("total_tokens") if isinstance(usage, Mapping) else getattr(usage, "total_tokens", None)
    return total if isinstance(total, int) and not isinstance(total, bool) and total >= 0 else None
