"""The tables of the goodput. A time stands never without what was lost."""

from __future__ import annotations

from typing import Any

from benchmarks.tables import table

__all__ = ["chosen", "goodput", "show"]

_OF = {"stable_openai, pace": "oracle, paced"}  # who is to be compared with an oracle of his own rule as well
_HEAD = ("", "time", "to best", "answered", "lost", "429s/1,000", "p50", "p99", "goodput", "of oracle", "lost by")


def chosen(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The run of median goodput, of several."""
    ended = [run for run in runs if "failed" not in run]
    return sorted(ended, key=goodput)[len(ended) // 2] if ended else runs[0]


def goodput(row: dict[str, Any], oracle: dict[str, Any] | None = None) -> float:
    """Answers a second; of one that ended before the oracle (it gave up early), over the oracle's time."""
    at_least = 0.0 if oracle is None or "failed" in oracle or not row["lost"] else oracle["seconds"]
    return row["answered"] / max(row["seconds"], at_least)


def show(name: str, part: dict[str, Any]) -> None:
    """Print a variant."""
    rows = part["rows"]
    oracle = rows.get("oracle")
    lines = []
    for client, row in rows.items():
        if "failed" in row:
            lines.append([client, "failed", *[""] * 8, row["failed"][:60]])
            continue
        of_oracle = f"{goodput(row, oracle) / goodput(oracle):.1%}" if oracle and "failed" not in oracle else ""
        peer = rows.get(_OF.get(client, ""))
        if peer and "failed" not in peer:
            of_oracle += f" ({goodput(row) / goodput(peer):.1%} of paced)"
        lines.append(
            [
                client,
                f"{row['seconds']:.2f} s",
                f"{row['seconds'] / row['best_s']:.2f}",
                f"{row['share']:.1%}",
                row["lost"],
                row["rejected_per_1000"],
                f"{row['p50_s']:.2f} s",
                f"{row['p99_s']:.2f} s",
                f"{goodput(row, oracle):.1f}/s",
                of_oracle,
                ", ".join(f"{kind} {count}" for kind, count in row["errors"].items()),
            ]
        )
    print(table([name, *_HEAD[1:]], lines))
    if part["missing"]:
        print(f"  not installed: {', '.join(part['missing'])}")
    print(flush=True)
