"""The vocabulary of verdicts: reason, scope, observed limit, verdict."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

Dimension = Literal["requests", "tokens", "input_tokens", "output_tokens", "concurrency"]
OwnerKind = Literal["organization", "project", "account"]


class Reason(str, Enum):
    """What an answer or an exception means.

    `*_MINUTE` stands for any short window (a second, ten seconds, a minute).
    """

    OK = "ok"
    RATE_LIMITED_REQUESTS_MINUTE = "rate_limited_requests_minute"
    RATE_LIMITED_TOKENS_MINUTE = "rate_limited_tokens_minute"
    RATE_LIMITED_REQUESTS_DAY = "rate_limited_requests_day"
    RATE_LIMITED_TOKENS_DAY = "rate_limited_tokens_day"
    RATE_LIMITED_CONCURRENCY = "rate_limited_concurrency"
    RATE_LIMITED_UNSPECIFIED = "rate_limited_unspecified"
    QUOTA_EXHAUSTED = "quota_exhausted"
    INVALID_KEY = "invalid_key"
    KEY_DISABLED = "key_disabled"
    PERMISSION_DENIED = "permission_denied"
    MODEL_UNAVAILABLE_FOR_KEY = "model_unavailable_for_key"
    REGION_BLOCKED = "region_blocked"
    SERVER_ERROR = "server_error"
    OVERLOADED = "overloaded"
    TIMEOUT = "timeout"
    CONNECTION_LOST = "connection_lost"
    BAD_REQUEST = "bad_request"
    CONTEXT_LENGTH = "context_length"
    CONTENT_FILTER = "content_filter"
    NOT_FOUND = "not_found"
    NOT_PROVIDER = "not_provider"

    def __str__(self) -> str:
        """The word itself, on every Python version."""
        return self.value


class Scope(str, Enum):
    """How far the trouble reaches: the narrowest unit that the answer itself names.

    `KEY` where the answer names the key or nothing; `KEY_AND_MODEL` where it names a model; `ORGANIZATION` for an
    organisation, project, team or account; `ENDPOINT` for a limit of the caller's IP address; `NONE` for trouble that
    no key can help.
    """

    KEY = "key"
    KEY_AND_MODEL = "key_and_model"
    ORGANIZATION = "organization"
    ENDPOINT = "endpoint"
    NONE = "none"

    def __str__(self) -> str:
        """The word itself, on every Python version."""
        return self.value


RATE_LIMITS: Final = frozenset(
    {
        Reason.RATE_LIMITED_REQUESTS_MINUTE,
        Reason.RATE_LIMITED_TOKENS_MINUTE,
        Reason.RATE_LIMITED_REQUESTS_DAY,
        Reason.RATE_LIMITED_TOKENS_DAY,
        Reason.RATE_LIMITED_CONCURRENCY,
        Reason.RATE_LIMITED_UNSPECIFIED,
    }
)
PROVIDER_TROUBLE: Final = frozenset(
    {Reason.SERVER_ERROR, Reason.OVERLOADED, Reason.TIMEOUT, Reason.CONNECTION_LOST},
)
REQUEST_FAULTS: Final = frozenset(
    {Reason.BAD_REQUEST, Reason.CONTEXT_LENGTH, Reason.CONTENT_FILTER, Reason.NOT_FOUND},
)
# Trouble of the key or its owner: a key of another owner plausibly succeeds.
KEY_TROUBLE: Final = RATE_LIMITS | {
    Reason.QUOTA_EXHAUSTED,
    Reason.INVALID_KEY,
    Reason.KEY_DISABLED,
    Reason.PERMISSION_DENIED,
    Reason.MODEL_UNAVAILABLE_FOR_KEY,
}


@dataclass(frozen=True, slots=True)
class ObservedLimit:
    """One limit as an answer told it.

    Attributes:
        dimension: what is counted.
        limit: the most that is allowed in a period; None where the answer does not say.
        remaining: how much of it is left now.
        used: how much of it is used now.
        requested: what the refused request would have taken.
        reset_s: seconds until the limit is whole again (or, where the provider says so, until more is allowed).
        period_s: the window in seconds (60.0, 86400.0, 1.0, …), None where nothing tells it.
        evidence: how the period was concluded, for people.
    """

    dimension: Dimension
    limit: int | None = None
    remaining: int | None = None
    used: int | None = None
    requested: int | None = None
    reset_s: float | None = None
    period_s: float | None = None
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer or an exception means for the key that was used, and for the call.

    Attributes:
        reason: what went wrong, or `Reason.OK`.
        scope: how far the trouble reaches.
        wait_s: the seconds that the answer itself says to wait; 0.0 where it says to come back at once, None where it
            says nothing or names only an instant that cannot be made a duration (see `retry_at_epoch`).
        retry_elsewhere: whether a key of another owner at the same provider plausibly succeeds.
        owner: the organisation, project or account that the answer names, as it names it. A header may hold a
            readable name where a text holds an id, so compare owners of one `owner_kind` and form only.
        owner_kind: what `owner` is.
        model: the model that the answer names.
        limits: the limits that the answer tells, from headers and text.
        plain: the reason stands on an unmistakable code or phrase, not on a bare status or a vague word.
        code: the provider's own error code or type, the most telling one.
        message: a short human summary, secrets masked.
        oversized: the request alone is larger than the whole limit: waiting does not help.
        retry_at_epoch: the instant to come back at, in epoch seconds, where the answer names only an instant.
    """

    reason: Reason
    scope: Scope = Scope.NONE
    wait_s: float | None = None
    retry_elsewhere: bool = False
    owner: str | None = None
    owner_kind: OwnerKind | None = None
    model: str | None = None
    limits: tuple[ObservedLimit, ...] = ()
    plain: bool = False
    code: str | None = None
    message: str = ""
    oversized: bool = False
    retry_at_epoch: float | None = None

    @property
    def is_ok(self) -> bool:
        """Whether nothing went wrong."""
        return self.reason is Reason.OK

    @property
    def is_rate_limit(self) -> bool:
        """Whether a rate limit was hit, of whatever kind."""
        return self.reason in RATE_LIMITS

    @property
    def is_provider_trouble(self) -> bool:
        """Whether the provider or the way to it is in trouble, through no fault of key or request."""
        return self.reason in PROVIDER_TROUBLE

    @property
    def is_request_fault(self) -> bool:
        """Whether the same request fails with every key."""
        return self.reason in REQUEST_FAULTS


OK: Final = Verdict(Reason.OK, message="ok")
