"""Why nothing is eligible, and when it will be: in words and as data."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Explanation", "explain"]

_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer of ``pool.explain(model=…)``; ``str()`` of it is a paragraph.

    Attributes:
        model: The model that was asked about, or None.
        eligible: Names of the keys that a call would get now.
        out: Why each other key is out, by name.
        retry_after: Seconds until the earliest of those is looked at again; 0 where a key is eligible, None for never.
        waiting: Calls that wait for a key now.
    """

    model: str | None
    eligible: tuple[str, ...]
    out: dict[str, str] = field(default_factory=dict)
    retry_after: float | None = None
    waiting: int = 0

    def __str__(self) -> str:
        what = f"for the model {self.model}" if self.model else "for any model"
        total = len(self.eligible) + len(self.out)
        if not total:
            return "The pool has no keys: pool.add(...) one."
        waiting = f" {self.waiting} {'call waits' if self.waiting == 1 else 'calls wait'}." if self.waiting else ""
        if self.eligible:
            text = f"{len(self.eligible)} of {total} keys are eligible {what} now: {_names(list(self.eligible))}."
        elif self.retry_after is None:
            text = f"No key of {total} is eligible {what}, and none is expected back by itself."
        else:
            text = f"No key of {total} is eligible {what}; the earliest is looked at again in {self.retry_after:.1f} s."
        reasons = [f"{name} {reason}" for name, reason in list(self.out.items())[:_SHOWN]]
        more = f"; and {len(self.out) - len(reasons)} more" if len(self.out) > len(reasons) else ""
        return text + waiting + (f" Out: {'; '.join(reasons)}{more}." if reasons else "")


def explain(
    names: list[str], out: dict[str, str], *, model: str | None, retry_after: float | None, waiting: int
) -> Explanation:
    """Put together what a pool knows."""
    eligible = tuple(name for name in names if name not in out)
    return Explanation(model, eligible, out, 0.0 if eligible else retry_after, waiting)


def _names(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
