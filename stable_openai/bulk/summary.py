"""What came of a run, in words and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .busiest import choose
from .spelling import (
    clean,
    spell_answered,
    spell_number,
    spell_path,
    spell_possible,
    spell_rate,
    spell_reason,
    spell_share,
    spell_state,
    spell_time,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .record import KeyRecord, Latencies, RunRecord

__all__ = ["as_dict", "lines_of"]

_WIDTH: Final = 15  # of the names of figures
_KEYS: Final = 20  # of the busiest, and as many that had trouble
_NAME: Final = 40  # characters of a key's name
_SENTENCE: Final = 1_000  # characters of what stopped the run
_HEADINGS: Final = ("key", "attempts", "failed", "share", "state")
_NUMBERS: Final = {"attempts", "failed", "share"}
_QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


def lines_of(record: RunRecord) -> list[str]:
    """Everything that is worth reading; what is not known has no line.

    Args:
        record: What came of the run.
    """
    lines = [_headline(record)]
    lines += [f"  {name:<{_WIDTH}}{words}".rstrip() for name, words in _figures(record)]
    if record.keys:
        lines += ["", *_key_lines(record.keys)]
    if record.stopped:
        lines += ["", f"Stopped early: {clean(record.stopped, _SENTENCE)}"]
    return lines


def _headline(record: RunRecord) -> str:
    earlier = f", {spell_number(record.resumed)} of them by an earlier run" if record.resumed else ""
    pace = f" ({spell_rate(record.answered / record.seconds)})" if record.answered and record.seconds else ""
    return f"{spell_answered(record)}{earlier}, in {spell_time(record.seconds)}{pace}"


def _figures(record: RunRecord) -> Iterator[tuple[str, str]]:
    """Names and words of what is known."""
    yield from _rate_figures(record)
    median, most = (record.latencies.quantile(share) for share in (0.5, 0.99))
    if median is not None and most is not None:
        yield (
            "time of each",
            f"half within {spell_time(median)}, 99% within {spell_time(most)}, waits for keys included",
        )
    if record.tokens is not None:
        yield "tokens", f"{spell_number(record.tokens)}{_prompts(record)}"
    if record.cost is not None:
        yield "cost", f"{record.cost:,.2f}" if record.cost >= 1 else f"{record.cost:.2g}"
    if record.failed:
        where = f", written to {spell_path(record.failures)}" if record.failures is not None else ""
        yield "failed", f"{spell_number(record.failures_in_all)}{where}"
        counted = sorted(record.failed.items(), key=lambda item: -item[1])
        width = max(len(spell_number(count)) for _, count in counted)
        for reason, count in counted:
            yield "", f"{spell_number(count):>{width}}  {spell_reason(reason)}"
    if record.output is not None:
        yield "results", spell_path(record.output)


def _rate_figures(record: RunRecord) -> Iterator[tuple[str, str]]:
    possible = spell_possible(record)
    if possible is None:
        return
    if record.share is None:
        yield "limits allow", possible
    else:
        yield "rate", f"{spell_share(record.share)} of the {possible} that the limits allow, after the first minute"


def _prompts(record: RunRecord) -> str:
    if record.tokens is None or record.prompt_tokens is None:
        return ""
    answers = record.tokens - record.prompt_tokens
    return f": {spell_number(record.prompt_tokens)} of prompts, {spell_number(answers)} of answers"


def _key_lines(keys: Sequence[KeyRecord]) -> Iterator[str]:
    """A table of the keys; where there are many, of the busiest and of those that had trouble."""
    choice = choose(keys, _KEYS)
    whole = sum(key.uses for key in keys)
    rows = [_HEADINGS] + [
        _row(clean(key.name, _NAME), key.uses, key.failed, whole, spell_state(key)) for key in choice.shown
    ]
    if choice.others:
        rows.append(_row(f"{spell_number(choice.others)} others", choice.uses, choice.failed, whole, ""))
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    for row in rows:
        cells = (
            cell.rjust(width) if heading in _NUMBERS else cell.ljust(width)
            for heading, cell, width in zip(_HEADINGS, row, widths, strict=True)
        )
        yield f"  {'  '.join(cells)}".rstrip()


def _row(name: str, uses: int, failed: int, whole: int, state: str) -> tuple[str, ...]:
    return name, spell_number(uses), spell_number(failed), spell_share(uses / whole) if whole else "", state


def as_dict(record: RunRecord) -> dict[str, Any]:
    """The same as JSON has it, for programs: all figures, without the courses over time.

    Args:
        record: What came of the run.
    """
    whole = sum(key.uses for key in record.keys)
    return {
        "started_at": round(record.started_at, 3),
        "seconds": round(record.seconds, 3),
        "total": record.total,
        "resumed": record.resumed,
        "answered": record.answered,
        "per_second": round(record.answered / record.seconds, 3) if record.seconds else 0.0,
        "failures_in_all": record.failures_in_all,
        "failed": dict(record.failed),
        "stopped": record.stopped,
        "tokens": record.tokens,
        "prompt_tokens": record.prompt_tokens,
        "cost": _rounded(record.cost, 6),
        "possible_per_minute": _rounded(record.possible_per_minute, 3),
        "share": _rounded(record.share, 5),
        "minute": record.minute,
        "latency_s": _quantiles(record.latencies),
        "attempt_latency_s": _quantiles(record.attempt_latencies),
        "keys": [_key_dict(key, whole) for key in record.keys],
        "output": record.output,
        "failures": record.failures,
    }


def _key_dict(key: KeyRecord, whole: int) -> dict[str, Any]:
    return {
        "name": key.name,
        "masked": key.masked,
        "owner": key.owner,
        "uses": key.uses,
        "failed": key.failed,
        "share": round(key.uses / whole, 5) if whole else None,
        "standing": key.standing,
        "reason": key.reason,
        "seconds_out": round(sum(stretch.end_s - stretch.start_s for stretch in key.stretches), 3),
    }


def _quantiles(latencies: Latencies) -> dict[str, float | None] | None:
    if not sum(latencies.counts):
        return None
    return {name: _rounded(latencies.quantile(share), 6) for name, share in _QUANTILES.items()}


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
