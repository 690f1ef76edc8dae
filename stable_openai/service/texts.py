"""Texts that come from outside: how long they may be, and that they have UTF-8."""

from __future__ import annotations

from .errors import InvalidArgument

__all__ = ["check_prompt", "check_text", "clean"]


def check_text(text: str, where: str, most: int) -> None:
    """Refuse a text that is too long, or that has no UTF-8.

    Raises:
        InvalidArgument: It is.
    """
    if len(text) > most:
        raise InvalidArgument(f"{where}: has {len(text)} characters; the most is {most}")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidArgument(f"{where}: holds half of a surrogate pair, which is no text") from None


def check_prompt(prompt: str, most: int) -> None:
    """Refuse a prompt that is missing or too long.

    Raises:
        InvalidArgument: It is.
    """
    if not prompt:
        raise InvalidArgument("prompt is required")
    check_text(prompt, "prompt", most)


def clean(text: str) -> str:
    """A text that has UTF-8: half of a surrogate pair, which JSON can bring, is replaced."""
    return text.encode("utf-8", "replace").decode()
