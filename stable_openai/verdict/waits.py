"""How long an answer says to wait, from the most exact of the places that say it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from stable_openai.verdict.answer import Headers
from stable_openai.verdict.durations import find_wait, parse_duration, parse_instant, parse_when, sane_wait
from stable_openai.verdict.limit_headers import limits_in_headers
from stable_openai.verdict.verdicts import RATE_LIMITS, Dimension, ObservedLimit, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stable_openai.verdict.bodies import Body

_RESET_HEADERS: Final = ("x-ratelimit-timeremaining", "x-ratelimit-reset", "x-rate-limit-reset", "ratelimit-reset")
_CLOSE_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Wait:
    """A wait in seconds, or the instant until which to wait in epoch seconds, or neither."""

    seconds: float | None = None
    until: float | None = None


def find_waiting(
    reason: Reason,
    headers: Headers,
    body: Body,
    *,
    limits: Sequence[ObservedLimit],
    dimension: Dimension | None,
    now: float | None,
) -> Wait:
    """Finds how long the answer says to wait.

    The text comes first, since it speaks of the refused call; then the fields of the body, `retry-after-ms` and
    `Retry-After` (RFC 9110 §10.2.3; seconds or a date). A finer number that agrees within a second replaces a rounded
    one. Resets of limits count only for a rate limit that has nothing left.
    """
    base = parse_instant(headers.get("date", "")) or now
    found = [find_wait(body.text), *_body_waits(body), *_header_waits(headers)]
    seconds = [wait for pair in found if (wait := _relative(pair, base)) is not None]
    best = _finest(seconds)
    if best is None and reason in RATE_LIMITS:
        found += _reset_waits(headers, body)
        best = next((wait for pair in found if (wait := _relative(pair, base)) is not None), None)
        if best is None:
            best = _spent(limits, dimension)
    if best is not None:
        return Wait(seconds=best)
    return Wait(until=next((until for _, until in found if until is not None and base is None), None))


def _relative(pair: tuple[float | None, float | None], base: float | None) -> float | None:
    """Seconds of a duration, or of an instant that is not past."""
    seconds, until = pair
    if seconds is not None:
        return seconds
    return sane_wait(round(until - base, 6)) if until is not None and base is not None else None


def _body_waits(body: Body) -> list[tuple[float | None, float | None]]:
    pairs = [parse_when(value) for value in body.waits]
    pairs += [(value / 1000, None) for raw in body.waits_ms if (value := parse_duration(raw)) is not None]
    return pairs + [(None, parse_instant(value)) for value in body.instants]


def _header_waits(headers: Mapping[str, str]) -> list[tuple[float | None, float | None]]:
    pairs: list[tuple[float | None, float | None]] = []
    for name in ("retry-after-ms", "x-ms-retry-after-ms", "x-retry-after-ms"):
        milliseconds = parse_duration(headers.get(name))
        if milliseconds:  # 0 is what gateways write that do not know
            pairs.append((milliseconds / 1000, None))
    return pairs + [parse_when(headers[name]) for name in ("retry-after", "x-retry-after") if name in headers]


def _reset_waits(headers: Mapping[str, str], body: Body) -> list[tuple[float | None, float | None]]:
    pairs: list[tuple[float | None, float | None]] = []
    for source in (headers, Headers(body.headers)):
        spent = source.get("x-ratelimit-remaining", source.get("ratelimit-remaining", "0")).strip()
        if spent in {"0", "0.0"}:
            found = (parse_when(source[name]) for name in _RESET_HEADERS if name in source)
            pairs += [pair for pair in found if any(pair)]
    return pairs


def _spent(limits: Sequence[ObservedLimit], dimension: Dimension | None) -> float | None:
    """The reset of the limit that has nothing left; of several, the longest."""
    resets = [
        limit.reset_s
        for limit in limits
        if limit.remaining == 0 and limit.reset_s and (dimension is None or dimension[-6:] == limit.dimension[-6:])
    ]
    return max(resets, default=None)


def _finest(seconds: Sequence[float]) -> float | None:
    """The first wait, or one that agrees with it within a second and has more digits."""
    if not seconds:
        return None
    best = seconds[0]
    for other in seconds[1:]:
        if 0 < abs(other - best) < _CLOSE_S and best == int(best) and other != int(other):
            best = other
    return best if best > 0 else next((other for other in seconds if other > 0), best)


def limits_of(headers: Headers, body: Body, *, now: float | None) -> tuple[ObservedLimit, ...]:
    """The limits of the headers, or of those that a gateway put into its body."""
    limits = tuple(limits_in_headers(headers, now=now))
    if limits or not body.headers:
        return limits
    return tuple(limits_in_headers(Headers({**body.headers, "date": headers.get("date", "")}), now=now))
