"""What a store is: the place where choosing and counting happen in one atomic step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sized

    from stable_openai.keys import Key
    from stable_openai.limits import Limits
    from stable_openai.verdict import ObservedLimit

    from .lanes import Kind, Standing
    from .orders import StrategyLike
    from .queues import Slot
    from .snapshots import KeyStatus

__all__ = ["NOBODY", "Ask", "Change", "Effect", "Grant", "Outcome", "Refusal", "Rejection", "Store", "Way"]

NOBODY: Final[frozenset[str]] = frozenset()


@dataclass(slots=True)
class Ask:
    """What a call wants: a key for a model, with room for so many tokens.

    Attributes:
        model: The model, or None where it is not known.
        tokens: Tokens to reserve, prompt and answer together.
        avoid: Names of keys that are used only if no other is eligible.
        shun: Names of keys that are not used at all.
        prefer: The name of the key to use if it is eligible.
        affinity: The conversation that the call belongs to, if any.
        call: A number of the call that asks, the same for all its attempts.
        only: Names of the few keys that alone may serve it; None: any may.
    """

    model: str | None = None
    tokens: int = 0
    avoid: frozenset[str] = NOBODY
    shun: frozenset[str] = NOBODY
    prefer: str | None = None
    affinity: Hashable | None = None
    call: int = 0
    only: frozenset[str] | None = None


class Grant:
    """One key for one attempt. ``state`` belongs to the store that granted it; ``outage`` is set by its settlement."""

    __slots__ = ("call", "key", "model", "name", "outage", "state", "tokens")

    def __init__(self, key: Key, name: str, ask: Ask, state: Any) -> None:
        self.key = key
        self.name = name
        self.model = ask.model
        self.tokens = ask.tokens
        self.call = ask.call
        self.state = state
        self.outage = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """No key now.

    Attributes:
        at: The monotonic moment before which none will be eligible by itself, in seconds; infinity for never.
        pending: Whether one becomes eligible when a running call ends.
    """

    at: float
    pending: bool = False


class Way(NamedTuple):
    """A key by which a call may be served.

    Attributes:
        at: When it is to have room, as far as windows and rests tell: past where it seems to have it, infinity for
            never.
        key: Its name.
        keys: Its name, and those of the keys that draw on what it is short of.
    """

    at: float
    key: str
    keys: frozenset[str]


@dataclass(frozen=True, slots=True)
class Effect:
    """What an answer does to a lane.

    Attributes:
        kind: The lane: of the key, the key and the model, the owner, the owner and the model, or the endpoint.
        standing: What becomes of it.
        seconds: For how long, in seconds; None where the provider named nothing and it doubles with each repeat.
        reason: Why, in one of the verdict's words.
        note: The evidence, in the provider's words, masked.
        plain: Whether the provider's word is unmistakable; else a key is retired only on a second witness.
        long: Whether it is the day's quota that is spent.
    """

    kind: Kind
    standing: Standing
    seconds: float | None
    reason: str
    note: str = ""
    plain: bool = True
    long: bool = False


@dataclass(frozen=True, slots=True)
class Rejection:
    """A rate limit has rejected a request.

    Attributes:
        what: ``"requests"`` or ``"tokens"``; None where the answer does not say.
        long: Whether the limit is a day's.
        wait_s: The wait that the answer names, in seconds.
        stated: Whether the answer states the limit itself.
    """

    what: str | None
    long: bool = False
    wait_s: float | None = None
    stated: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended.

    Attributes:
        success: The provider answered as it should: clears what failures left.
        unused: Nothing was sent, so nothing counts.
        tokens: What was really used, where known.
        effect: What the answer does to a lane.
        rejection: Which limit has rejected it.
        observed: The limits that the answer states.
        owner: The organisation, project or account that the answer names.
        alike: The kind of failure that may be everybody's: ``"auth"``, or the provider's trouble by its reason.
    """

    success: bool = False
    unused: bool = False
    tokens: int | None = None
    effect: Effect | None = None
    rejection: Rejection | None = None
    observed: tuple[ObservedLimit, ...] = ()
    owner: str | None = None
    alike: str | None = None

    @property
    def trouble(self) -> bool:
        """Whether the provider itself failed, which blames no key but adds to its row of failures."""
        return self.alike is not None and self.alike != "auth"


@dataclass(frozen=True, slots=True)
class Change:
    """Something about a lane has changed.

    Attributes:
        what: ``"cooldown"``, ``"parked"``, ``"barred"``, ``"retired"``, ``"revived"``, ``"recovered"``, ``"learned"``,
            ``"owner"``, ``"one owner"``, ``"outage"`` or ``"outage over"``.
        kind: What the lane belongs to.
        key: The name of the key that showed it.
        seconds: For how long, in seconds; infinity until somebody revives it.
        reason: Why, in one of the verdict's words.
        note: The evidence.
        owner: The owner, for a lane of one.
        model: The model, for a lane of one.
    """

    what: str
    kind: Kind
    key: str
    seconds: float = 0.0
    reason: str = ""
    note: str = ""
    owner: str | None = None
    model: str | None = None


class Store(Protocol):
    """Choosing, counting and settling, each one atomic step. All methods are safe in threads; none waits for a key.

    Attributes:
        crowd: Those who wait, as the pool knows them: while there are any, nobody is served out of turn.
        after_late: Called when keys may have come free that no settlement of a caller's has told of.
        tell: Called with what has changed, where no settlement could return it.
    """

    crowd: Sized
    after_late: Callable[[], None]
    tell: Callable[[list[Change]], None]

    @property
    def remote(self) -> bool:
        """Whether a grant may take the time of a way to somewhere else."""

    @property
    def counts_tokens(self) -> bool:
        """Whether any limit is known that is about tokens."""

    def now(self) -> float:
        """The store's monotonic time in seconds, which never goes back."""

    def alarm_time(self, at: float) -> float:
        """The clock's own reading at a moment of the store's time."""

    def quick(self, model: str | None, /) -> Slot | None:
        """The hot path: a slot that is granted already, where that can be told at once; None: ``grant`` has to look."""

    def grant(self, ask: Ask) -> Grant | Refusal:
        """Choose a key and count its use, or say when to ask again.

        Raises:
            RequestTooLarge: No key's limits ever allow so many tokens.
        """

    def settle(self, grant: Grant, outcome: Outcome) -> list[Change]:
        """End a grant; returns what has changed, to be told outside any lock."""

    def add(self, entries: Iterable[tuple[Key, str, Limits]]) -> None:
        """Add keys under names that are new, with the limits of each."""

    def remove(self, name: str) -> None:
        """Take a key out of use at once."""

    def retell(self, name: str, key: Key, limits: Limits) -> None:
        """Take another description of a key that stays; its counts are kept."""

    def set_owner(self, name: str, limits: Limits, model_limits: Mapping[str, Limits]) -> None:
        """Tell an owner's limits; the counts of windows that stay are kept."""

    def assign_owner(self, names: Iterable[str], owner: str) -> None:
        """These keys turn out to draw on this owner's quota."""

    def use(self, strategy: StrategyLike) -> None:
        """Change the order among eligible keys."""

    def revive(self, names: Iterable[str] | None, model: str | None = None) -> list[Change]:
        """Clear cooldowns, parking and retirement of these keys (None: of all), and of their owners."""

    def rest(self, name: str, effect: Effect, model: str | None = None) -> list[Change]:
        """Make a lane of this key rest."""

    def snapshot(self, *, fresh: bool = True) -> list[KeyStatus]:
        """The state of each key; if it need not be ``fresh``, as far as this process has heard, without waiting."""

    def reasons(self, model: str | None, tokens: int = 0) -> dict[str, str]:
        """Why each key is out for this model, by name; keys that are not out are left out."""

    def earliest(self, model: str | None, tokens: int = 0, only: frozenset[str] | None = None) -> float:
        """When a key (of these, where some are named) may be eligible for this model again; infinity for never."""

    def outlook(self, model: str | None, tokens: int = 0) -> list[Way]:
        """The keys of a model, the one first that is to have room first for so many tokens; of very many, some."""

    def pending_work(self) -> int:
        """Grants that are not settled."""

    def close(self) -> None:
        """Let go of files, connections and threads; idempotent."""

    def after_fork(self) -> None:
        """Go on in a forked child, without the parent's locks, connections and threads."""
