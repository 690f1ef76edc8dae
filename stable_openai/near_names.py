"""What to say of a name that nobody knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["is_unknown"]


def is_unknown(name: str, known: Iterable[str], said: str = "is unknown") -> str:
    """Say that a name is unknown, which one may have been meant, and which there are.

    Args:
        name: The name.
        known: Those that are known.
        said: What to say of it.
    """
    import difflib

    names = list(known)
    spelled = name.strip().lower().replace("-", "_")
    near = [spelled] if spelled in names else difflib.get_close_matches(spelled, names, 1)
    there = f"{'is' if len(names) == 1 else 'are'} {', '.join(names)}"
    return f"{said}: did you mean {near[0]}? Known {there}" if near else f"{said}; known {there}"
