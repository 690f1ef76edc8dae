"""What a rate limit counted, over which window: read from words and from codes such as `GenerateRequestsPerDay`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from stable_openai.verdict.verdicts import Dimension, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

Window = Literal["minute", "hour", "day", "month"]

_DAY_S: Final = 86_400.0
_MINUTE_WORDS: Final = {"second", "sec", "s", "minute", "min", "m", "秒", "分钟", "分"}
_HOUR_WORDS: Final = {"hour", "hr", "h", "小时"}
_DAY_WORDS: Final = {"day", "d", "daily", "today", "日", "天"}

_ABBREVIATION: Final = re.compile(r"(?<![a-z])([riq]|[io]?t)p([smhd])(?![a-z])|(?<![a-z])qp([sm])(?![a-z])")
_PER: Final = re.compile(
    r"(?:(?:per|/|each|every|by)[\s_-]{0,2}|(?:requests|calls|tokens|queries|messages|generations) an? )"
    r"(?:(?P<n>\d{1,8})[\s-]?)?(?P<unit>second|sec|minute|min|hour|hr|day|week|month|s|m|h|d)(?:s|\(s\))?(?![a-z])"
)
_ADVERB: Final = re.compile(
    r"(?<![a-z])(?P<unit>daily|today|hourly|weekly|monthly)(?![a-z])|"
    r"(?P<n>\d{1,3})[\s-]?hours?[\s-](?:\w{1,12}\s)?(?:limit|window|quota)"
    r"|for (?P<n2>\d{1,3})[\s-]?hours?(?![a-z])|(?:per|in|every|last|within|past) (?P<day>24 ?h)"
)
_CHINESE: Final = re.compile(
    r"(?:每|当|今|单)(?:\s?(?P<n>\d{1,4})\s?)?(?P<unit>个?小时|分钟|秒|分|日|天|周|月)|"
    r"(?P<n2>\d{1,4})\s?(?P<unit2>个?小时|分钟|秒|天)(?:内|最多)"
)
_TOKENS: Final = re.compile(r"token|令牌数|词元")
_REQUESTS: Final = re.compile(
    r"request|(?<![a-z])req(?![a-z])|call|quer(?:y|ies)|message|image|generation|请求|调用|次"
)
_INPUT: Final = re.compile(r"input[ _-]?token|prompt[ _-]?token|itpm")
_OUTPUT: Final = re.compile(r"output[ _-]?token|completion[ _-]?token|otpm")
_CONCURRENCY: Final = re.compile(
    r"concurren|simultaneous|(?:max )?parallel[ _]|active requests|in[- ]flight|并发|running (?:jobs|requests|"
    r"batches)|enqueued"
)
# Azure says in its own words which of its two limits, each by the minute, was hit.
_AZURE: Final = re.compile(
    r"(token|call)s? rate limit of your current .{0,40}pricing tier|exceeded (?:the )?(token|call) rate limit"
)
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NEAR_CHARS: Final = 60


@dataclass(frozen=True, slots=True)
class Count:
    """A dimension and a window, each None where it is not said."""

    dimension: Dimension | None
    window: Window | None
    period_s: float | None = None


def code_words(code: str) -> str:
    """The words of an identifier: `RequestsPerDay-FreeTier` becomes `requests per day free tier`."""
    return re.sub(r"[_\-.:/\s]+", " ", _CAMEL.sub(" ", code[:200])).lower()


def find_counts(texts: Iterable[str]) -> list[Count]:
    """Finds all counts with a window, then those without, in normalised texts; each once, in order."""
    found: list[Count] = []
    for text in texts:
        for sentence in re.split(r"[.!?](?:\s|$)|[\n。\uff1b\uff01]", text):
            found.extend(_counts_in(sentence))
    return list(dict.fromkeys(found))


def period_of(window: Window | None) -> float | None:
    """Seconds of a window's usual length."""
    return {"minute": 60.0, "hour": 3600.0, "day": _DAY_S, "month": 30 * _DAY_S, None: None}[window]


def window_of(period_s: float) -> Window:
    """The kind of a window of so many seconds: up to ten minutes it is short."""
    if period_s <= 600:  # noqa: PLR2004
        return "minute"
    if period_s < _DAY_S:
        return "hour"
    return "day" if period_s == _DAY_S else "month"


def reason_for(dimension: Dimension | None, window: Window | None) -> Reason:
    """The reason for a refused count; what is not said leaves it unspecified."""
    if dimension == "concurrency":
        return Reason.RATE_LIMITED_CONCURRENCY
    tokens = dimension in {"tokens", "input_tokens", "output_tokens"}
    if window == "minute":
        return Reason.RATE_LIMITED_TOKENS_MINUTE if tokens else Reason.RATE_LIMITED_REQUESTS_MINUTE
    if window == "day":
        return Reason.RATE_LIMITED_TOKENS_DAY if tokens else Reason.RATE_LIMITED_REQUESTS_DAY
    return Reason.RATE_LIMITED_UNSPECIFIED


def dimension_of(text: str) -> Dimension | None:
    """What a text counts: the last thing that it names."""
    if _CONCURRENCY.search(text):
        return "concurrency"
    tokens, requests = _last(_TOKENS, text), _last(_REQUESTS, text)
    if tokens < 0 and requests < 0:
        return None
    if requests > tokens:
        return "requests"
    return "input_tokens" if _INPUT.search(text) else "output_tokens" if _OUTPUT.search(text) else "tokens"


def _last(pattern: re.Pattern[str], text: str) -> int:
    return max((match.start() for match in pattern.finditer(text)), default=-1)


def _counts_in(sentence: str) -> list[Count]:
    counts: list[Count] = []
    if azure := _AZURE.search(sentence):
        word = azure[1] or azure[2]
        return [Count("tokens" if word == "token" else "requests", "minute", 60.0)]
    for match in _ABBREVIATION.finditer(sentence):
        letter, unit = (match[1], match[2]) if match[1] else ("q", match[3])
        dimension: Dimension = "tokens" if letter == "t" else "input_tokens" if letter == "it" else "requests"
        counts.append(_count(dimension if letter != "ot" else "output_tokens", unit, None))
    for pattern in (_PER, _ADVERB, _CHINESE):
        for match in pattern.finditer(sentence):
            groups = match.groupdict()
            unit = groups.get("unit") or groups.get("unit2") or ("day" if groups.get("day") else "hour")
            before = sentence[max(0, match.start() - _NEAR_CHARS) : match.start() + 9]
            after = sentence[match.end() : match.end() + _NEAR_CHARS]
            counts.append(
                _count(dimension_of(before) or dimension_of(after), unit, groups.get("n") or groups.get("n2"))
            )
    if _CONCURRENCY.search(sentence):
        counts.append(Count("concurrency", None))
    return counts


def _count(dimension: Dimension | None, unit: str, number: str | None) -> Count:
    unit = unit.removeprefix("个")
    times = float(number) if number else 1.0
    base = 1.0 if unit[0] == "s" or unit == "秒" else 60.0 if unit in _MINUTE_WORDS else None
    if base is None:
        base = 3600.0 if unit in _HOUR_WORDS or unit == "hourly" else _DAY_S if unit in _DAY_WORDS else 30 * _DAY_S
    if unit in {"week", "weekly", "周"}:
        base = 7 * _DAY_S
    period_s = times * base
    return Count(dimension, window_of(period_s) if period_s else None, period_s or None)
