"""Which keys a report shows, where there are more than anybody would read."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .record import KeyRecord

__all__ = ["Choice", "choose"]


class Choice(NamedTuple):
    """The keys that are shown, in their order, and the others in figures.

    Attributes:
        shown: The busiest, and those that had trouble.
        others: How many are not shown.
        uses: The attempts of these.
        failed: How many of them failed.
    """

    shown: list[KeyRecord]
    others: int = 0
    uses: int = 0
    failed: int = 0


def choose(keys: Sequence[KeyRecord], most: int) -> Choice:
    """Choose at most so many of the busiest, and as many of those that had trouble."""
    places = range(len(keys))
    if len(keys) <= most:
        return Choice(list(keys))
    busiest = sorted(places, key=lambda place: -keys[place].uses)[:most]
    troubled = [place for place in places if any(_trouble(keys[place]))]
    troubled.sort(key=lambda place: _trouble(keys[place]), reverse=True)
    chosen = {*busiest, *troubled[:most]}
    rest = [keys[place] for place in places if place not in chosen]
    return Choice(
        shown=[keys[place] for place in sorted(chosen)],
        others=len(rest),
        uses=sum(key.uses for key in rest),
        failed=sum(key.failed for key in rest),
    )


def _trouble(key: KeyRecord) -> tuple[int, int, int]:
    """How much trouble a key had: out at the end, failures, rests."""
    return (int(key.standing != "open"), key.failed, len(key.stretches))
