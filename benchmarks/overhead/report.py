"""The tables of the overhead."""

from __future__ import annotations

from typing import Any

from benchmarks.tables import spell_ns, table

__all__ = ["show"]


def show(name: str, found: dict[str, Any]) -> None:
    """Print a part."""
    print({"kinds": "Kinds of function, 10 keys", "keys": "Numbers of keys", "threads": "Threads: calls a second",
           "tasks": "1,000 tasks", "routers": "Beside routers", "scale": "Scale"}[name])  # fmt: skip
    if name in ("kinds", "keys", "routers"):
        for title, part in found.items():
            print(_timed(title, part["rows"]))
            if part.get("missing"):
                print(f"  not installed: {', '.join(part['missing'])}")
            print()
    elif name == "tasks":
        print(_timed("coroutine", found), end="\n\n")
    elif name == "threads":
        rows = [
            [who, *(f"{rates[n]:,}" for n in ("1", "8", "64")), rates["8 to 1"], rates["64 to 1"]]
            for who, rates in found.items()
        ]
        print(table(["", "1", "8", "64", "8 to 1", "64 to 1"], rows), end="\n\n")
    else:
        for title, part in found.items():
            print(f"  {title}: " + ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in part.items()))
        print(flush=True)


def _timed(title: str, rows: dict[str, dict[str, float]]) -> str:
    extra = [key for key in ("of_tenacity", "of_10_keys", "of_ours") if any(key in row for row in rows.values())]
    head = [title, "a call", "added", "times bare", *(key.replace("_", " ") for key in extra)]
    lines = []
    for name, row in rows.items():
        added = spell_ns(row["added_ns"]) if "added_ns" in row else ""
        lines.append([name, spell_ns(row["ns"]), added, row.get("times_bare", ""), *(row.get(k, "") for k in extra)])
    return table(head, lines)
