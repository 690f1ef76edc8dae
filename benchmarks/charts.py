"""Bar charts as SVG, written by hand: legible on light and dark pages, and the same for the same figures."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any, Final

from benchmarks.goodput.report import goodput
from benchmarks.tables import spell_ns

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["bars", "draw"]

_WIDTH: Final = 860
_LABEL: Final = 220
_VALUE: Final = 250
_ROW: Final = 26
_STYLE: Final = """
text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #24292f }
.title { font-weight: 600; font-size: 15px } .note { font-size: 11.5px; fill: #57606a }
.ours { fill: #1a7f37 } .peer { fill: #8c959f } .loss { fill: #cf222e }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .note { fill: #9198a1 }
  .ours { fill: #3fb950 } .peer { fill: #6e7681 } .loss { fill: #f85149 }
}
"""


def bars(title: str, note: str, rows: Sequence[tuple[str, float, float, str]]) -> str:
    """Draw horizontal bars.

    Args:
        title: What they show.
        note: A line below.
        rows: Name, length from 0 to 1, the part of that length that was lost, and the value in words.
    """
    height = 64 + _ROW * len(rows)
    room = _WIDTH - _LABEL - _VALUE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
        f"<style>{_STYLE}</style>",
        f'<text class="title" x="8" y="22">{escape(title)}</text>',
    ]
    for number, (name, length, lost, value) in enumerate(rows):
        top = 36 + _ROW * number
        kind = "ours" if name.startswith("stable_openai") else "peer"
        full, red = max(1.0, room * length), room * lost
        parts += [
            f'<text x="{_LABEL - 8}" y="{top + 15}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{kind}" x="{_LABEL}" y="{top + 3}" width="{full:.1f}" height="{_ROW - 8}" rx="2"/>',
        ]
        if red >= 0.5:
            left = f"{_LABEL + full:.1f}"
            parts.append(f'<rect class="loss" x="{left}" y="{top + 3}" width="{red:.1f}" height="{_ROW - 8}" rx="2"/>')
        parts.append(f'<text x="{_LABEL + full + red + 8:.1f}" y="{top + 15}">{escape(value)}</text>')
    parts += [f'<text class="note" x="8" y="{height - 10}">{escape(note)}</text>', "</svg>"]
    return "\n".join(parts) + "\n"


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
    return {"overhead": bars("What a call costs", note, _logarithmic(rows))}


def _import(found: dict[str, Any]) -> dict[str, str]:
    rows = {name: row["ms"] * 1e6 for name, row in found["rows"].items()}
    named = {name.removeprefix("import ").replace("from stable_openai import ", "stable_openai: "): value
             for name, value in rows.items()}  # fmt: skip
    return {"import": bars("What importing takes", "In a fresh interpreter. Logarithmic.", _logarithmic(named))}


def _logarithmic(rows: dict[str, float]) -> list[tuple[str, float, float, str]]:
    low = math.log10(min(rows.values())) - 0.3
    span = math.log10(max(rows.values())) - low
    ordered = sorted(rows.items(), key=lambda row: row[1])
    return [(name, (math.log10(value) - low) / span, 0.0, spell_ns(value)) for name, value in ordered]


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
        ordered = sorted(rows, key=lambda name: -rates[name])
        lines = [
            (name, rates[name] / longest, (whole[name] - rates[name]) / longest, _spell(rates[name], rows[name]))
            for name in ordered
        ]
        note = "Answers a second (red: requests lost meanwhile), 1 dead and 1 unpaid key and faults among the keys."
        slug = variant.replace(",", "").replace(" ", "-").lower()
        pictures[f"goodput-{slug}"] = bars(f"A crawl at the limit: {variant}", note, lines)
    return pictures


def _spell(rate: float, row: dict[str, Any]) -> str:
    lost = f"{row['lost']} lost" if row["lost"] else "none lost"
    return f"{rate:.1f}/s, {lost}, {row['rejected_per_1000']:.0f} 429s/1,000"


_DRAWERS: Final = {"overhead": _overhead, "goodput": _goodput, "import": _import}
