"""Values as JSON and back: what a checkpoint holds, and what an item's id is made of."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import os
import uuid
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from hashlib import sha256
from typing import Any, Final

__all__ = ["NotPlain", "digest_of", "plain", "text_of"]

_ID_DIGITS: Final = 32  # hexadecimal: 128 bits


class NotPlain(TypeError):
    """Something is of a type that JSON has no form for."""


def plain(value: Any) -> Any:
    """A value as JSON has it: pydantic models and dataclasses as objects, moments as text.

    Raises:
        NotPlain: There is no such form.
    """
    if value is None or type(value) in {str, int, float, bool}:
        return value
    if type(value) in {list, tuple}:
        return [plain(part) for part in value]
    if type(value) is dict and all(type(name) is str for name in value):
        return {name: plain(part) for name, part in value.items()}
    return _made_plain(value)


def _made_plain(value: Any) -> Any:  # noqa: PLR0911  # one return for each kind
    dump = getattr(value, "model_dump", None)
    if callable(dump) and not isinstance(value, type):
        return dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if isinstance(value, (str, int, float)):  # subclasses of theirs, such as the answers of a Chat
        return json.loads(json.dumps(value))
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (uuid.UUID, os.PathLike)):
        return str(value)
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, AbstractSet):
        return sorted((plain(part) for part in value), key=text_of)
    raise NotPlain(f"{type(value).__name__} has no form in JSON")


def text_of(value: Any) -> str:
    """JSON in one line, of what ``plain`` returns: with its own letters, so that people can read and search it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def digest_of(item: Any) -> str:
    """What an item without an id is known by: the same for the same content, in any process.

    Raises:
        NotPlain: Its content has no form in JSON.
    """
    if isinstance(item, (bytes, bytearray)):
        return sha256(b"bytes:" + item).hexdigest()[:_ID_DIGITS]
    canonical = json.dumps(plain(item), ensure_ascii=True, separators=(",", ":"), sort_keys=True)
    return sha256(canonical.encode()).hexdigest()[:_ID_DIGITS]
