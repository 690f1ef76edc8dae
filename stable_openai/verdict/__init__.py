"""Verdicts: what an answer or an exception of a provider means. One pure function, one table, standard library only.

The words of a verdict load at once. What reads answers has tables and patterns that take longer to make (some 50 ms)
than all else in the package together, so it loads when something is to be read for the first time.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from stable_openai.verdict.verdicts import Dimension, ObservedLimit, OwnerKind, Reason, Scope, Verdict

if TYPE_CHECKING:
    from stable_openai.verdict.answer import Answer, Headers
    from stable_openai.verdict.judging import Rule, judge
    from stable_openai.verdict.limit_headers import observe_limits

__all__ = [
    "Answer",
    "Dimension",
    "Headers",
    "ObservedLimit",
    "OwnerKind",
    "Reason",
    "Rule",
    "Scope",
    "Verdict",
    "judge",
    "observe_limits",
]

_HOMES: Final = {
    "Answer": "answer",
    "Headers": "answer",
    "Rule": "judging",
    "judge": "judging",
    "observe_limits": "limit_headers",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
