"""The timeline of a crawl as a picture: what each key did when."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from stable_openai.beside import written_beside

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from stable_openai.simulator import Arrival, SimKey

    from .journal import Entry

__all__ = ["Timeline", "draw", "used_up"]

# Okabe and Ito's colours, which colour-blind eyes tell apart.
_SERVED: Final = "#0072B2"
_REFUSED: Final = "#D55E00"
_COOLING: Final = "#E69F00"
_FULL: Final = "#DDDDDD"
_BLACK: Final = "#000000"
_HEIGHT: Final = 0.72  # of a lane, for its bars
_BINS: Final = 110
_NEARLY_ALL: Final = 0.95  # of a limit: the pool keeps a request or two back, against early arrivals
_LEAST_WIDTH: Final = 0.004  # of the time shown: a cooldown of milliseconds is still seen
_MARKS: Final = {"retired": "X", "parked": "s"}


@dataclass(frozen=True)
class Timeline:
    """What is drawn; all moments are seconds of the simulator.

    Attributes:
        title: The title.
        keys: The keys, from top to bottom.
        arrivals: Every request that the simulator saw.
        entries: The pool's events.
        minute: The simulator's minute.
        start: The moment that is drawn as 0.
        end: The last moment.
    """

    title: str
    keys: Sequence[SimKey]
    arrivals: Sequence[Arrival]
    entries: Sequence[Entry]
    minute: float
    start: float
    end: float


def draw(timeline: Timeline, path: Path) -> None:
    """Draw it into a file: whole, or not at all."""
    figure = Figure(figsize=(11, 1.9 + 0.62 * len(timeline.keys)), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    step, tallest = _draw_requests(axes, timeline)
    _draw_rests(axes, timeline)
    _draw_ends(axes, timeline)
    _label(axes, timeline, step, tallest)
    with written_beside(path) as beside:
        figure.savefig(beside, format=path.suffix.lstrip(".").lower() or "png")


def _draw_requests(axes: Axes, timeline: Timeline) -> tuple[float, int]:
    """Bars of the requests that arrived; returns how long a bar's time is, and the tallest bar's number."""
    step = max(timeline.end - timeline.start, 0.1) / _BINS
    served: Counter[tuple[str, int]] = Counter()
    refused: Counter[tuple[str, int]] = Counter()
    for arrival in timeline.arrivals:
        place = (arrival.key, math.floor((arrival.at - timeline.start) / step))
        (served if arrival.accepted else refused)[place] += 1
    tallest = max((served[place] + refused[place] for place in {*served, *refused}), default=1)
    for lane, key in enumerate(timeline.keys):
        base = lane + _HEIGHT / 2
        for counts, below, colour in ((served, None, _SERVED), (refused, served, _REFUSED)):
            places = [place for place in counts if place[0] == key.name]
            scale = -_HEIGHT / tallest  # lanes count downwards
            axes.bar(
                [place[1] * step for place in places],
                [counts[place] * scale for place in places],
                width=step,
                bottom=[base + (below[place] * scale if below is not None else 0.0) for place in places],
                align="edge",
                color=colour,
                zorder=3,
            )
    return step, tallest


def _draw_rests(axes: Axes, timeline: Timeline) -> None:
    """Shade the time in which a key's window was used up, and its cooldowns."""
    last = timeline.end - timeline.start
    for lane, key in enumerate(timeline.keys):
        where = (lane - 0.45, 0.9)
        full = [(start - timeline.start, min(end, timeline.end) - start) for start, end in used_up(timeline, key)]
        axes.broken_barh(full, where, color=_FULL, zorder=1)
        cooldowns = [
            (entry.at - timeline.start, max(entry.event.seconds, _LEAST_WIDTH * last))
            for entry in timeline.entries
            if entry.event.key == key.name and entry.event.kind == "cooldown"
        ]
        axes.broken_barh(cooldowns, where, color=_COOLING, zorder=2)


def used_up(timeline: Timeline, key: SimKey) -> list[tuple[float, float]]:
    """The stretches in which the key's limit was all but used up; those too short to be seen are left out."""
    if key.rpm is None:
        return []
    times = [arrival.at for arrival in timeline.arrivals if arrival.key == key.name and arrival.accepted]
    enough = math.ceil(_NEARLY_ALL * key.rpm)
    least = _LEAST_WIDTH * (timeline.end - timeline.start)
    found: list[tuple[float, float]] = []
    for first, last in zip(times, times[enough - 1 :], strict=False):
        until = first + timeline.minute
        if until <= last:
            continue
        if found and last <= found[-1][1] + least:
            found[-1] = (found[-1][0], until)
        else:
            found.append((last, until))
    return [stretch for stretch in found if stretch[1] - stretch[0] > least]


def _draw_ends(axes: Axes, timeline: Timeline) -> None:
    """Mark where a key was retired or parked; nothing is to be expected of it after that."""
    lanes = {key.name: lane for lane, key in enumerate(timeline.keys)}
    for entry in timeline.entries:
        mark = _MARKS.get(entry.event.kind)
        if mark is None or entry.event.key not in lanes:
            continue
        at, lane = entry.at - timeline.start, lanes[entry.event.key]
        axes.hlines(lane, at, timeline.end - timeline.start, color=_BLACK, linestyle=":", linewidth=1.2, zorder=4)
        axes.plot(at, lane, marker=mark, color=_BLACK, markersize=9, zorder=5)
        axes.annotate(
            f"{entry.event.kind}: {entry.event.reason.replace('_', ' ')}",
            (at, lane),
            xytext=(10, 6),
            textcoords="offset points",
            fontsize=9,
        )


def _label(axes: Axes, timeline: Timeline, step: float, tallest: int) -> None:
    last = timeline.end - timeline.start
    axes.set_title(timeline.title, loc="left", fontsize=12)
    axes.set_xlim(-0.01 * last, last * 1.01)
    axes.set_ylim(len(timeline.keys) - 0.5, -0.5)
    axes.set_yticks(
        range(len(timeline.keys)),
        [f"{key.name}\n{key.rpm} per minute" if key.rpm is not None else str(key.name) for key in timeline.keys],
    )
    axes.set_xlabel(
        f"seconds since the first request (a minute of the simulator lasts {timeline.minute:g} s); "
        f"bars: requests in {step:.2g} s, the tallest {tallest}"
    )
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.legend(
        handles=[
            Patch(color=_SERVED, label="admitted"),
            Patch(color=_REFUSED, label="rejected"),
            Patch(color=_FULL, label="limit all but used up"),
            Patch(color=_COOLING, label="cooldown"),
            Line2D([], [], color=_BLACK, marker=_MARKS["retired"], linestyle=":", label="retired"),
            Line2D([], [], color=_BLACK, marker=_MARKS["parked"], linestyle=":", label="parked"),
        ],
        loc="upper center",
        bbox_to_anchor=(0.5, -0.17),
        ncols=6,
        frameon=False,
    )
