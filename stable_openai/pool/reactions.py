"""What a verdict does to the lanes of a key: the table of DESIGN, "Reacting"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stable_openai.stores.lanes import Kind, Standing
from stable_openai.stores.protocol import Effect, Outcome
from stable_openai.verdict import Reason, Scope

if TYPE_CHECKING:
    from stable_openai.verdict import Verdict

__all__ = ["outcome_of"]

_CONCURRENCY_REST: Final = 1.0  # seconds: a running call has to end first, and nobody says when
_SHARED: Final = {Scope.ORGANIZATION: Kind.OWNER, Scope.KEY_AND_MODEL: Kind.KEY_AND_MODEL, Scope.KEY: Kind.KEY}
_SHORT_WINDOWS: Final = {
    Reason.RATE_LIMITED_REQUESTS_MINUTE: "requests",
    Reason.RATE_LIMITED_TOKENS_MINUTE: "tokens",
}


def outcome_of(verdict: Verdict, tokens: int | None = None) -> Outcome:
    """The outcome of an attempt that was judged so.

    Args:
        verdict: What ``judge`` said of the answer or exception.
        tokens: What was really used, where known.
    """
    return Outcome(
        success=verdict.reason is Reason.OK or verdict.is_request_fault,
        trouble=verdict.is_provider_trouble,
        tokens=tokens,
        effect=_effect_of(verdict),
        early=None if verdict.oversized else _SHORT_WINDOWS.get(verdict.reason),
    )


def _effect_of(verdict: Verdict) -> Effect | None:
    if verdict.oversized:
        return None  # the request is larger than the limit: nothing that rest would cure
    reason, seconds = verdict.reason, verdict.wait_s
    shared = verdict.scope is Scope.ORGANIZATION
    if verdict.is_rate_limit:
        # Where nothing is named, the model that was asked for is what the limit most likely belongs to.
        kind, standing = (Kind.OWNER if shared else Kind.KEY_AND_MODEL), Standing.COOLING
        if seconds is None and reason is Reason.RATE_LIMITED_CONCURRENCY:
            seconds = _CONCURRENCY_REST
    elif reason is Reason.QUOTA_EXHAUSTED:
        kind, standing = _SHARED.get(verdict.scope, Kind.KEY), Standing.PARKED
    elif reason in (Reason.INVALID_KEY, Reason.KEY_DISABLED):
        kind = Kind.OWNER if shared and reason is Reason.KEY_DISABLED else Kind.KEY
        standing = Standing.RETIRED
    elif reason in (Reason.PERMISSION_DENIED, Reason.MODEL_UNAVAILABLE_FOR_KEY):
        kind, standing, seconds = Kind.KEY_AND_MODEL, Standing.BARRED, None
    else:
        return None
    return Effect(kind, standing, seconds, reason.value, verdict.message)
