"""Verdicts: what an answer or an exception of a provider means. One pure function, one table, standard library only."""

from stable_openai.verdict.answer import Answer, Headers
from stable_openai.verdict.judging import Rule, judge
from stable_openai.verdict.limit_headers import observe_limits
from stable_openai.verdict.verdicts import Dimension, ObservedLimit, OwnerKind, Reason, Scope, Verdict

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
