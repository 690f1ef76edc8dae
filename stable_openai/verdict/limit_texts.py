"""Limits that error texts tell, such as `Limit 3, Used 3, Requested 1` or `limited to 10 API calls / minute`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from stable_openai.verdict._text import normalise, without_advice
from stable_openai.verdict.counted import Count, code_words, dimension_of, find_counts, period_of
from stable_openai.verdict.periods import name_period
from stable_openai.verdict.verdicts import Dimension, ObservedLimit

if TYPE_CHECKING:
    from collections.abc import Sequence

_INT: Final = r"(?<![\d.,])(\d{1,3}(?:,\d{3}){1,5}|\d{1,15})(?:\.0{1,9})?(?!\d|\.\d)"
_TRIPLE: Final = re.compile(rf"\blimit:? {_INT}(?:, used:? {_INT})?(?:, requested:? {_INT})?")
_LIMIT: Final = re.compile(
    rf"(?:\blimit(?: is| of|ed to)?|maximum(?: rate limit for this model)?(?: is| of)|max (?:rpm|tpm|rpd|tpd|"
    rf"concurrency)|rate limit of|allowed|quotavalue)"
    rf"(?: is)?[:=]?\s?[\"']?{_INT}"
)
_PER_WINDOW: Final = re.compile(
    rf"{_INT}\s(?:(?:api|input|output|free|total) )?(?:model )?(?:requests?|queries|calls?|tokens?|messages?|"
    rf"次)?\s?(?:per|/|every|each|a)[\s-]?"
    r"(?:\d{1,6} ?)?(?:s|sec|second|min|minute|m|h|hour|d|day)s?\b"
)
_CURRENT: Final = re.compile(rf"\b(?:current|used)[:=]? {_INT}")
_REQUESTED: Final = re.compile(rf"\brequested[:=]? {_INT}")
_NONSENSE_FROM: Final = 2**31 - 1


def limits_in_text(text: str, codes: Sequence[str] = ()) -> tuple[ObservedLimit, ...]:
    """Reads the limit that a text tells, with its window where text or codes say it.

    Args:
        text: a message of bounded length.
        codes: identifiers of the same answer, such as Gemini's `quotaId`.

    Returns:
        At most one limit: texts tell the one that was hit.
    """
    words = normalise(text)
    plain = without_advice(words) or words
    numbers = _numbers(plain)
    if numbers is None:
        return ()
    limit, used, requested = numbers
    counts = find_counts([plain, *map(code_words, codes)])
    windowed = [count for count in counts if count.window]
    named = {count.dimension for count in counts if count.dimension}
    if len({count.window for count in windowed}) > 1 or len(named) > 1 or not (limit or requested):
        return ()
    first = windowed[0] if windowed else Count(None, None)
    period_s = first.period_s or period_of(first.window)
    dimension: Dimension | None = next(iter(named), None) or dimension_of(plain) or ("requests" if windowed else None)
    if dimension is None:
        return ()
    remaining = max(0, limit - used) if limit is not None and used is not None else None
    evidence = f"the text says: {name_period(period_s)}" if period_s else ""
    return (ObservedLimit(dimension, limit, remaining, used, requested, period_s=period_s, evidence=evidence),)


def is_oversized(limits: Sequence[ObservedLimit], text: str) -> bool:
    """Whether the request alone is larger than the whole limit."""
    return any(
        limit.requested is not None and limit.limit is not None and limit.requested > limit.limit for limit in limits
    ) or (re.search(r"request (?:is )?too large", normalise(text)) is not None)


def _numbers(plain: str) -> tuple[int | None, int | None, int | None] | None:
    if triple := _TRIPLE.search(plain):
        limit, used, requested = (_int(part) for part in triple.groups())
        if used is None and (current := _CURRENT.search(plain)):
            used = _int(current[1])
        if requested is None and (asked := _REQUESTED.search(plain)):
            requested = _int(asked[1])
        return (limit, used, requested) if limit else None
    match = _PER_WINDOW.search(plain) or _LIMIT.search(plain)
    limit = _int(match[1]) if match else None
    return (limit, None, None) if limit else None


def _int(text: str | None) -> int | None:
    number = int(text.replace(",", "")) if text else -1
    return number if 0 <= number < _NONSENSE_FROM else None
