"""A pool's state as a table in plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stable_openai.stores.snapshots import KeyStatus

__all__ = ["describe", "table_of", "usage_of"]

_HEADINGS = ("key", "secret", "owner", "state", "calls", "failed", "running", "used")


def describe(status: KeyStatus) -> str:
    """A key's standing in a few words, such as ``cooling down 12.0 s: rate_limited_requests_minute``."""
    lanes = [lane for lane in status.lanes if lane.seconds_left > 0]
    if not lanes:
        return "open"
    worst = max(lanes, key=lambda lane: (lane.model is None, lane.seconds_left))
    left = f" {worst.seconds_left:.1f} s" if worst.seconds_left < float("inf") else ""
    model = f" for {worst.model}" if worst.model else ""
    return f"{worst.standing}{left}{model}{f': {worst.reason}' if worst.reason else ''}"


def usage_of(status: KeyStatus) -> str:
    """A key's windows in a few words, such as ``3/60 requests per minute``."""
    return ", ".join(
        f"{window.used}/{window.limit} {window.what} per {window.per}{' (learned)' if window.learned else ''}"
        for lane in status.lanes
        for window in lane.windows
    )


def table_of(statuses: Sequence[KeyStatus]) -> str:
    """All keys, one a line, under a line of headings."""
    rows = [_HEADINGS] + [
        (
            status.name,
            status.masked,
            status.owner or "",
            describe(status),
            str(status.uses),
            str(status.failed),
            str(status.in_flight),
            usage_of(status),
        )
        for status in statuses
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)
