"""How long items and answers took, as histograms on a scale of decades."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from stable_openai.bulk.spelling import spell_number, spell_share, spell_time

from .markup import WIDTH, figure, section, text, ticks
from .scales import log_marks, outline

if TYPE_CHECKING:
    from stable_openai.bulk.record import Latencies, RunRecord

__all__ = ["draw_latencies"]

_HEIGHT: Final = 150
_TOP: Final = 48  # of it, for the words of the quantiles
_QUANTILES: Final = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))
_LINE: Final = 15  # pixels from one quantile's words to the next one's
_MIDDLE: Final = 0.75  # of the width: beyond it, words stand on the left of their line


class _Scale:
    """From left to right: the bins that histograms have in common, one more on either side."""

    def __init__(self, *all_latencies: Latencies) -> None:
        edges = all_latencies[0].edges_s
        factor = edges[1] / edges[0] if len(edges) > 1 else math.e
        filled = [place for one in all_latencies for place, count in enumerate(one.counts) if count]
        self.first = max(min(filled) - 1, 0)
        self.bins = max(filled) + 2 - self.first
        self._low = edges[0] * factor ** (self.first - 1)
        self._factor = factor

    def at(self, seconds: float) -> float:
        """Where a length of time stands, as a share of the width."""
        return math.log(seconds / self._low) / math.log(self._factor) / self.bins

    def marks(self) -> list[tuple[float, str]]:
        high = self._low * self._factor**self.bins
        return [(self.at(time), spell_time(time)) for time in log_marks(self._low, high)]


def draw_latencies(record: RunRecord) -> str:
    """The section about how long it took; nothing where nothing ended."""
    shown = [
        (name, title, latencies)
        for name, title, latencies in (
            ("items", "Items, waits for keys included", record.latencies),
            ("attempts", "The provider's answers", record.attempt_latencies),
        )
        if any(latencies.counts)
    ]
    if not shown:
        return ""
    alike = len({latencies.edges_s for _, _, latencies in shown}) == 1
    common = _Scale(*(latencies for _, _, latencies in shown)) if alike else None
    pictures = [_histogram(name, title, one, common or _Scale(one)) for name, title, one in shown]
    note = "The scale is logarithmic. p90: nine of ten took no longer than that."
    return section("latency", "How long it took", note, f'<div class="pair">{"".join(pictures)}</div>')


def _histogram(name: str, title: str, latencies: Latencies, scale: _Scale) -> str:
    counts = latencies.counts[scale.first :]
    found = [(word, share, latencies.quantile(share)) for word, share in _QUANTILES]
    known = [(word, share, time) for word, share, time in found if time is not None]
    marks = scale.marks()
    grid = "".join(f"M{WIDTH * share:.1f} 0V{_HEIGHT}" for share, _ in marks)
    columns = outline(counts, max(counts), _HEIGHT - _TOP)
    parts = [
        f'<path class="grid" d="{grid}M0 {_HEIGHT}H{WIDTH}"/>',
        f'<path class="bars" transform="translate(0,{_TOP}) scale({WIDTH / scale.bins:.5g},1)" d="{columns}"/>',
    ]
    labels = []
    for line, (word, _, time) in enumerate(known):
        at, top = scale.at(time), line * _LINE
        parts.append(f'<path class="{word}" d="M{WIDTH * at:.1f} {top}V{_HEIGHT}"/>')
        side = ' class="left"' if at > _MIDDLE else ""
        labels.append(f'<b{side} style="left:{at:.1%};top:{top}px">{word} {spell_time(time)}</b>')
    told = "; ".join(f"{spell_share(share)} took no longer than {spell_time(time)}" for _, share, time in known)
    picture = figure(
        f"{name}-p", _HEIGHT, title, f"{spell_number(sum(latencies.counts))} in all; {told}.", "".join(parts)
    )
    return f'<div><h3>{text(title)}</h3><div class="plot">{picture}{"".join(labels)}</div>{ticks(marks)}</div>'
