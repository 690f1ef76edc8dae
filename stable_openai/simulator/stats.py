"""What the provider saw: tallies, a log of arrivals, and which key each prompt was served with. All bounded."""

from __future__ import annotations

import hashlib
from collections import OrderedDict, deque
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from stable_openai.simulator.messages import JSON

What: TypeAlias = Literal["requests", "tokens"]
Of: TypeAlias = Literal["accepted", "attempts"]

RATE_LIMITED = ("rpm", "rpd", "tpm", "tpd", "concurrency", "too_large")
MAX_MODELS = 1000
MAX_SERVINGS = 16


class Arrival(NamedTuple):
    """One request as it arrived.

    Attributes:
        at: Second of the provider.
        key: Name of the key, or `unknown`.
        owner: Name of its owner, or None.
        model: Model asked for.
        tokens: Tokens it counts for.
        accepted: Whether limits and accounts let it in; what chance did to it then does not matter.
        outcome: One word; see `Tally.outcomes`.
    """

    at: float
    key: str
    owner: str | None
    model: str
    tokens: int
    accepted: bool
    outcome: str


@dataclass(slots=True)
class Tally:
    """Counts of a key, an owner, a model, or all.

    Attributes:
        attempts: Requests that arrived.
        accepted: Requests that limits and accounts let in.
        served: Requests that got a whole, good answer.
        tokens: Tokens of the accepted ones.
        peak_in_flight: Most requests in flight at once.
        outcomes: Requests by what happened: `served`; by limits `rpm`, `rpd`, `tpm`, `tpd`, `concurrency`,
            `too_large`; by accounts `no_key`, `dead`, `disabled`, `unpaid`, `blocked`, `region`, `model`; by
            themselves `bad_request`, `context`; by chance `server_error`, `overloaded`, `reset`, `hang`, `garbage`,
            `cut_stream`, `stream_error`; and `poison` and `outage`.
    """

    attempts: int = 0
    accepted: int = 0
    served: int = 0
    tokens: int = 0
    peak_in_flight: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)

    @property
    def rejected(self) -> dict[str, int]:
        """Requests that a limit rejected, by limit."""
        return {name: count for name, count in self.outcomes.items() if name in RATE_LIMITED}

    @property
    def rate_limited(self) -> int:
        """Requests that any limit rejected."""
        return sum(self.rejected.values())

    def count(self, arrival: Arrival) -> None:
        """Count one arrival."""
        self.attempts += 1
        self.outcomes[arrival.outcome] = self.outcomes.get(arrival.outcome, 0) + 1
        if arrival.accepted:
            self.accepted += 1
            self.tokens += arrival.tokens
            if arrival.outcome == "served":
                self.served += 1


def prompt_id(prompt: str) -> str:
    """Give what stands for a prompt: itself, or where it is long its digest."""
    return prompt if len(prompt) <= 200 else hashlib.blake2b(prompt.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True)
class Stats:
    """A snapshot of what the provider saw.

    Attributes:
        total: All requests.
        keys: By name of the key; `unknown` for credentials that nobody has.
        owners: By name of the owner.
        models: By model; `others` for those beyond the first thousand.
        arrivals: The newest arrivals, in order.
        dropped: Arrivals that the log no longer holds.
        servings: Names of the keys that served a prompt, by `prompt_id`, for the newest prompts.
        requests: Name of the key by request id, for the newest requests.
    """

    total: Tally
    keys: dict[str, Tally]
    owners: dict[str, Tally]
    models: dict[str, Tally]
    arrivals: tuple[Arrival, ...] = field(repr=False)
    dropped: int
    servings: dict[str, tuple[str, ...]] = field(repr=False)
    requests: dict[str, str] = field(repr=False)

    def max_in_window(
        self,
        key: str | None,
        seconds: float,
        what: What = "requests",
        *,
        of: Of = "accepted",
        owner: str | None = None,
        model: str | None = None,
    ) -> int:
        """Tell the most requests or tokens that arrived in any window, by the log.

        Args:
            key: Name of the key; None for all.
            seconds: Length of the window; one end belongs to it, the other does not.
            what: `requests` or `tokens`.
            of: `accepted` for those that were let in, `attempts` for all.
            owner: Only the keys of this owner.
            model: Only this model.

        Raises:
            LookupError: If the log has dropped arrivals, so that it cannot testify; raise `log_length`.
        """
        if self.dropped:
            raise LookupError(f"the log has dropped {self.dropped} arrivals; give the simulator a larger log_length")
        window: deque[tuple[float, int]] = deque()
        total = most = 0
        for arrival in self.arrivals:
            if (
                key not in (None, arrival.key)
                or owner not in (None, arrival.owner)
                or model not in (None, arrival.model)
            ):
                continue
            if of == "accepted" and not arrival.accepted:
                continue
            amount = arrival.tokens if what == "tokens" else 1
            while window and window[0][0] + seconds <= arrival.at + 1e-9:
                total -= window.popleft()[1]
            window.append((arrival.at, amount))
            total += amount
            most = max(most, total)
        return most

    def served_times(self, prompt: str) -> int:
        """Tell how often a prompt was served (16 at most), if it is among the newest."""
        return len(self.keys_of(prompt))

    def keys_of(self, prompt: str) -> tuple[str, ...]:
        """Name the keys that served a prompt, in order."""
        return self.servings.get(prompt_id(prompt), ())

    def key_of(self, request_id: str) -> str | None:
        """Name the key that a request came with, if it is among the newest."""
        return self.requests.get(request_id)

    def as_dict(self) -> JSON:
        """Give the tallies as JSON; it holds no secret and no prompt."""
        groups = {"keys": self.keys, "owners": self.owners, "models": self.models}
        shown = {name: {k: asdict(tally) for k, tally in group.items()} for name, group in groups.items()}
        return {"total": asdict(self.total), **shown, "dropped": self.dropped}


class Ledger:
    """Where arrivals are written down."""

    def __init__(self, length: int) -> None:
        self._length = length
        self.total = Tally()
        self.keys: dict[str, Tally] = {}
        self.owners: dict[str, Tally] = {}
        self.models: dict[str, Tally] = {}
        self._arrivals: deque[Arrival] = deque(maxlen=length)
        self._dropped = 0
        self._servings: OrderedDict[str, list[str]] = OrderedDict()
        self._requests: OrderedDict[str, str] = OrderedDict()

    def write(self, arrival: Arrival, prompt: str, request_id: str) -> None:
        """Write one arrival down."""
        if len(self._arrivals) == self._length:
            self._dropped += 1
        self._arrivals.append(arrival)
        self.total.count(arrival)
        tally_of(self.keys, arrival.key).count(arrival)
        if arrival.owner is not None:
            tally_of(self.owners, arrival.owner).count(arrival)
        known = arrival.model in self.models or len(self.models) < MAX_MODELS
        tally_of(self.models, arrival.model if known else "others").count(arrival)
        self._requests[request_id] = arrival.key
        if len(self._requests) > self._length:
            self._requests.popitem(last=False)
        if arrival.outcome == "served":
            self._serve(prompt_id(prompt), arrival.key)

    def _serve(self, prompt: str, key: str) -> None:
        servings = self._servings.setdefault(prompt, [])
        if len(servings) < MAX_SERVINGS:
            servings.append(key)
        if len(self._servings) > self._length:
            self._servings.popitem(last=False)

    def snapshot(self) -> Stats:
        """Copy what was written down."""
        return Stats(
            total=copied(self.total),
            keys={name: copied(tally) for name, tally in self.keys.items()},
            owners={name: copied(tally) for name, tally in self.owners.items()},
            models={name: copied(tally) for name, tally in self.models.items()},
            arrivals=tuple(self._arrivals),
            dropped=self._dropped,
            servings={prompt: tuple(keys) for prompt, keys in self._servings.items()},
            requests=dict(self._requests),
        )


def tally_of(group: dict[str, Tally], name: str) -> Tally:
    """Give the tally of a name, a new one at first."""
    tally = group.get(name)
    if tally is None:
        tally = group[name] = Tally()
    return tally


def copied(tally: Tally) -> Tally:
    """Copy a tally."""
    return replace(tally, outcomes=dict(tally.outcomes))
