"""What a simulated provider is told: keys, owners, limits, faults. All of it is checked when it is made."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from stable_openai.simulator.checks import check_choice, check_count, check_number, check_rate, check_secret, check_text

if TYPE_CHECKING:
    from stable_openai.simulator.messages import Request

Algorithm: TypeAlias = Literal["sliding", "bucket"]
Hints: TypeAlias = Literal["header", "text"]
Latency: TypeAlias = "float | tuple[float, float]"
Script: TypeAlias = "Sequence[str] | Callable[[Request], str]"
State: TypeAlias = Literal["ok", "dead", "unpaid", "blocked", "disabled", "region"]
Style: TypeAlias = Literal["openai", "azure", "groq", "gemini", "plain"]

LIMIT_FIELDS = ("rpm", "rpd", "tpm", "tpd", "max_concurrency")
QUOTA_FIELDS = ("quota_requests", "quota_tokens")


def check_latency(value: Any, name: str) -> None:
    """Accept seconds, or a pair (low, high) of seconds, none negative."""
    if isinstance(value, tuple):
        if len(value) != 2:
            raise ValueError(f"{name} must be seconds or a pair (low, high), not {len(value)} numbers")
        for part in value:
            check_number(part, name)
        if value[0] > value[1]:
            raise ValueError(f"{name}: low {value[0]} is above high {value[1]}")
        return
    check_number(value, name)


@dataclass(frozen=True, kw_only=True)
class SimLimits:
    """Limits of a key or owner, or of one model on it.

    Attributes:
        rpm: Requests per minute of the provider.
        rpd: Requests per day of the provider.
        tpm: Tokens per minute of the provider.
        tpd: Tokens per day of the provider.
        max_concurrency: Requests in flight at once.
    """

    rpm: int | None = None
    rpd: int | None = None
    tpm: int | None = None
    tpd: int | None = None
    max_concurrency: int | None = None

    def check_limits(self, whose: str) -> None:
        """Refuse limits that are no positive whole numbers, naming the field and whose it is."""
        for name in LIMIT_FIELDS:
            check_count(getattr(self, name), f"{name} of {whose}")


@dataclass(frozen=True, kw_only=True)
class Account(SimLimits):
    """What keys and owners have in common: limits, limits by model, a state, and quotas that run out.

    Attributes:
        model_limits: Limits that count one model alone, beside those that count all models together.
        state: `ok`, `dead` (401, unknown key), `unpaid` (429, quota), `blocked` (403, no permission),
            `disabled` (401, account closed) or `region` (403, country not served).
        quota_requests: Requests that are admitted before the account answers as an unpaid one.
        quota_tokens: Tokens that are admitted before the account answers as an unpaid one.
    """

    model_limits: Mapping[str, SimLimits | Mapping[str, int]] = field(default_factory=dict)
    state: State = "ok"
    quota_requests: int | None = None
    quota_tokens: int | None = None

    def check_account(self, whose: str) -> None:
        """Refuse bad limits, states and quotas, and make `model_limits` a mapping of `SimLimits`."""
        self.check_limits(whose)
        check_choice(self.state, f"state of {whose}", get_args(State))
        for name in QUOTA_FIELDS:
            check_count(getattr(self, name), f"{name} of {whose}")
        if not isinstance(self.model_limits, Mapping):
            raise TypeError(f"model_limits of {whose} must map model names to limits")
        made = {m: as_limits(v, f"model_limits[{m!r}] of {whose}") for m, v in self.model_limits.items()}
        object.__setattr__(self, "model_limits", made)

    def limits_of(self, model: str) -> SimLimits | None:
        """Give the limits that count `model` alone, or None where there are none."""
        limits = self.model_limits.get(model)
        return limits if isinstance(limits, SimLimits) else None


def as_limits(value: Any, name: str) -> SimLimits:
    """Make `SimLimits` of a mapping, naming the field that is wrong."""
    if isinstance(value, Mapping):
        unknown = set(value) - set(LIMIT_FIELDS)
        if unknown:
            raise ValueError(f"{name} has no field {min(map(str, unknown))!r}; it has {', '.join(LIMIT_FIELDS)}")
        value = SimLimits(**value)
    if not isinstance(value, SimLimits):
        raise TypeError(f"{name} must be a mapping of limits, not {type(value).__name__}")
    value.check_limits(name)
    return value


@dataclass(frozen=True)
class SimOwner(Account):
    """An organisation whose limits, state and quotas its keys share.

    Attributes:
        name: What answers call it; `org-` is put before it where it is missing.
    """

    name: str

    def __post_init__(self) -> None:
        check_text(self.name, "name of an owner")
        self.check_account(f"owner {self.name!r}")


@dataclass(frozen=True)
class SimKey(Account):
    """One credential of the simulated provider.

    Attributes:
        secret: What the client sends. It is never shown.
        name: What statistics and controls call the key; `key-1`, `key-2`, ... where none is given.
        owner: Name of the owner whose limits it shares; a key without one is an organisation of its own.
        latency_s: Seconds of this key's answers, in place of the provider's.
        models: Names of the models that it may use; None for all of the provider's.
    """

    secret: str = field(repr=False)
    name: str | None = None
    owner: str | None = None
    latency_s: Latency | None = field(default=None, kw_only=True)
    models: tuple[str, ...] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        whose = f"key {self.name!r}" if self.name is not None else "a key"
        check_secret(self.secret, f"secret of {whose}")
        for field_name in ("name", "owner"):
            if getattr(self, field_name) is not None:
                check_text(getattr(self, field_name), f"{field_name} of {whose}")
        if self.latency_s is not None:
            check_latency(self.latency_s, f"latency_s of {whose}")
        if self.models is not None:
            object.__setattr__(self, "models", check_names(self.models, f"models of {whose}"))
        self.check_account(whose)


def check_names(value: Any, name: str) -> tuple[str, ...]:
    """Make a tuple of a sequence of non-empty strings."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError(f"{name} must be a list of strings, not {type(value).__name__}")
    for item in value:
        check_text(item, f"each of {name}")
    return tuple(value)


RATES = (
    "server_error_rate",
    "overloaded_rate",
    "reset_rate",
    "hang_rate",
    "garbage_rate",
    "cut_stream_rate",
    "stream_error_rate",
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a simulated provider behaves.

    Attributes:
        algorithm: `sliding` counts exactly the last minute or day; `bucket` refills continuously.
        count_rejected: Whether a request that a limit rejects counts against the requests' limits.
        by_second: Enforce `rpm` by the second too: at most max(1, ceil(by_second * rpm)) requests in any second,
            where a second is a sixtieth of the provider's minute. None to leave seconds alone.
        per_model: Whether each limit counts each model by itself, as OpenAI's do, in place of all models together.
        count_max_tokens: Count a call's `max_tokens` against its token limits, as OpenAI does, in place of the tokens
            that its answer turned out to have.
        retry_after: True to say how long to wait in header and text, False in neither, or `header`, or `text`.
        limit_headers: Whether answers tell limits and what is left of them (`x-ratelimit-...`).
        style: Whose error shapes and headers to imitate.
        minute: Seconds that a minute of the provider lasts. What is told to clients is in true seconds.
        day: Seconds that a day of the provider lasts; None for 1440 of its minutes.
        day_reset_hour: Hour (0 to 24, of the provider's day) at which day limits start afresh; None for rolling days.
        start_hour: Hour of the provider's day at time 0.
        server_error_rate: Share of admitted requests that get a 500.
        overloaded_rate: Share of admitted requests that get a 503.
        reset_rate: Share of admitted requests whose connection is reset before an answer.
        hang_rate: Share of admitted requests that get no answer until the client gives up.
        garbage_rate: Share of admitted requests that get a 200 whose body is HTML.
        cut_stream_rate: Share of admitted streams that end half-way.
        stream_error_rate: Share of admitted streams in which an error event ends the events.
        latency_s: Seconds to an answer, or (low, high); admitted requests only.
        stream_gap_s: Seconds between the events of a stream.
        models: Names of the models that exist; None for any name.
        context_length: Tokens that a prompt may have; None for any.
        poison: Prompts that contain this text get a 500 from any key.
        script: Answers in turn, or a callable that makes one of a request; None for an echo of the prompt.
        embedding_dimensions: Length of embeddings whose request names none.
        admin_key: Secret that opens the admin API; None to leave it shut.
        seed: Seed of all that is left to chance.
        log_length: Arrivals, prompts and request ids that are remembered.
        max_body_bytes: Bytes that the body of a request may have.
    """

    algorithm: Algorithm = "sliding"
    count_rejected: bool = False
    by_second: float | None = None
    per_model: bool = False
    count_max_tokens: bool = False
    retry_after: bool | Hints = True
    limit_headers: bool = True
    style: Style = "openai"
    minute: float = 60.0
    day: float | None = None
    day_reset_hour: float | None = None
    start_hour: float = 0.0
    server_error_rate: float = 0.0
    overloaded_rate: float = 0.0
    reset_rate: float = 0.0
    hang_rate: float = 0.0
    garbage_rate: float = 0.0
    cut_stream_rate: float = 0.0
    stream_error_rate: float = 0.0
    latency_s: Latency = 0.0
    stream_gap_s: float = 0.0
    models: tuple[str, ...] | None = None
    context_length: int | None = None
    poison: str | None = None
    script: Script | None = None
    embedding_dimensions: int = 1536
    admin_key: str | None = field(default=None, repr=False)
    seed: int = 0
    log_length: int = 100_000
    max_body_bytes: int = 8_000_000

    def __post_init__(self) -> None:
        check_choice(self.algorithm, "algorithm", get_args(Algorithm))
        check_choice(self.style, "style", get_args(Style))
        check_choice(self.retry_after, "retry_after", (True, False, *get_args(Hints)))
        for name in ("count_rejected", "per_model", "count_max_tokens", "limit_headers"):
            check_choice(getattr(self, name), name, (True, False))
        self._check_numbers()
        if sum(getattr(self, rate) for rate in RATES) > 1.0 + 1e-9:
            raise ValueError(f"the sum of {', '.join(RATES)} must not be above 1")
        if self.models is not None:
            object.__setattr__(self, "models", check_names(self.models, "models"))
        if self.poison is not None:
            check_text(self.poison, "poison")
        if self.admin_key is not None:
            check_secret(self.admin_key, "admin_key")
        if self.script is not None and not callable(self.script):
            object.__setattr__(self, "script", check_names(self.script, "script"))
            if not self.script:
                raise ValueError("script must have at least one answer")

    def _check_numbers(self) -> None:
        for rate in RATES:
            check_rate(getattr(self, rate), rate)
        if self.by_second is not None:
            check_rate(self.by_second, "by_second")
        check_number(self.minute, "minute", above=0.0)
        if self.day is not None:
            check_number(self.day, "day", above=0.0)
            if self.day < self.minute:
                raise ValueError(f"day ({self.day} s) must not be shorter than minute ({self.minute} s)")
        for name in ("day_reset_hour", "start_hour"):
            if getattr(self, name) is not None:
                check_number(getattr(self, name), name, at_most=24.0)
        check_latency(self.latency_s, "latency_s")
        check_number(self.stream_gap_s, "stream_gap_s")
        for name in ("context_length", "embedding_dimensions", "log_length", "max_body_bytes"):
            check_count(getattr(self, name), name)
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise TypeError(f"seed must be a whole number, not {type(self.seed).__name__}")

    @property
    def day_s(self) -> float:
        """Seconds that a day of the provider lasts."""
        return self.minute * 1440.0 if self.day is None else self.day

    def burst_of(self, rpm: int) -> int | None:
        """Give the requests that any second may have under `rpm`, or None where seconds are left alone."""
        return None if self.by_second is None else max(1, math.ceil(self.by_second * rpm - 1e-9))


SETTING_NAMES = frozenset(f.name for f in fields(Settings))
