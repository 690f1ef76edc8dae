"""Times in which a key was out, made fewer where they are too many."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from .record import Stretch

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["join"]


def join(stretches: Sequence[Stretch], most: int, gap_s: float = 0.0) -> list[Stretch]:
    """Join neighbours, until there are at most so many: those of one standing first, the nearest first.

    Args:
        stretches: In the order of time.
        most: How many there may be, at least 1.
        gap_s: Neighbours of one standing that are as near as this are joined in any case.
    """
    gaps = [(one.standing != other.standing, other.start_s - one.end_s) for one, other in pairwise(stretches)]
    nearest = sorted(range(len(gaps)), key=gaps.__getitem__)
    closed = set(nearest[: max(len(stretches) - most, 0)])
    closed.update(place for place, (differ, gap) in enumerate(gaps) if not differ and gap <= gap_s)
    runs: list[list[Stretch]] = []
    for place, stretch in enumerate(stretches):
        if place - 1 in closed:
            runs[-1].append(stretch)
        else:
            runs.append([stretch])
    return [_one(run) for run in runs]


def _one(run: Sequence[Stretch]) -> Stretch:
    """All of them as one, which is called by the longest."""
    longest = max(run, key=lambda stretch: stretch.end_s - stretch.start_s)
    return Stretch(run[0].start_s, run[-1].end_s, longest.standing, longest.reason)
