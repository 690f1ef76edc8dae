"""Which period a limit has, concluded from how fast it refills."""

from __future__ import annotations

from typing import Final

_NAMES: Final = {1.0: "a second", 10.0: "ten seconds", 60.0: "a minute", 3600.0: "an hour", 86_400.0: "a day",
                 604_800.0: "a week", 2_592_000.0: "30 days"}  # fmt: skip
_USUAL: Final = (60.0, 86_400.0, 2_592_000.0, 1.0)
_RARE: Final = (3600.0, 604_800.0, 10.0)
_ROUNDING_S: Final = 0.001  # resets are rounded to milliseconds
_EXACT: Final = 0.03


def name_period(period_s: float) -> str:
    """A period in words."""
    return _NAMES.get(period_s, f"{period_s:g} s")


def infer_period(  # noqa: PLR0911  # one return for each kind of evidence
    limit: int | None, remaining: int | None, reset_s: float | None
) -> tuple[float | None, str]:
    """Concludes the period of a bucket that refills steadily, as OpenAI's do.

    Such a bucket of `limit` regains `limit / period` each second, and its reset tells when it is full again: reset ≈
    used / limit * period. The count is a whole number and the truth is not: where 2 are shown as used, more than 1 and
    at most 2 are missing, so the period has an upper bound too.

    Args:
        limit: the size of the bucket.
        remaining: what is left, rounded down.
        reset_s: seconds until it is full, rounded down to milliseconds.

    Returns:
        The period in seconds and a sentence of evidence, or (None, "").
    """
    if limit is None or remaining is None or reset_s is None or limit <= 0 or not 0 <= remaining < limit:
        return None, ""
    used = limit - remaining
    low = reset_s * limit / used
    high = (reset_s + _ROUNDING_S) * limit / (used - 1) if used > 1 else float("inf")
    whole = next((period for period in _USUAL if abs(reset_s - period) <= _EXACT * period), None)
    for period in _USUAL if whole is not None else (*_USUAL, *_RARE):
        slack = max(_EXACT * period, _ROUNDING_S * limit / used)
        if reset_s > 0 and abs(low - period) <= slack:
            return period, f"reset {reset_s:g}s refills {used} of {limit}: {name_period(period)}"
    if whole is not None:  # 1 of 60 with a reset of a minute: rather a minute's window than an hour's bucket
        return whole, f"reset {reset_s:g}s is a whole window: {name_period(whole)}"
    if reset_s in _NAMES:
        return reset_s, f"reset {reset_s:g}s is a whole window: {name_period(reset_s)}"
    if reset_s == 0:
        if used > 1 and 60.0 <= high < _USUAL[1]:  # noqa: PLR2004  # a minute, and no longer than hours
            return 60.0, f"refilled {used} of {limit} within a millisecond: a minute"
        return None, ""
    for periods in (_USUAL, _RARE):
        inside = [period for period in periods if low * (1 - _EXACT) <= period <= high * (1 + _EXACT)]
        if len(inside) == 1 and high != float("inf"):
            return inside[0], f"reset {reset_s:g}s refills up to {used} of {limit}: {name_period(inside[0])}"
    return None, ""
