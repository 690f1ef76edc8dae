"""Conversations as files: UTF-8 JSON, written beside and renamed, so that a file is whole or not there."""

from __future__ import annotations

import json
import os
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stable_openai.errors import ConfigurationError

if TYPE_CHECKING:
    from stable_openai.conversation.content import Message

__all__ = ["read", "write", "write_text"]

_FORMAT: Final = 1
_LARGEST: Final = 1 << 30  # bytes of a file that is read at once
_PRIVATE: Final = 0o600  # what is said is nobody else's business


def write(path: str | os.PathLike[str], messages: list[Message], pinned: list[int]) -> None:
    """Write a conversation.

    Raises:
        OSError: The file can't be written; one that was there stays as it was.
    """
    content: Any = messages  # as the seeds have it; with pins, there is more to tell
    if pinned:
        content = {"format": _FORMAT, "messages": messages, "pinned": pinned}
    text = json.dumps(content, ensure_ascii=False, indent=1)
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which has no UTF-8
        text = json.dumps(content, indent=1)
    write_text(path, text + "\n")


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a file beside its place, and rename it, so that it is never half-written.

    One that was there keeps its mode (and stays a link, if it is one); a new one is for its owner alone.
    """
    target = Path(os.path.realpath(path))
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE), "w", encoding="utf-8") as file:
            if os.name == "posix" and target.exists():
                beside.chmod(stat.S_IMODE(target.stat().st_mode))
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


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
