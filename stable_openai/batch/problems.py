"""What is wrong with a line, in a few words that fit after "in.jsonl, line 17: "."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["BadLine", "Problem", "listed", "shown"]

_LONGEST: Final = 60  # characters of somebody's data that a message repeats
_MOST: Final = 20  # names of a list that a message repeats


@dataclass(frozen=True, slots=True)
class Problem:
    """A line that can't be asked.

    Attributes:
        line: Its number, from 1, as an editor shows it; of Parquet, the row's.
        text: What is wrong with it.
    """

    line: int
    text: str


class BadLine(ValueError):
    """Raised by what checks a line, and made a ``Problem`` by what knows its number."""


def shown(value: object) -> str:
    """A value out of a line, as far as a message may repeat it."""
    if isinstance(value, str):
        text = repr(value[: _LONGEST + 1])
    elif value is None or isinstance(value, (bool, int, float)):
        text = json.dumps(value)
    elif isinstance(value, dict):
        text = "an object"
    else:
        text = "a list" if isinstance(value, list) else type(value).__name__
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def listed(names: Collection[str]) -> str:
    """Names in a row, as many as a message can hold."""
    text = ", ".join(shown(name) for name, _ in zip(names, range(_MOST), strict=False))
    return text if len(names) <= _MOST else f"{text} and {len(names) - _MOST} more"
