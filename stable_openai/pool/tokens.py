"""Tokens of texts, without network: counted by the extra ``tokens``, estimated where that is not installed.

OpenAI's tables load at first use, once a process: that takes most of a second. Then a text takes a twentieth to a tenth
of a microsecond for each character, some 20 ms at 200,000 of them; and of more than that, a sample is counted.
"""

from __future__ import annotations

import bisect
import contextlib
import itertools
import math
import os
import threading
import warnings
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["estimate_text", "is_exact", "text_tokens", "tokens_together"]

_CHARACTERS_PER_TOKEN: Final = 4  # OpenAI's own rule of thumb for English text
_NEWEST: Final = "o200k_base"
_OLD: Final = "cl100k_base"
# Families of models that have the older tokenizer; those not named here, and those to come, have the newest.
_OLDER: Final = ("gpt-3.5", "gpt-35", "gpt-4-", "text-embedding-", "davinci-002", "babbage-002")
_AT_ONCE: Final = 50_000  # characters: bpe-openai takes no more than 200,000 tokens, and a character may need four
_WHOLE: Final = 200_000  # characters that are counted to the last; of more, a sample
_PIECES: Final = 64  # of a sample
_PIECE: Final = 2_000  # characters: a cut adds a token at most, a five-hundredth of that


def is_exact() -> bool:
    """Whether tokens are counted; else they are estimated."""
    return _encoder(_NEWEST) is not None


def text_tokens(text: str, model: str | None = None) -> int:
    """Tokens of a text for a model; of a long one too, and that takes its time."""
    return _counter(model)(text)


def tokens_together(texts: Sequence[str], model: str | None = None) -> int:
    """Tokens of texts together, for a model.

    Beyond 200,000 characters a sample is counted, 64 pieces spread evenly over all of them, and the rest is taken to be
    alike: for prose, code and a mixture of scripts that is right to one hundredth.
    """
    count = _counter(model)
    ends = list(itertools.accumulate(map(len, texts)))
    length = ends[-1] if ends else 0
    if length <= _WHOLE:
        return sum(map(count, texts))
    counted = sampled = 0
    for number in range(_PIECES):
        at = number * length // _PIECES
        index = bisect.bisect_right(ends, at)
        start = at - ends[index] + len(texts[index])
        piece = texts[index][start : start + _PIECE]
        counted += count(piece)
        sampled += len(piece)
    return math.ceil(counted * length / sampled)


def estimate_text(text: str) -> int:
    """Tokens of a text, by estimate: a letter in four of most scripts, each sign of Chinese, Japanese and Korean."""
    if not text:
        return 0
    wide = 0 if text.isascii() else sum(character > "\u2e7f" for character in text)
    return int(wide + (len(text) - wide) / _CHARACTERS_PER_TOKEN + 1)


def _counter(model: str | None) -> Callable[[str], int]:
    encode = _encoder(_encoding_of(model))
    if encode is None:
        return estimate_text
    return lambda text: sum(len(encode(text[at : at + _AT_ONCE])) for at in range(0, len(text), _AT_ONCE))


def _encoding_of(model: str | None) -> str:
    """The tokenizer of a model, by its family."""
    name = (model or "").rpartition("/")[2]  # some providers call it openai/gpt-4o
    name = name.removeprefix("ft:")  # a model of one's own is called ft:gpt-3.5-turbo-0125:…
    return _OLD if name.partition(":")[0] == "gpt-4" or name.startswith(_OLDER) else _NEWEST


# -- what counts

_encoders: Final[dict[str, Callable[[str], Sequence[int]] | None]] = {}
_making = threading.Lock()


def _encoder(name: str) -> Callable[[str], Sequence[int]] | None:
    """One of OpenAI's tokenizers as ``bpe-openai`` carries them with it: nothing is fetched, and each is made once."""
    try:
        return _encoders[name]
    except KeyError:
        with _making:
            if name not in _encoders:
                _encoders[name] = _make(name)
        return _encoders[name]


def _make(name: str) -> Callable[[str], Sequence[int]] | None:
    try:
        with _older_ways():
            from bpe_openai import get_encoding  # type: ignore[import-not-found,unused-ignore]  # an extra

            made: Any = get_encoding(name)
    except ImportError:
        return None
    encode: Callable[[str], Sequence[int]] = made.encode_ordinary
    return encode


@contextlib.contextmanager
def _older_ways() -> Iterator[None]:
    """It reads its tables in a way that Python has deprecated: that is nothing to trouble a user with."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def _renew_lock() -> None:
    global _making  # noqa: PLW0603  # a thread that is not in the child may have held it
    _making = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
