"""Tokens of a request, by estimate or by the extra ``tokens``; and those that an answer's ``usage`` tells."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from stable_openai.pool.needs import ANSWER, message_tokens
from stable_openai.pool.tokens import text_tokens

from .endpoints import CHAT, COMPLETIONS, EMBEDDINGS, MODERATIONS, RESPONSES, is_count, limit_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["answer_tokens", "prompt_tokens", "used"]

_SHORT: Final = 16  # the old completions' own default
_BEFORE_ANSWER: Final = 3  # what primes the answer, as OpenAI's cookbook counts chats
_ABSURD: Final = 1 << 50  # no provider has counted so many tokens, and no table has a place for more
_SCHEMAS: Final = ("tools", "functions", "response_format", "text")  # what a model is given to read besides


def prompt_tokens(url: str, body: Mapping[str, Any]) -> int:
    """Tokens that a request has the model read. Moderations are free, and count none."""
    if url == MODERATIONS:
        return 0
    model = body.get("model")
    if url in {EMBEDDINGS, COMPLETIONS}:
        return _tokens_in(body.get("input" if url == EMBEDDINGS else "prompt"), model)
    tokens = _BEFORE_ANSWER
    for name in _SCHEMAS:
        if isinstance(body.get(name), (dict, list)):
            tokens += text_tokens(json.dumps(body[name], ensure_ascii=False), model)
    if url == RESPONSES:
        tokens += _tokens_in(body.get("instructions"), model)
    said = body.get("messages" if url == CHAT else "input") or ()
    return tokens + (text_tokens(said, model) if isinstance(said, str) else sum(_item(item, model) for item in said))


def _item(item: object, model: str | None) -> int:
    """A message, or another item that the Responses API takes: a call, its output, a reference."""
    if isinstance(item, dict) and (isinstance(item.get("content"), (str, list)) or "tool_calls" in item):
        return message_tokens(item, model)
    return text_tokens(json.dumps(item, ensure_ascii=False), model)


def _tokens_in(value: object, model: str | None) -> int:
    """Of a text, of texts, or of what is tokens already."""
    if isinstance(value, str):
        return text_tokens(value, model)
    if isinstance(value, list):
        return sum(1 if isinstance(part, int) else _tokens_in(part, model) for part in value)
    return 0


def answer_tokens(url: str, body: Mapping[str, Any]) -> int:
    """The most tokens that a request lets the model write; a guess where it sets no limit."""
    if url in {EMBEDDINGS, MODERATIONS}:
        return 0
    limit = limit_of(url, body)
    if limit is None:
        limit = _SHORT if url == COMPLETIONS else ANSWER
    answers = max([body[name] for name in ("n", "best_of") if is_count(body.get(name))], default=1)
    prompts = body.get("prompt") if url == COMPLETIONS else None
    if isinstance(prompts, list) and prompts and not isinstance(prompts[0], int):
        answers *= len(prompts)
    return limit * answers


def used(usage: Mapping[str, Any]) -> tuple[int, int] | None:
    """Tokens of prompt and answer that ``usage`` tells; None where it tells nothing."""
    prompt = _first(usage, "prompt_tokens", "input_tokens")
    answer = _first(usage, "completion_tokens", "output_tokens")
    total = _first(usage, "total_tokens")
    if prompt is None and answer is None and total is None:
        return None
    if prompt is None:
        prompt = 0 if total is None else max(0, total - (answer or 0))
    # Some providers count what a model thinks in the total alone.
    return prompt, max(answer or 0, (total or 0) - prompt)


def _first(usage: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        value = usage.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _ABSURD:
            return value
    return None
