"""Headers that tell limits, and how long to wait, in the formats of several providers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from stable_openai.simulator.durations import ceil_ms, plain, spoken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stable_openai.simulator.lanes import Gauge, Lane, Shortage
    from stable_openai.simulator.settings import Settings

# Which limit a header speaks of, the first that there is: OpenAI and Groq tell the day's requests where there is
# such a limit; Azure and small providers tell the minute's.
DAY_FIRST = {"requests": ("rpd", "rpm"), "tokens": ("tpm", "tpd")}
MINUTE_FIRST = {"requests": ("rpm", "rpd"), "tokens": ("tpm", "tpd")}


def tightest(lanes: Sequence[Lane], reasons: tuple[str, ...], now: float) -> tuple[Gauge, int] | None:
    """Find the gauge of the first of `reasons` that has any, with the least left, and what is left."""
    for reason in reasons:
        found: tuple[Gauge, int] | None = None
        for lane in lanes:
            for gauge in lane.gauges:
                if gauge.reason == reason and not gauge.burst:
                    left = gauge.meter.limit - gauge.meter.used(now)
                    if found is None or left < found[1]:
                        found = (gauge, left)
        if found is not None:
            return found
    return None


def limit_headers(lanes: Sequence[Lane], settings: Settings, now: float) -> dict[str, str]:
    """Give the headers that tell limits, what is left of them and when they are restored."""
    style = settings.style
    if not settings.limit_headers or style == "gemini":
        return {}
    headers: dict[str, str] = {}
    order = DAY_FIRST if style in ("openai", "groq") else MINUTE_FIRST
    for what in ("requests", "tokens"):
        found = tightest(lanes, order[what], now)
        if found is None:
            continue
        gauge, left = found
        reset = gauge.meter.restored_in(now)
        suffix = "" if style == "plain" and what == "requests" else f"-{what}"
        headers[f"x-ratelimit-limit{suffix}"] = str(gauge.meter.limit)
        headers[f"x-ratelimit-remaining{suffix}"] = str(left)
        told = spoken(reset) if style in ("openai", "groq") else plain(reset, scaled=settings.minute != 60.0)
        headers[f"x-ratelimit-reset{suffix}"] = told
    return headers


def retry_headers(shortage: Shortage, settings: Settings) -> dict[str, str]:
    """Give the headers that say how long to wait."""
    if settings.retry_after not in (True, "header") or not wait_is_known(shortage) or settings.style == "gemini":
        return {}
    scaled = settings.minute != 60.0
    headers = {"retry-after": plain(shortage.wait_s, scaled=scaled)}
    if settings.style in ("openai", "azure"):
        headers["retry-after-ms"] = str(ceil_ms(shortage.wait_s))
    return headers


def told_wait(shortage: Shortage, settings: Settings) -> float | None:
    """Give the seconds that the text is to name, or None."""
    return shortage.wait_s if settings.retry_after in (True, "text") and wait_is_known(shortage) else None


def wait_is_known(shortage: Shortage) -> bool:
    """Whether waiting helps and somebody can say how long: not for what is too large, nor for concurrency."""
    return 0.0 < shortage.wait_s < math.inf
