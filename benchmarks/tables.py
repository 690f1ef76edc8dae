"""Plain tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["spell_ns", "table"]


def table(head: Sequence[str], rows: Sequence[Sequence[object]], *, indent: str = "  ") -> str:
    """Lay out rows of text and numbers; the first column to the left, the others to the right."""
    shown = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[place]) for row in shown) for place in range(len(head))]
    lines = []
    for row in shown:
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        cells[0] = row[0].ljust(widths[0])
        lines.append(indent + "  ".join(cells).rstrip())
    lines.insert(1, indent + "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def spell_ns(nanoseconds: float) -> str:
    """A duration in a unit that reads well."""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if abs(nanoseconds) >= size:
            return f"{nanoseconds / size:.2f} {unit}"
    return f"{nanoseconds:.0f} ns"
