"""Tokens of messages, without network: counted by the extra ``tokens``, estimated where that is not installed."""

from __future__ import annotations

import contextlib
import functools
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from stable_openai.pool.usage import estimate_text

if TYPE_CHECKING:
    from .content import Message

__all__ = ["is_exact", "message_tokens", "text_tokens"]

_PER_MESSAGE: Final = 4  # role and separators, as OpenAI's cookbook counts chat messages
_PER_IMAGE: Final = 765  # OpenAI's vision guide: 85, and 170 for each of the 4 tiles of 512 pixels of a large image
# Families of models by their tokenizer; those not named here, and those to come, have the newest.
_OLDER: Final = ("gpt-3.5", "gpt-35", "gpt-4-", "text-embedding-")
_AT_ONCE: Final = 50_000  # characters: bpe-openai takes no more than 200,000 tokens, and a character may need four


def text_tokens(text: str, model: str | None = None) -> int:
    """Tokens of a text for a model."""
    return _counter(model)(text)


def message_tokens(message: Message, model: str | None = None) -> int:
    """Tokens of a message: its texts, its tool calls, and what roles and separators take."""
    count = _counter(model)
    tokens = _PER_MESSAGE
    content = message.get("content")
    for part in [content] if isinstance(content, str) else content or ():
        tokens += _part_tokens(part, count)
    for name in ("tool_calls", "function_call"):
        if message.get(name):
            tokens += count(json.dumps(message[name], ensure_ascii=False))
    return tokens


def _part_tokens(part: Any, count: Callable[[str], int]) -> int:
    if isinstance(part, str):
        return count(part)
    if isinstance(part, Mapping) and isinstance(part.get("text"), str):
        return count(part["text"])
    return _PER_IMAGE


def is_exact() -> bool:
    """Whether tokens are counted; else they are estimated."""
    return _encodings() is not None


def _counter(model: str | None) -> Callable[[str], int]:
    get_encoding = _encodings()
    if get_encoding is None:
        return estimate_text
    model = (model or "").removeprefix("ft:")  # a model of one's own is called ft:gpt-3.5-turbo-0125:…
    older = model.partition(":")[0] == "gpt-4" or model.startswith(_OLDER)
    encode = get_encoding("cl100k_base" if older else "o200k_base").encode_ordinary
    return lambda text: sum(len(encode(text[at : at + _AT_ONCE])) for at in range(0, len(text), _AT_ONCE))


@functools.cache
def _encodings() -> Callable[[str], Any] | None:
    """OpenAI's tokenizers as ``bpe-openai`` carries them with it: nothing is fetched."""
    try:
        with _older_ways():
            from bpe_openai import get_encoding  # type: ignore[import-not-found,unused-ignore]  # an extra
    except ImportError:
        return None

    @functools.cache
    def encoding(name: str) -> Any:
        with _older_ways():
            return get_encoding(name)

    return encoding


@contextlib.contextmanager
def _older_ways() -> Iterator[None]:
    """It reads its tables in a way that Python has deprecated: that is nothing to trouble a user with."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
