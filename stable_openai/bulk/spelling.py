"""How reports spell figures, lengths of time, names and reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .record import KeyRecord, RunRecord

__all__ = [
    "clean",
    "spell_answered",
    "spell_number",
    "spell_path",
    "spell_possible",
    "spell_rate",
    "spell_reason",
    "spell_share",
    "spell_state",
    "spell_time",
]

_MINUTE: Final = 60
_HOUR: Final = 3_600
_DAY: Final = 86_400
_SMALL: Final = 9.95  # below it, two digits tell more than one decimal
_LARGE: Final = 1_000  # from here on, a decimal tells nothing
_SECOND: Final = 0.9995  # what is less is spelt in milliseconds
_RATE_LIMITS: Final = {
    "rate_limited_requests_minute": "rate limit: requests per minute",
    "rate_limited_tokens_minute": "rate limit: tokens per minute",
    "rate_limited_requests_day": "rate limit: requests per day",
    "rate_limited_tokens_day": "rate limit: tokens per day",
    "rate_limited_concurrency": "rate limit: calls at once",
    "rate_limited_unspecified": "rate limit",
}
_LONGEST: Final = 100  # characters of a name or a reason
_LONGEST_PATH: Final = 1_000


def spell_number(value: float) -> str:
    """A figure, its thousands set apart; with a decimal where it is small and not whole."""
    if abs(value) >= _SMALL:
        value = round(value, 1)
    if value == int(value) or abs(value) >= _LARGE:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= _SMALL else f"{value:.2g}"


def spell_share(value: float) -> str:
    """A share of a whole, in per cent."""
    return f"{value:.1%}"


def spell_time(seconds: float) -> str:
    """A length of time: ``850 ms``, ``9.5 s``, ``12.3 s``, ``4 min 05 s``, ``2 h 03 min``, ``3 d 4 h``."""
    if seconds < _SECOND:
        return f"{seconds * 1_000:.3g} ms" if seconds > 0 else "0 s"
    if round(seconds, 1) < _MINUTE:
        return f"{spell_number(round(seconds, 1))} s"
    whole = round(seconds)
    if whole < _HOUR:
        return _spell_two(*divmod(whole, _MINUTE), "min", "s")
    if whole < _DAY:
        return _spell_two(*divmod(whole // _MINUTE, 60), "h", "min")
    days, hours = divmod(whole // _HOUR, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def _spell_two(large: int, small: int, unit: str, smaller: str) -> str:
    return f"{large} {unit} {small:02d} {smaller}" if small else f"{large} {unit}"


def spell_rate(per_second: float) -> str:
    """Answers a second; a minute, where they are few."""
    return f"{spell_number(per_second)} a second" if per_second >= 1 else f"{spell_number(per_second * 60)} a minute"


def spell_possible(record: RunRecord) -> str | None:
    """What the limits allow, such as ``1,500 a minute``; None where that is not known."""
    if record.possible_per_minute is None:
        return None
    unit = "a minute" if record.minute == _MINUTE else f"in {spell_time(record.minute)}"
    return f"{spell_number(round(record.possible_per_minute, 1))} {unit}"


def spell_answered(record: RunRecord) -> str:
    """How many items have an answer now, such as ``9,870 of 10,000 items answered``."""
    answered = record.answered + record.resumed
    of = "" if record.total is None else f" of {spell_number(record.total)}"
    items = "item" if (answered if record.total is None else record.total) == 1 else "items"
    return f"{spell_number(answered)}{of} {items} answered"


def spell_reason(reason: str) -> str:
    """A reason as people say it: ``quota exhausted``, ``rate limit: requests per minute``."""
    return _RATE_LIMITS.get(reason) or clean(reason.replace("_", " "))


def spell_state(key: KeyRecord) -> str:
    """How a key stood at the end, and why: ``parked: quota exhausted``."""
    return f"{clean(key.standing)}: {spell_reason(key.reason)}" if key.reason else clean(key.standing)


def spell_path(path: str) -> str:
    """A path as it may be shown."""
    return clean(path, _LONGEST_PATH)


def clean(text: str, longest: int = _LONGEST) -> str:
    """A text of somebody else's as it may be shown: in one line, not too long, and without what steers a terminal."""
    line = " ".join(text.split())
    shown = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line)
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"
