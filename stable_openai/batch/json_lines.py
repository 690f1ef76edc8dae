"""JSONL: an object a line, strictly read, so that nothing of it is lost or made up."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NoReturn

from .lines import decoded, is_blank, numbered
from .problems import BadLine, Problem, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["objects", "read_object"]

_DEEPEST: Final = 100


def objects(file: BinaryIO) -> Iterator[tuple[int, dict[str, Any]] | Problem]:
    """The object of each line that is not blank, with the line's number."""
    for number, line in numbered(file):
        if isinstance(line, Problem):
            yield line
        elif not is_blank(line):
            try:
                found = read_object(line)
            except BadLine as error:
                yield Problem(number, str(error))
            else:
                yield number, found


def read_object(line: bytes) -> dict[str, Any]:
    """The object that a line holds.

    Raises:
        BadLine: It holds none, or one that JSON (RFC 8259) leaves open what it says.
    """
    text = decoded(line.rstrip(b"\r\n"))
    try:
        value = _DECODER.decode(text)
    except BadLine:
        raise
    except json.JSONDecodeError as error:
        raise BadLine(f"is not JSON: {error.msg.removesuffix(' at')} at column {error.pos + 1}") from None
    except RecursionError:
        raise BadLine(f"is nested more than {_DEEPEST} levels deep") from None
    except ValueError as error:  # a number of more digits than Python reads
        raise BadLine(f"is not taken: {error}") from None
    if not isinstance(value, dict):
        raise BadLine(f"must be an object, not {shown(value)}")
    if "\\ud" in text or "\\uD" in text:
        _check_surrogates(value)
    if text.count("[") + text.count("{") > _DEEPEST:
        _check_depth(value)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadLine(f"has the field {shown(twice)} twice")
    return made


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise BadLine(f"has a number that is too large: {text[:20]}")
    return value


def _refuse(name: str) -> NoReturn:
    raise BadLine(f"is not JSON: {name} is no number there")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_refuse)


def _check_depth(value: object) -> None:
    """What is nested deeper than this can be read and not be written again, depending on who calls."""
    level: list[Any] = [value]
    for _ in range(_DEEPEST):
        inner = (child for node in level for child in (node.values() if isinstance(node, dict) else node))
        level = [child for child in inner if isinstance(child, (dict, list))]
        if not level:
            return
    raise BadLine(f"is nested more than {_DEEPEST} levels deep")


def _check_surrogates(value: object) -> None:
    """Halves of characters can be escaped in JSON, and be sent and stored nowhere."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        raise BadLine(f"has half a character: \\u{ord(half):04x} without its other half") from None
