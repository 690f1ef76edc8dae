"""What each key did when: a strip for each, with its attempts as columns and its rests as lines across."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from stable_openai.bulk.spelling import spell_number, spell_reason, spell_share, spell_state, spell_time
from stable_openai.bulk.stretches import join

from .markup import WIDTH, figure, section, text, ticks
from .scales import fewer, outline, time_marks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stable_openai.bulk.busiest import Choice
    from stable_openai.bulk.record import KeyRecord, RunRecord, Stretch

__all__ = ["draw_timeline"]

_HEIGHT: Final = 26
_BINS: Final = 150
_STRETCHES: Final = 120  # of a key
_TITLES: Final = 400  # of single stretches, on the page; where there are more, those of one standing share one
_NEAR: Final = 1 / 500  # of the time shown: stretches as near as this are seen as one
_LEAST_WIDTH: Final = 3  # of a picture's units: a rest of milliseconds is still seen
_TRANSIENT: Final = frozenset({"open", "cooling down"})  # nothing to be told of the reason
_CLASSES: Final = {"cooling down": "cooling", "parked": "parked", "barred": "barred", "retired": "retired"}
_LEGEND: Final = (
    ("cooling", "cooling down"),
    ("parked", "parked: out of quota"),
    ("barred", "barred from the model"),
    ("retired", "retired: never used again"),
)


class _Frame(NamedTuple):
    """What all strips have in common.

    Attributes:
        seconds: How long the time shown is.
        bin_s: How long a column's time is.
        tallest: The most attempts in one.
        titles: How many stretches of a strip may have titles of their own.
    """

    seconds: float
    bin_s: float
    tallest: int
    titles: int


def draw_timeline(record: RunRecord, choice: Choice) -> str:
    """The section about what each key did; nothing where there are no keys."""
    if not choice.shown or not record.seconds:
        return ""
    size = max(math.ceil(max(len(key.counts) for key in choice.shown) / _BINS), 1)
    columns = [fewer(key.counts, size) for key in choice.shown]
    frame = _Frame(
        seconds=record.seconds,
        bin_s=record.bin_s * size,
        tallest=max(max(counts, default=0) for counts in columns),
        titles=_TITLES // len(choice.shown),
    )
    rows = [
        _row(f"key{number}", key, counts, frame)
        for number, (key, counts) in enumerate(zip(choice.shown, columns, strict=True))
    ]
    note = f"Columns: attempts in {spell_time(frame.bin_s)}, up to {spell_number(frame.tallest)}; right: all of them."
    if choice.others:
        note += (
            f" Shown are the busiest keys and those that had trouble; {spell_number(choice.others)} others made "
            f"{spell_number(choice.uses)} attempts, of which {spell_number(choice.failed)} failed."
        )
    axis = f'<div class="axis">{ticks(time_marks(record.seconds))}<div class="n">attempts</div></div>'
    return section("timeline", "What each key did", text(note, 400), "".join(rows) + axis + _legend(choice))


def _row(name: str, key: KeyRecord, counts: Sequence[int], frame: _Frame) -> str:
    state = key.standing if key.standing in _TRANSIENT else spell_state(key)
    state = "" if key.standing == "open" else f"<small>{text(state, 200)}</small>"
    picture = figure(name, _HEIGHT, f"{key.name} over time", _told(key, frame.seconds), _strip(key, counts, frame))
    return (
        f'<div class="row"><div class="name">{text(key.name)}{state}</div>{picture}'
        f'<div class="n">{spell_number(key.uses)}</div></div>'
    )


def _told(key: KeyRecord, seconds: float) -> str:
    """A strip in words."""
    told = f"{spell_number(key.uses)} attempts, {spell_number(key.failed)} failed."
    out = sum(stretch.end_s - stretch.start_s for stretch in key.stretches)
    if out:
        times = "once" if len(key.stretches) == 1 else f"{len(key.stretches)} times"
        told += f" Out {times}, for {spell_time(out)} in all, {spell_share(min(out / seconds, 1.0))} of the time."
    return told if key.standing == "open" else f"{told} At the end: {spell_state(key)}."


def _strip(key: KeyRecord, counts: Sequence[int], frame: _Frame) -> str:
    lines = "".join(f"M{WIDTH * share:.0f} 0V{_HEIGHT}" for share, _ in time_marks(frame.seconds))
    parts = [f'<path class="grid" d="{lines}M0 {_HEIGHT}H{WIDTH}"/>']
    parts += _stretches(key, frame)
    if any(counts):
        scale = WIDTH * frame.bin_s / frame.seconds
        path = outline(counts, frame.tallest, _HEIGHT)
        parts.append(f'<path class="bars" transform="scale({scale:.5g},1)" d="{path}"/>')
    return "".join(parts)


def _stretches(key: KeyRecord, frame: _Frame) -> Iterator[str]:
    """When it was out: each time by itself, or where that is often, all times of one standing together."""
    stretches = join(key.stretches, _STRETCHES, _NEAR * frame.seconds)
    if len(stretches) <= frame.titles:
        for stretch in stretches:
            joined = sum(stretch.start_s <= one.start_s and one.end_s <= stretch.end_s for one in key.stretches)
            times = f" {joined} times" if joined > 1 else ""
            told = f"{stretch.standing}{times} from {spell_time(stretch.start_s)} to {spell_time(stretch.end_s)}"
            yield _line([stretch], f"{told}{_why(stretch)}", frame)
        return
    for standing in dict.fromkeys(stretch.standing for stretch in stretches):
        alike = [stretch for stretch in key.stretches if stretch.standing == standing]
        out = sum(stretch.end_s - stretch.start_s for stretch in alike)
        told = f"{standing} {len(alike)} times, for {spell_time(out)} in all{_why(alike[-1])}"
        yield _line([stretch for stretch in stretches if stretch.standing == standing], told, frame)


def _why(stretch: Stretch) -> str:
    return f": {spell_reason(stretch.reason)}" if stretch.reason else ""


def _line(stretches: Sequence[Stretch], told: str, frame: _Frame) -> str:
    """Stretches of one standing as lines across."""
    path, at = f"M0 {_HEIGHT // 2}", 0
    for stretch in stretches:
        start = min(round(stretch.start_s / frame.seconds * WIDTH), WIDTH - _LEAST_WIDTH)
        width = max(round(stretch.end_s / frame.seconds * WIDTH) - start, _LEAST_WIDTH)
        path += f"m{start - at} 0h{width}"
        at = start + width
    kind = _CLASSES.get(stretches[0].standing, "barred")
    return f'<path class="{kind}" d="{path}"><title>{text(told, 200)}</title></path>'


def _legend(choice: Choice) -> str:
    """What the lines mean, of those that there are."""
    seen = {_CLASSES.get(stretch.standing, "barred") for key in choice.shown for stretch in key.stretches}
    items = "".join(
        f'<li><svg viewBox="0 0 32 {_HEIGHT}" height="{_HEIGHT}" aria-hidden="true">'
        f'<path class="{kind}" d="M0 {_HEIGHT // 2}H32"/></svg>{text(words)}</li>'
        for kind, words in _LEGEND
        if kind in seen
    )
    return f'<ul class="legend">{items}</ul>' if items else ""
