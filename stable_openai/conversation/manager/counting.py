"""Tokens of what is sent, without network; and whether their number is exact."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from stable_openai.pool.needs import message_tokens
from stable_openai.pool.tokens import is_exact, text_tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stable_openai.conversation.content import Message

__all__ = ["is_counted", "prompt_tokens"]

# OpenAI's cookbook, "How to count tokens with tiktoken": each answer is primed with three tokens, a name costs one more
# than itself; true of the models named here.
_PRIMING: Final = 3
_NAME: Final = 1
_KNOWN: Final = re.compile(r"gpt-(3\.5|35|4)(-turbo|[-.o]|$)|chatgpt-4o|gpt-4\.")
_PLAIN: Final = frozenset({"role", "content", "name"})
_ROLES: Final = frozenset({"system", "user", "assistant"})
_LONG: Final = 50_000  # characters; a longer text is counted in pieces, where a token across a cut counts twice


def prompt_tokens(messages: Iterable[Message], model: str) -> int:
    """Tokens that these messages cost a model as a prompt; 0 where there are none."""
    base = _base_of(model)
    counts = [message_tokens(message, base) + _name_tokens(message, base) for message in messages]
    return sum(counts) + _PRIMING if counts else 0


def is_counted(messages: Iterable[Message], model: str) -> bool:
    """Whether that number is exact: counted by the extra ``tokens``, for a model and messages whose rules are known."""
    return is_exact() and _KNOWN.match(_base_of(model)) is not None and all(map(_is_plain, messages))


def _base_of(model: str) -> str:
    """The model that a fine-tuned one was made of: ``ft:gpt-4o-mini:lab::id``."""
    return model.split(":")[1] if model.startswith("ft:") else model


def _name_tokens(message: Mapping[str, object], model: str) -> int:
    name = message.get("name")
    return _NAME + text_tokens(name, model) if isinstance(name, str) else 0


def _is_plain(message: Mapping[str, object]) -> bool:
    """Whether a message is nothing but text: what images, tools and other parts cost is not published to the token."""
    plain = set(message) <= _PLAIN and message.get("role") in _ROLES
    content = message.get("content")
    return plain and isinstance(content, str) and len(content) <= _LONG
