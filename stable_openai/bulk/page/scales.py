"""Scales of pictures: bins made fewer, and where the marks stand."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from stable_openai.bulk.spelling import spell_number, spell_time

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["fewer", "log_marks", "mean_over", "number_marks", "outline", "time_marks"]

_STEPS: Final = (
    0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400,
)  # fmt: skip
_TIMES: Final = (0.001, 0.01, 0.1, 1, 10, 60, 600, 3_600)
_MORE_TIMES: Final = (
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600,
)  # fmt: skip
_FEW: Final = 5  # marks of time: as many as a phone has room for
_DAY: Final = 86_400


def fewer(counts: Sequence[int], size: int) -> list[int]:
    """Fewer bins: each so many of the old ones."""
    return [sum(counts[start : start + size]) for start in range(0, len(counts), size)]


def mean_over(counts: Sequence[int], width: int) -> list[float]:
    """For each bin, the mean of the last ``width`` bins; before the first one there was nothing."""
    found = []
    whole = 0
    for place, count in enumerate(counts):
        whole += count - (counts[place - width] if place >= width else 0)
        found.append(whole / width)
    return found


def outline(heights: Sequence[float], full: float, height: int) -> str:
    """The path of columns that stand on the bottom, side by side and one unit wide; ``full`` is as high as it goes."""
    path = f"M0 {height}"
    before, run = height, 0
    for value in heights:
        y = height - round(height * min(value / full, 1.0)) if full else height
        if value and y == height:
            y -= 1  # a little is more than nothing
        if y != before:
            path += f"{f'h{run}' if run else ''}V{y}"
            before, run = y, 0
        run += 1
    return f"{path}h{run}V{height}Z"


def time_marks(seconds: float) -> list[tuple[float, str]]:
    """Marks of a scale that begins at 0: where they stand, as shares of it, and what they are."""
    if seconds <= 0:
        return [(0.0, "0")]
    step = next((step for step in _STEPS if seconds / step <= _FEW), 0.0)
    if not step:
        step = _DAY * math.ceil(seconds / _DAY / _FEW)
    return [(place * step / seconds, spell_time(place * step) if place else "0") for place in _whole(seconds / step)]


def log_marks(low: float, high: float) -> list[float]:
    """Lengths of time to be marked on a scale of decades."""
    marks = [time for time in _TIMES if low <= time <= high]
    return marks if len(marks) > 2 else [time for time in _MORE_TIMES if low <= time <= high]  # noqa: PLR2004  # two say little


def number_marks(most: float) -> list[tuple[float, str]]:
    """Marks of a scale from 0 up to ``most``: where they stand, as shares of it, and what they are."""
    if most <= 0:
        return [(0.0, "0")]
    decade = 10.0 ** math.floor(math.log10(most))
    step = next(part * decade for part in (0.2, 0.5, 1, 2, 5) if most / (part * decade) <= _FEW)
    return [(place * step / most, spell_number(round(place * step, 6))) for place in _whole(most / step)]


def _whole(steps: float) -> range:
    return range(math.floor(steps + 1e-9) + 1)
