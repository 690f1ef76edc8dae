"""Limits that headers tell: `x-ratelimit-*` in all dialects, `anthropic-ratelimit-*`, IETF `RateLimit`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from stable_openai.verdict.answer import Answer, Headers
from stable_openai.verdict.durations import parse_duration, parse_instant, sane_wait
from stable_openai.verdict.limit_texts import limits_in_text
from stable_openai.verdict.periods import infer_period, name_period
from stable_openai.verdict.verdicts import Dimension, ObservedLimit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_FAMILY: Final = re.compile(r"^(?:llm_provider-)?(?:x-)?((?:anthropic-)?(?:fireworks-)?rate-?limit(?:bysize)?)-(.+)$")
_KINDS: Final = {
    "limit": "limit", "remaining": "remaining", "reset": "reset", "used": "used", "renewalperiod": "period",
    "over": "skip", "cost": "skip", "type": "skip", "policy": "skip", "key": "skip", "timeremaining": "skip",
    "scope": "skip", "resource": "skip", "prefix": "skip",
}  # fmt: skip
_DIMENSIONS: Final[dict[str, Dimension]] = {
    "requests": "requests", "request": "requests", "req": "requests", "calls": "requests", "queries": "requests",
    "tokens": "tokens", "token": "tokens", "concurrency": "concurrency", "concurrent": "concurrency",
    "prompt": "input_tokens", "generated": "output_tokens",
}  # fmt: skip
_PERIODS: Final = {"second": 1.0, "minute": 60.0, "min": 60.0, "hour": 3600.0, "day": 86_400.0, "daily": 86_400.0,
                   "week": 604_800.0, "month": 2_592_000.0, "monthly": 2_592_000.0, "1s": 1.0, "1m": 60.0, "1h": 3600.0,
                   "1d": 86_400.0, "24h": 86_400.0}  # fmt: skip
_IGNORED_WORDS: Final = frozenset({"usage", "based", "project", "input", "output", "user", "api"})
_NO_LIMITS: Final = frozenset({2**31 - 1, 2**32 - 1, 2**53 - 1, 2**63 - 1, 2**64 - 1, 999_999_999, 9_999_999_999})
_NO_LIMIT_FROM: Final = 10**15
_WHOLE: Final = re.compile(r"\s*(\d{1,20})(?:\.0+)?\s*(?:[,;].*)?", re.DOTALL)
_POLICY_ITEM: Final = re.compile(r"\b(q|w|r|t|limit|remaining|reset)\s?=\s?(\d{1,15})")


@dataclass(slots=True)
class _Bucket:
    """One limit, collected from the headers that belong together."""

    dimension: Dimension
    period_s: float | None = None
    evidence: str = ""
    limit: int | None = None
    remaining: int | None = None
    used: int | None = None
    reset: str | None = None
    useless: bool = False
    renews: bool = False


def observe_limits(source: Answer | Mapping[str, str], *, now: float | None = None) -> tuple[ObservedLimit, ...]:
    """Reads the limits that an answer tells, on successes as on errors.

    Args:
        source: an answer (its text is read too) or any mapping of headers.
        now: epoch seconds, to turn resets that are instants into durations where there is no `date` header.

    Returns:
        One `ObservedLimit` for each limit; nonsense (zero, negative, "no limit" maxima) is left out.
    """
    headers = source.headers if isinstance(source, Answer) else source
    observed = tuple(limits_in_headers(headers if isinstance(headers, Headers) else Headers(headers), now=now))
    if isinstance(source, Answer) and source.body is not None and not 200 <= (source.status or 0) < 300:  # noqa: PLR2004
        from stable_openai.verdict.bodies import read_body  # successes never pay for it

        body = read_body(source.body)
        if not observed and body.headers:
            observed = tuple(limits_in_headers(Headers(body.headers), now=now))
        observed += limits_in_text(body.text, body.codes)
    return observed


def limits_in_headers(headers: Headers, *, now: float | None = None) -> Iterator[ObservedLimit]:
    """Reads the limits of headers alone; see `observe_limits`."""
    if not any("limit" in name for name in headers):
        return
    base = parse_instant(headers.get("date", "")) or now
    seen: set[ObservedLimit] = set()
    for bucket in [*_collect(headers), *_ietf(headers)]:
        limit = _finish(bucket, headers, base)
        if limit is not None and limit not in seen:
            seen.add(limit)
            yield limit


def _collect(headers: Headers) -> list[_Bucket]:
    buckets: dict[tuple[object, ...], _Bucket] = {}
    for name, value in headers.items():
        match = _FAMILY.match(name)
        if match is None or (name.startswith("llm_provider-") and name.removeprefix("llm_provider-") in headers):
            continue
        family, words = match[1], re.split(r"[-_]", match[2])
        kinds = {_KINDS[word] for word in words if word in _KINDS}
        rest = [word for word in words if word not in _KINDS]
        kind = (
            "limit" if not kinds and rest in (["requests"], ["tokens"]) else kinds.pop() if len(kinds) == 1 else "skip"
        )
        place = _place(family, rest)
        if kind == "skip" or place is None:
            continue
        dimension, period_s = place
        variant = "project" in rest
        bucket = buckets.setdefault(
            (family, dimension, period_s if kind != "period" else None, variant), _Bucket(dimension, period_s)
        )
        if period_s is not None:
            bucket.evidence = "named by the header"
        _put(bucket, kind, value)
    _share_generic(buckets)
    return [bucket for bucket in buckets.values() if not bucket.useless]


def _place(family: str, words: list[str]) -> tuple[Dimension, float | None] | None:
    """The dimension and the period that the words of a header name; None where they count something else."""
    dimension: Dimension | None = None
    period_s: float | None = None
    factor = 1.0
    for word in words:
        if word in _DIMENSIONS:
            dimension = _DIMENSIONS[word] if dimension is None or word not in {"tokens", "token"} else dimension
        elif word in _PERIODS:
            period_s = _PERIODS[word]
        elif word.isdigit() and len(word) < 5:  # noqa: PLR2004
            factor = float(word)
        elif word not in _IGNORED_WORDS:
            return None
    if dimension is None and ("input" in words or "output" in words):
        return None
    if dimension == "tokens" and "input" in words:
        dimension = "input_tokens"
    elif dimension == "tokens" and "output" in words:
        dimension = "output_tokens"
    default: Dimension = "tokens" if family.endswith("bysize") else "requests"
    return dimension or default, period_s * factor if period_s and factor else period_s


def _put(bucket: _Bucket, kind: str, value: str) -> None:
    if kind == "reset":
        bucket.reset = value
    elif kind == "period":
        seconds = parse_duration(value)
        if seconds:
            bucket.period_s, bucket.evidence, bucket.renews = seconds, "renewal period in the header", True
    else:
        number = _count(value)
        if number is None:
            bucket.useless |= kind != "used"
        elif kind == "limit":
            bucket.limit = number
            bucket.useless |= number == 0
            if policy := re.search(r";\s?w=(\d{1,9})", value):
                bucket.period_s, bucket.evidence = float(policy[1]), "window in the header"
        elif kind == "remaining":
            bucket.remaining = number
        else:
            bucket.used = number


def _share_generic(buckets: dict[tuple[object, ...], _Bucket]) -> None:
    """Gives a plain `ratelimit-reset` to the same limit that another header names with its window."""
    for (family, dimension, period_s, variant), bucket in buckets.items():
        if period_s is not None or variant or bucket.useless:
            continue
        twins = [
            other
            for (kin, counted, window, _), other in buckets.items()
            if window is not None
            and counted == dimension
            and (other.limit, other.remaining) == (bucket.limit, bucket.remaining)
            and str(kin).endswith(str(family)[-6:])
        ]
        if len(twins) == 1 and bucket.limit is not None:
            twins[0].reset = twins[0].reset or bucket.reset
            bucket.useless = True


def _count(value: str) -> int | None:
    match = _WHOLE.fullmatch(value)
    number = int(match[1]) if match else -1
    return None if number < 0 or number in _NO_LIMITS or number >= _NO_LIMIT_FROM else number


def _ietf(headers: Headers) -> Iterator[_Bucket]:
    """Reads the structured `RateLimit` and `RateLimit-Policy` fields (draft-ietf-httpapi-ratelimit-headers)."""
    now_text, policy_text = headers.get("ratelimit", ""), headers.get("ratelimit-policy", "")
    now = dict(_POLICY_ITEM.findall(now_text[:500]))
    policy = dict(_POLICY_ITEM.findall(policy_text.split(",")[0][:500]))
    if not now:
        return
    bare = re.match(r"\s*(\d{1,15})\b", policy_text)
    limit = now.get("limit") or policy.get("q") or (bare[1] if bare else None)
    bucket = _Bucket("requests", evidence="window in the policy header" if policy.get("w") else "")
    bucket.period_s = float(policy["w"]) if policy.get("w") else None
    bucket.limit = _count(limit) if limit else None
    remaining = now.get("r") or now.get("remaining")
    bucket.remaining = _count(remaining) if remaining else None
    bucket.reset = now.get("t") or now.get("reset")
    yield bucket


def _finish(bucket: _Bucket, headers: Headers, base: float | None) -> ObservedLimit | None:
    limit = bucket.limit or None
    remaining, used = bucket.remaining, bucket.used
    if limit is None and remaining is None:
        return None
    if limit is not None and remaining is not None and remaining > limit:
        remaining = None  # a burst or a mistake: it says nothing of what is left
    reset_s = _reset_seconds(bucket, limit, remaining, base)
    period_s, evidence = bucket.period_s, bucket.evidence
    if period_s is None:
        period_s, evidence = infer_period(limit, remaining, reset_s)
    if period_s is None and _counts_by_minute(headers):
        period_s, evidence = 60.0, "this provider counts by the minute"
    if evidence.endswith("header"):
        evidence = f"{evidence}: {name_period(period_s)}" if period_s else ""
    if used is None and limit is not None and remaining is not None:
        used = limit - remaining
    return ObservedLimit(
        bucket.dimension, limit, remaining, used, reset_s=reset_s, period_s=period_s, evidence=evidence
    )


def _counts_by_minute(headers: Headers) -> bool:
    """Azure's and Anthropic's documented limits are all by the minute."""
    return any(
        name.startswith("anthropic-ratelimit") or name in {"apim-request-id", "x-ms-region", "x-ms-deployment-name"}
        for name in headers
    )


def _reset_seconds(bucket: _Bucket, limit: int | None, remaining: int | None, base: float | None) -> float | None:
    if bucket.reset is None:
        return None
    instant = parse_instant(bucket.reset)
    if instant is not None:
        return (
            max(0.0, round(instant - base, 3))
            if base is not None and sane_wait(max(0.0, instant - base)) is not None
            else None
        )
    seconds = parse_duration(bucket.reset)
    period_s = bucket.period_s
    if seconds is None or period_s is None or not bucket.renews or not bucket.reset.strip().isdigit():
        return seconds
    # Azure's plain numbers are seconds on one gateway and milliseconds on another.
    if seconds > period_s:
        return seconds / 1000
    if limit and remaining is not None and seconds:
        expected = (limit - remaining) / limit * period_s
        if abs(seconds / 1000 - expected) < abs(seconds - expected):
            return seconds / 1000
    return seconds
