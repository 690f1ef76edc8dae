"""Answers over time, against what the limits allow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stable_openai.bulk.spelling import spell_number, spell_possible, spell_time

from .markup import WIDTH, figure, section, text, ticks
from .scales import mean_over, number_marks, outline, time_marks

if TYPE_CHECKING:
    from stable_openai.bulk.record import RunRecord

__all__ = ["draw_rate"]

_HEIGHT: Final = 180
_ROOM: Final = 1.12  # above the highest
_FAR: Final = 4.0  # times the highest rate: a limit beyond that would leave nothing to be seen


def draw_rate(record: RunRecord) -> str:
    """The section about the rate; nothing where nothing was answered.

    Limits are about any minute, so what is drawn is how much was answered in the minute up to each moment: what was
    answered in each bin goes far above the limit and far below it, even where all is well.
    """
    if not any(record.answered_counts) or not record.seconds:
        return ""
    bins = max(round(record.minute / record.bin_s), 1)
    rates = [mean * record.minute / record.bin_s for mean in mean_over(record.answered_counts, bins)]
    possible, highest = record.possible_per_minute, max(rates)
    drawn = possible is not None and possible <= _FAR * highest
    top = _ROOM * max(highest, possible if drawn and possible is not None else 0.0)
    unit = "minute" if record.minute == 60 else spell_time(record.minute)  # noqa: PLR2004  # a plain minute
    what = f"Answers in the {unit} up to each moment" if bins > 1 else f"Answers in a {unit}, on average"
    told = f"At most {spell_number(round(highest))} in a {unit}, at the end {spell_number(round(rates[-1]))}."
    limit = spell_possible(record)
    where = "dashed" if drawn else "far above"
    note = f"{what}." if limit is None else f"{what}; {where}: what the limits of the keys allow, {limit}."
    scale = WIDTH * record.bin_s / record.seconds
    parts = [
        f'<path class="grid" d="{_grid(top, record.seconds)}"/>',
        f'<path class="bars" transform="scale({scale:.5g},1)" d="{outline(rates, top, _HEIGHT)}"/>',
    ]
    if drawn and possible is not None:
        parts.append(f'<path class="limit" d="M0 {_HEIGHT * (1 - possible / top):.1f}H{WIDTH}"/>')
    picture = figure("rate-p", _HEIGHT, what, f"{told} {note}", "".join(parts))
    return section("rate", "Answers over time", text(note, 300), _chart(top, picture, record.seconds))


def _grid(top: float, seconds: float) -> str:
    across = "".join(f"M0 {_HEIGHT * (1 - share):.1f}H{WIDTH}" for share, _ in number_marks(top))
    return across + "".join(f"M{WIDTH * share:.1f} 0V{_HEIGHT}" for share, _ in time_marks(seconds))


def _chart(top: float, plot: str, seconds: float) -> str:
    numbers = "".join(f'<span style="bottom:{share:.1%}">{words}</span>' for share, words in number_marks(top))
    return (
        f'<div class="chart"><div class="scale" aria-hidden="true">{numbers}</div><div class="plot">{plot}</div>'
        f"{ticks(time_marks(seconds))}</div>"
    )
