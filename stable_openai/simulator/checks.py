"""Checks of what a user hands in. Each error names the field and never shows a secret."""

from __future__ import annotations

import math
from typing import Any


def check_count(value: Any, name: str) -> None:
    """Accept None or a whole number of at least 1."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, not {type(value).__name__}")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, not {value}")


def check_number(value: Any, name: str, *, above: float | None = None, at_most: float = math.inf) -> None:
    """Accept a finite number of at least 0 (or above `above`) and not over `at_most`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, not {value}")
    if above is not None and value <= above:
        raise ValueError(f"{name} must be above {above}, not {value}")
    if value < 0:
        raise ValueError(f"{name} must not be negative: {value}")
    if value > at_most:
        raise ValueError(f"{name} must be at most {at_most}, not {value}")


def check_rate(value: Any, name: str) -> None:
    """Accept a share from 0 to 1."""
    check_number(value, name, at_most=1.0)


def check_choice(value: Any, name: str, choices: tuple[Any, ...]) -> None:
    """Accept one of `choices`; 1 and 0 are not taken for True and False."""
    if not any(value is choice or (isinstance(choice, str) and value == choice) for choice in choices):
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, not {value!r}")


def check_text(value: Any, name: str) -> None:
    """Accept a non-empty string."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, not {type(value).__name__}")
    if not value.strip():
        raise ValueError(f"{name} must not be empty")


def check_secret(value: Any, name: str) -> None:
    """Accept what can stand in a header: printable ASCII without blanks. The value is never shown."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, not {type(value).__name__}")
    if not value or not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError(f"{name} must be printable ASCII without blanks and not empty")
