"""Durations as providers write them. All are rounded up, so that waiting as told is enough."""

from __future__ import annotations

import math


def ceil_ms(seconds: float) -> int:
    """Give whole milliseconds, rounded up."""
    return math.ceil(max(0.0, seconds) * 1000.0 - 1e-6)


def spoken(seconds: float) -> str:
    """Write a duration as `6ms`, `8.64s`, `7m12s` or `1h8m25.745s`."""
    ms = ceil_ms(seconds)
    if ms == 0:
        return "0s"
    if ms < 1000:
        return f"{ms}ms"
    minutes, ms = divmod(ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    tail = f"{ms / 1000:.3f}".rstrip("0").rstrip(".")
    if hours:
        return f"{hours}h{minutes}m{tail}s"
    return f"{minutes}m{tail}s" if minutes else f"{tail}s"


def plain(seconds: float, *, scaled: bool) -> str:
    """Write seconds as a whole number, or (in scaled time, where a second is long) with milliseconds."""
    ms = ceil_ms(seconds)
    if scaled:
        return f"{ms / 1000:.3f}".rstrip("0").rstrip(".")
    return str(-(-ms // 1000))
