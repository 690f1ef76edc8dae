"""The one parser for durations and instants, in all the forms in which providers write them."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST_WAIT_S: Final = 366 * 86_400.0
_EPOCH_FROM_S: Final = 1e9  # 2001; a smaller number is a duration
_EPOCH_UNTIL_S: Final = 1e10  # 2286
_MAX_CHARS: Final = 80

_UNITS: Final = {
    "ms": 0.001, "msec": 0.001, "msecs": 0.001, "millisecond": 0.001, "milliseconds": 0.001, "毫秒": 0.001,
    "us": 1e-6, "µs": 1e-6, "ns": 1e-9,
    "s": 1.0, "sec": 1.0, "secs": 1.0, "second": 1.0, "seconds": 1.0, "second(s)": 1.0, "秒": 1.0, "秒钟": 1.0,
    "m": 60.0, "min": 60.0, "mins": 60.0, "minute": 60.0, "minutes": 60.0, "minute(s)": 60.0, "分": 60.0, "分钟": 60.0,
    "h": 3600.0, "hr": 3600.0, "hrs": 3600.0, "hour": 3600.0, "hours": 3600.0, "hour(s)": 3600.0,
    "小时": 3600.0, "个小时": 3600.0,
    "d": 86_400.0, "day": 86_400.0, "days": 86_400.0, "day(s)": 86_400.0, "天": 86_400.0, "日": 86_400.0,
    "w": 604_800.0, "week": 604_800.0, "weeks": 604_800.0, "周": 604_800.0,
}  # fmt: skip
_UNIT: Final = "|".join(sorted((re.escape(unit) for unit in _UNITS), key=len, reverse=True))
_NUMBER: Final = r"\d{1,15}(?:\.\d{1,15})?"
_TERM: Final = rf"{_NUMBER}\s{{0,2}}(?:{_UNIT})(?![a-z])"
_TERMS: Final = rf"{_TERM}(?:(?:\s|,|\band\b){{0,3}}{_TERM}){{0,4}}"
_CLOCK: Final = r"(?:(?P<days>\d{1,3})\.)?(?P<h>\d{1,3}):(?P<m>[0-5]\d):(?P<s>[0-5]\d(?:\.\d{1,9})?)"
_ISO_DURATION: Final = re.compile(
    rf"p(?:({_NUMBER})d)?(?:t(?:({_NUMBER})h)?(?:({_NUMBER})m)?(?:({_NUMBER})s)?)?", re.IGNORECASE
)
_ISO_INSTANT: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:\s{0,2}[T,]?\s{0,2}(?:at )?)(\d\d):(\d\d)(?::(\d\d)(\.\d{1,12})?)?\s{0,2}"
    r"(Z|UTC|GMT|[+-]\d\d:?\d\d)(?![a-z])",
    re.IGNORECASE,
)
_ONE_TERM: Final = re.compile(rf"({_NUMBER})\s{{0,2}}({_UNIT})(?![a-z])")
_ALL_TERMS: Final = re.compile(_TERMS)
_ALL_CLOCK: Final = re.compile(_CLOCK)
_BARE: Final = re.compile(r"[+-]?\d{1,20}(?:\.\d{1,20})?(?:e[+-]?\d{1,3})?")

# After such words the first number, if it has a unit, says how long to wait.
_ANCHORS: Final = (
    r"try(?:ing)? again|retry(?:ing|[-_ ]?after)?|wait(?:ing)?|come back|available|resets?|replenish(?:ed|es)?|"
    r"renew(?:ed|s)?|refill(?:ed|s)?|regain|restored|lifted|cool(?:ing)?[- ]?down|back[- ]?off|等待|重试|恢复|重置|冷却"
)
_PROSE: Final = re.compile(
    rf"(?:{_ANCHORS})[^.;!?。\uff1b\uff01\n\d]{{0,48}}?(?:(?P<clock>{_CLOCK})(?![\d:])|(?P<terms>{_TERMS}))"
)
_PROSE_BARE: Final = re.compile(
    rf"(?:retry[-_ ]?after|try again in|retry in|wait)[\"' :=]{{1,4}}(?P<bare>{_NUMBER})(?=[\"'\s.,;)}}]{{0,3}}(?:$|"
    rf"please|\n|,|}}))"
)
# Chinese says the duration first: 20 秒后重试.
_PROSE_BEFORE: Final = re.compile(
    rf"(?P<terms>{_TERMS})\s?(?:之后|以后|后)?[\s,]{{0,2}}(?:before |then |请|再)?"
    r"(?:重试|再试|再次|恢复|重置|retry|try)"
)
_PROSE_INSTANT: Final = re.compile(
    rf"(?:{_ANCHORS}|until|after|access on)[^\n\d]{{0,48}}?(?P<at>{_ISO_INSTANT.pattern})", re.IGNORECASE
)


def sane_wait(seconds: float) -> float | None:
    """Returns `seconds` when it is a finite number from 0 to a year, else None."""
    return seconds if math.isfinite(seconds) and 0.0 <= seconds <= LONGEST_WAIT_S else None


def parse_duration(value: object) -> float | None:  # noqa: PLR0911  # one return for each form
    """Reads a duration, in seconds.

    Knows numbers (seconds), `6m0s`, `120ms`, `1h2m`, `23h 59m`, `1 seconds`, `20 秒`, `HH:MM:SS`, `1.02:03:04`,
    protobuf's `18.04s` and ISO 8601's `PT1M30S`.

    Args:
        value: a text or a number.

    Returns:
        Seconds, or None for anything else: negative, infinite, longer than a year, an epoch, prose.
    """
    number = _number(value)
    if number is not None:
        return sane_wait(number)
    if not isinstance(value, str):
        return None
    text = value.strip().strip("\"'").lower()
    if not text or len(text) > _MAX_CHARS:
        return None
    if _ALL_TERMS.fullmatch(text):
        return sane_wait(_sum_terms(text))
    if clock := _ALL_CLOCK.fullmatch(text):
        return sane_wait(_sum_clock(clock))
    iso = _ISO_DURATION.fullmatch(text)
    if iso and any(iso.groups()):
        sizes = (86_400.0, 3600.0, 60.0, 1.0)
        return sane_wait(sum(float(part) * size for part, size in zip(iso.groups(), sizes, strict=True) if part))
    return None


def parse_instant(value: object) -> float | None:  # noqa: PLR0911  # one return for each form
    """Reads an absolute instant, in epoch seconds.

    Knows epoch seconds, milli- and microseconds, HTTP dates (RFC 9110 §5.6.7) and ISO 8601 instants with a zone. A
    local time without a zone is nobody's instant, so it is not read.
    """
    number = _number(value)
    if number is not None:
        for scale in (1.0, 1e3, 1e6):
            if _EPOCH_FROM_S <= number / scale < _EPOCH_UNTIL_S:
                return number / scale
        return None
    if not isinstance(value, str):
        return None
    text = value.strip()
    if not text or len(text) > _MAX_CHARS:
        return None
    if iso := _ISO_INSTANT.fullmatch(text):
        return _iso_epoch(iso)
    if text[0].isdigit():
        return None
    try:
        parsed = parsedate_to_datetime(text)
        return parsed.replace(tzinfo=parsed.tzinfo or timezone.utc).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


def parse_when(value: object) -> tuple[float | None, float | None]:
    """Reads a header such as `Retry-After` (RFC 9110 §10.2.3) or `x-ratelimit-reset`.

    Returns:
        (seconds, None) for a duration, (None, epoch seconds) for an instant, (None, None) for nonsense.
    """
    instant = parse_instant(value)
    return (None, instant) if instant is not None else (parse_duration(value), None)


def find_wait(text: str) -> tuple[float | None, float | None]:
    """Finds in prose how long to wait ("try again in 7m12s", "20 秒后重试") or until when.

    Args:
        text: a message of bounded length; its case does not matter.

    Returns:
        Like `parse_when`.
    """
    lowered = text.lower()
    for pattern in (_PROSE, _PROSE_BEFORE):
        for match in pattern.finditer(lowered):
            groups = match.groupdict()
            clock = _ALL_CLOCK.fullmatch(groups.get("clock") or "")
            seconds = sane_wait(_sum_clock(clock) if clock else _sum_terms(groups["terms"]))
            if seconds is not None:
                return seconds, None
    if instant := _PROSE_INSTANT.search(text):
        parsed = parse_instant(instant["at"])
        if parsed is not None:
            return None, parsed
    if bare := _PROSE_BARE.search(lowered):
        return parse_when(bare["bare"])
    return None, None


def _number(value: object) -> float | None:
    """A finite number, also from text; booleans are none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        text = value.strip().lower()
        if len(text) > _MAX_CHARS or not _BARE.fullmatch(text):
            return None
        value = float(text)
    if not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _sum_terms(text: str) -> float:
    # Whole nanoseconds are added, since 240 + 27.839999999 has more digits than the provider wrote.
    total = sum(float(number) * _UNITS[unit] for number, unit in _ONE_TERM.findall(text))
    return round(total, 9)


def _sum_clock(match: re.Match[str]) -> float:
    days, hours, minutes, seconds = match.group("days", "h", "m", "s")
    return float(days or 0) * 86_400 + float(hours) * 3600 + float(minutes) * 60 + float(seconds)


def _iso_epoch(match: re.Match[str]) -> float | None:
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    offset = timedelta(0)
    if zone[0] in "+-":
        digits = zone[1:].replace(":", "")
        offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
        offset = -offset if zone[0] == "-" else offset
    try:
        whole = datetime(
            int(year), int(month), int(day), int(hour), int(minute), int(second or 0), tzinfo=timezone(offset)
        )
        return whole.timestamp() + float(fraction or 0)
    except (ValueError, OverflowError):
        return None
