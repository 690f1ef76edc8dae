"""Conversations as files: UTF-8 JSON, written beside and renamed, so that a file is whole or not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stable_openai.beside import PRIVATE, written_beside
from stable_openai.errors import ConfigurationError

if TYPE_CHECKING:
    import os

    from stable_openai.conversation.content import Message

__all__ = ["json_text", "read", "write", "write_text"]

_FORMAT: Final = 1
_LARGEST: Final = 1 << 30  # bytes of a file that is read at once


def write(path: str | os.PathLike[str], messages: list[Message], pinned: list[int]) -> None:
    """Write a conversation.

    Raises:
        OSError: The file can't be written; one that was there stays as it was.
    """
    content: Any = messages  # as the seeds have it; with pins, there is more to tell
    if pinned:
        content = {"format": _FORMAT, "messages": messages, "pinned": pinned}
    write_text(path, json_text(content, indent=1) + "\n")


def json_text(value: object, *, indent: int | None = None) -> str:
    """JSON for people to read: as UTF-8 has it, and escaped only where there is half of a character in it.

    Models at times break off with half of a surrogate pair, which has no UTF-8.

    Raises:
        TypeError: JSON can't hold it.
        ValueError: It holds itself.
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, indent=indent)
    return text


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a file, whole or not at all. A new one is its owner's alone: what is said is nobody else's business.

    Raises:
        OSError: It can't be written; one that was there stays as it was.
    """
    with written_beside(path, mode=PRIVATE) as beside:
        beside.write_text(text, encoding="utf-8")


def read(path: str | os.PathLike[str]) -> tuple[list[Any], list[Any]]:
    """Read a conversation: its messages and the places of its pins, not checked any further.

    Raises:
        ConfigurationError: The file holds no conversation.
        OSError: It can't be read.
    """
    file = Path(path)
    if file.stat().st_size > _LARGEST:
        raise ConfigurationError("file", f"{file} is larger than {_LARGEST >> 20} MB")
    try:
        content: Any = json.loads(file.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ConfigurationError("file", f"{file} is no UTF-8 JSON: {error}") from None
    pinned: Any = []
    if isinstance(content, dict):
        if content.get("format") != _FORMAT:
            raise ConfigurationError("file", f"{file} has the format {content.get('format')!r}; known is {_FORMAT}")
        content, pinned = content.get("messages"), content.get("pinned", [])
    if not isinstance(content, list) or not isinstance(pinned, list):
        raise ConfigurationError("file", f"{file} holds no list of messages")
    return content, pinned
