"""Bar charts as SVG, written by hand: legible on light and dark pages, and the same for the same figures."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from benchmarks.goodput.report import goodput
from benchmarks.tables import spell_ns

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["Row", "bars", "draw"]

_WIDTH: Final = 860
_LETTER: Final = 7.9  # the width of one in a name, on average
_COLUMN: Final = 92
_ROW: Final = 26
_STYLE: Final = """
text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #24292f }
.title { font-weight: 600; font-size: 15px } .note { font-size: 11.5px; fill: #57606a } .bold { font-weight: 600 }
.ours { fill: #1a7f37 } .ideal { fill: #54aeff } .peer { fill: #8c959f } .loss { fill: #cf222e }
.tick { stroke: #d0d7de; stroke-width: 1 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .note { fill: #9198a1 }
  .ours { fill: #3fb950 } .ideal { fill: #388bfd } .peer { fill: #6e7681 } .loss { fill: #f85149 }
  .tick { stroke: #30363d }
}
"""
_KINDS: Final = {"stable_openai": "ours", "oracle": "ideal", "direct": "ideal"}


class Row(NamedTuple):
    """One bar: its name, its length from 0 to 1, the part of the whole that was lost, and figures for the columns."""

    name: str
    length: float
    lost: float
    figures: tuple[str, ...]


def bars(
    title: str, note: str, rows: Sequence[Row], *, head: Sequence[str] = (), ticks: Sequence[tuple[float, str]] = ()
) -> str:
    """Draw horizontal bars, and their figures in columns on the right.

    Args:
        title: What they show.
        note: A line below.
        rows: The bars.
        head: What the columns are.
        ticks: Places from 0 to 1 and their names, for a scale.
    """
    columns = max(len(row.figures) for row in rows)
    label = round(24 + _LETTER * max(len(row.name) for row in rows))
    room = _WIDTH - label - columns * _COLUMN - 16
    top = 60 if head or ticks else 36
    height = top + 28 + _ROW * len(rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{_STYLE}</style>",
        f'<text class="title" x="8" y="22">{escape(title)}</text>',
    ]
    for place, word in ticks:
        x = f"{label + room * place:.1f}"
        parts.append(f'<line class="tick" x1="{x}" y1="{top - 2}" x2="{x}" y2="{top + _ROW * len(rows)}"/>')
        parts.append(f'<text class="note" x="{x}" y="{top - 8}" text-anchor="middle">{escape(word)}</text>')
    parts += [_figure(place - columns, top - 8, word, "note") for place, word in enumerate(head)]
    for number, row in enumerate(rows):
        parts += _row(row, top + _ROW * number, label, room)
    parts += [f'<text class="note" x="8" y="{height - 10}">{escape(note)}</text>', "</svg>"]
    return "\n".join(parts) + "\n"


def _row(row: Row, top: int, label: int, room: float) -> list[str]:
    kind = _KINDS.get(row.name.partition(",")[0].partition(":")[0], "peer")
    weight = "bold" if kind == "ours" else "plain"
    full, red = max(1.0, room * row.length), room * row.lost
    size = f'y="{top + 3}" height="{_ROW - 8}" rx="2"'
    parts = [
        f'<text class="{weight}" x="{label - 8}" y="{top + 16}" text-anchor="end">{escape(row.name)}</text>',
        f'<rect class="{kind}" x="{label}" width="{full:.1f}" {size}/>',
    ]
    if red >= 0.5:
        parts.append(f'<rect class="loss" x="{label + full:.1f}" width="{red:.1f}" {size}/>')
    last = len(row.figures)
    return parts + [_figure(place - last, top + 16, word, weight) for place, word in enumerate(row.figures)]


def _figure(place: int, y: int, word: str, kind: str) -> str:
    """A figure in one of the columns, counted from the right."""
    x = _WIDTH - 8 + (place + 1) * _COLUMN
    return f'<text class="{kind}" x="{x}" y="{y}" text-anchor="end">{escape(word)}</text>'


def draw(section: str, found: dict[str, Any], directory: Path) -> None:
    """Draw the charts of a section."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, picture in _DRAWERS[section](found).items():
        (directory / f"{name}.svg").write_text(picture)


def _overhead(found: dict[str, Any]) -> dict[str, str]:
    rows = {name: row["added_ns"] for name, row in found.get("kinds", {}).get("function", {}).get("rows", {}).items()
            if "added_ns" in row}  # fmt: skip
    for name, row in found.get("routers", {}).get("10 keys", {}).get("rows", {}).items():
        if "of_ours" in row:
            rows[name] = row["added_ns"]
    if not rows:
        return {}
    note = "Added to an empty function that succeeds at once; 10 keys with limits a minute and a day. Logarithmic."
    return {"overhead": _logarithmic("What a call costs", note, rows)}


def _import(found: dict[str, Any]) -> dict[str, str]:
    rows = {name: row["ms"] * 1e6 for name, row in found["rows"].items()}
    named = {_SHORT.get(name, name.removeprefix("import ")): value for name, value in rows.items()}
    note = "In a fresh interpreter. First use: from stable_openai import KeyPool, stable. Logarithmic."
    return {"import": _logarithmic("What importing takes", note, named)}


_SHORT: Final = {"from stable_openai import KeyPool, stable": "stable_openai: first use"}


def _logarithmic(title: str, note: str, rows: dict[str, float]) -> str:
    """Bars on a scale of decades, with a line for each."""
    first = math.log10(min(rows.values())) - 0.3
    span = math.log10(max(rows.values())) - first
    ordered = sorted(rows.items(), key=lambda row: row[1])
    lines = [Row(name, (math.log10(value) - first) / span, 0.0, (spell_ns(value),)) for name, value in ordered]
    decades = range(math.ceil(first), math.floor(first + span) + 1)
    return bars(title, note, lines, ticks=[((d - first) / span, _spell_decade(d)) for d in decades])


def _spell_decade(decade: int) -> str:
    unit = ("ns", "µs", "ms", "s")[decade // 3]
    return f"{10 ** (decade % 3)} {unit}"


def _goodput(found: dict[str, Any]) -> dict[str, str]:
    pictures = {}
    for variant, part in found.items():
        if variant == "about":
            continue
        rows = {name: row for name, row in part["rows"].items() if "failed" not in row}
        if not rows:
            continue
        rates = {name: goodput(row, rows.get("oracle")) for name, row in rows.items()}
        whole = {name: rates[name] * (1 + row["lost"] / max(1, row["answered"])) for name, row in rows.items()}
        longest = max(whole.values())
        lines = [
            Row(name, rates[name] / longest, (whole[name] - rates[name]) / longest, _figures(rates[name], rows[name]))
            for name in sorted(rows, key=lambda name: -rates[name])
        ]
        asked = max(row["answered"] + row["lost"] for row in rows.values())
        note = f"{asked} requests; a dead key, an unpaid one and faults among the rest. Red: requests that were lost."
        slug = variant.replace(",", "").replace(" ", "-").lower()
        pictures[f"goodput-{slug}"] = bars(f"Answers a second, at the limit: {variant}", note, lines, head=_HEAD)
    return pictures


_HEAD: Final = ("answers/s", "lost", "429s/1,000", "time")


def _figures(rate: float, row: dict[str, Any]) -> tuple[str, ...]:
    share = row["lost"] / max(1, row["answered"] + row["lost"])
    lost = f"{row['lost']} ({share:{'.0%' if share >= 0.01 else '.1%'}})" if row["lost"] else "none"
    return f"{rate:.1f}", lost, f"{row['rejected_per_1000']:,.0f}", f"{row['seconds']:.1f} s"


def _doors(found: dict[str, Any]) -> dict[str, str]:
    rows = {name: row["per_second"] for name, row in found["rows"].items() if "per_second" in row}
    if not rows:
        return {}
    best = max(rows.values())
    note = "Requests a second of 64 threads against a simulated provider that takes 20 ms."
    drawn = [Row(name, value / best, 0.0, (f"{value:.0f}/s",)) for name, value in rows.items()]
    return {"doors": bars("A decorated function's clients", note, drawn)}


def _stores(found: dict[str, Any]) -> dict[str, str]:
    costs = {
        name if name.startswith("two ") else f"stable_openai: {name}": row["us"] * 1e3
        for name, row in found["costs"].items()
    }
    note = "Two plain transactions in SQLite, and two plain round trips of redis-py, by the same clock. Logarithmic."
    rows = [
        Row(f"stable_openai: {store}", row["goodput"], 0.0, (f"{row['goodput']:.1%}", str(row["lost"] or "none")))
        for store, row in found["crowds"].items()
    ]
    size = found["about"]["crowd"]
    crowd = (
        f"{size['processes']} processes of {size['threads']} threads over {size['keys']} keys, after the first minute."
    )
    return {
        "stores": _logarithmic("A lease, taken and settled", note, costs),
        "stores-goodput": bars(
            "Requests let in, against what the limits allow", crowd, rows, head=("of limit", "lost")
        ),
    }


def _bulk(found: dict[str, Any]) -> dict[str, str]:
    costs = {name: row["us"] * 1e3 for name, row in found["overhead"].items()}
    note = "A function that does nothing, eight at a time; a checkpoint has each line on the disk first. Logarithmic."
    pictures = {"bulk": _logarithmic("What an item costs", note, costs)}
    most = {name: row["most"] for name, row in found["memory"].items()}
    if most:
        rows = [Row(name, value / max(most.values()), 0.0, (f"{value} MiB",)) for name, value in most.items()]
        note = f"The most that was resident while {found['about']['items']:,} items were gone through."
        pictures["bulk-memory"] = bars("Memory of many items", note, rows)
    return pictures


def _gateway(found: dict[str, Any]) -> dict[str, str]:
    rows = found["rows"]
    best = max(row["per_second"] for row in rows.values())
    drawn = [
        Row(name, row["per_second"] / best, 0.0, (f"{row['per_second']}/s", f"{row['added_ms']} ms"))
        for name, row in rows.items()
    ]
    note = "One worker, 50 connections, a provider that answers at once; and what is added at a rate it is not full at."
    return {"gateway": bars("Requests a second through a gateway", note, drawn, head=("a second", "added"))}


_DRAWERS: Final = {
    "overhead": _overhead,
    "goodput": _goodput,
    "doors": _doors,
    "stores": _stores,
    "bulk": _bulk,
    "gateway": _gateway,
    "import": _import,
}
