"""What a verdict does to the lanes of a key: the table of DESIGN, "Reacting"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from stable_openai.stores.lanes import Kind, Standing
from stable_openai.stores.protocol import Effect, Outcome, Rejection
from stable_openai.verdict import Reason, Scope

if TYPE_CHECKING:
    from stable_openai.verdict import Verdict

__all__ = ["outcome_of", "success_of"]

_CONCURRENCY_REST: Final = 1.0  # seconds: a running call has to end first, and nobody says when
_SHARED: Final = {Scope.ORGANIZATION: Kind.OWNER, Scope.KEY_AND_MODEL: Kind.KEY_AND_MODEL, Scope.KEY: Kind.KEY}
_COUNTED: Final = {
    Reason.RATE_LIMITED_REQUESTS_MINUTE: "requests",
    Reason.RATE_LIMITED_REQUESTS_DAY: "requests",
    Reason.RATE_LIMITED_TOKENS_MINUTE: "tokens",
    Reason.RATE_LIMITED_TOKENS_DAY: "tokens",
}
_OWNER_HEADERS: Final = ("openai-organization", "anthropic-organization-id", "openai-project")
_NEARLY: Final = 0.8  # of a stated limit is used: it is what was met; else something shorter is enforced
_DAYS: Final = frozenset({Reason.RATE_LIMITED_REQUESTS_DAY, Reason.RATE_LIMITED_TOKENS_DAY})
_AUTH: Final = frozenset({Reason.INVALID_KEY, Reason.KEY_DISABLED, Reason.PERMISSION_DENIED})


def outcome_of(verdict: Verdict, tokens: int | None = None) -> Outcome:
    """The outcome of an attempt that was judged so.

    Args:
        verdict: What ``judge`` said of the answer or exception.
        tokens: What was really used, where known.
    """
    alike = None
    if verdict.is_provider_trouble:
        alike = verdict.reason.value
    elif verdict.reason in _AUTH:
        alike = "auth"
    return Outcome(
        success=verdict.reason is Reason.OK or verdict.is_request_fault,
        tokens=tokens,
        effect=_effect_of(verdict),
        rejection=_rejection_of(verdict),
        observed=verdict.limits,
        owner=verdict.owner,
        alike=alike,
    )


def success_of(answer: object, tokens: int | None = None) -> Outcome:
    """The outcome of an attempt that ended well, with what its headers say of limits and of the key's owner."""
    headers: Any = getattr(answer, "headers", None)
    if not hasattr(headers, "items"):
        return Outcome(success=True, tokens=tokens)
    from stable_openai.verdict import observe_limits  # with its patterns: see there

    known = {str(name).lower(): str(value) for name, value in headers.items()}
    owner = next((known[header] for header in _OWNER_HEADERS if known.get(header)), None)
    return Outcome(success=True, tokens=tokens, observed=observe_limits(known), owner=owner)


def _rejection_of(verdict: Verdict) -> Rejection | None:
    if not verdict.is_rate_limit or verdict.oversized or verdict.reason is Reason.RATE_LIMITED_CONCURRENCY:
        return None
    what = _COUNTED.get(verdict.reason)
    stated = any(
        limit.limit is not None
        and limit.period_s is not None
        and limit.dimension == (what or limit.dimension)
        and (limit.used is None or limit.used >= _NEARLY * limit.limit)
        for limit in verdict.limits
    )
    return Rejection(what, verdict.reason in _DAYS, verdict.wait_s, stated)


def _effect_of(verdict: Verdict) -> Effect | None:
    if verdict.oversized:
        return None  # the request is larger than the limit: nothing that rest would cure
    reason, seconds = verdict.reason, verdict.wait_s
    shared = verdict.scope is Scope.ORGANIZATION
    if verdict.is_rate_limit:
        kind, standing = _limited(verdict), Standing.COOLING
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
    return Effect(kind, standing, seconds, reason.value, verdict.message, verdict.plain, reason in _DAYS)


def _limited(verdict: Verdict) -> Kind:
    """What a rate limit rests: where nothing is named, the model that was asked for, on this key."""
    if verdict.scope is Scope.ENDPOINT:
        return Kind.ENDPOINT
    if verdict.scope is Scope.ORGANIZATION:
        return Kind.OWNER
    if verdict.scope is Scope.KEY_AND_MODEL and verdict.owner is not None:
        return Kind.OWNER_AND_MODEL  # "for this model, in this organisation"
    return Kind.KEY_AND_MODEL
