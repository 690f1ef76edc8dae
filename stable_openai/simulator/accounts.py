"""The provider's book of keys and owners: their state, what is left of their quotas, and their lanes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from stable_openai.simulator.lanes import Kind, Lane
from stable_openai.simulator.settings import LIMIT_FIELDS, Account, SimKey, SimLimits, SimOwner

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stable_openai.simulator.settings import Settings, State

A = TypeVar("A", bound=Account)

MAX_MODEL_LANES = 1000
NO_LIMITS = SimLimits()


class Entry(Generic[A]):
    """A key or an owner in the book."""

    def __init__(self, kind: Kind, name: str, told: A, settings: Settings) -> None:
        self.kind = kind
        self.name = name
        self.told = told
        self._settings = settings
        self.requests_left = told.quota_requests
        self.tokens_left = told.quota_tokens
        self.lane = Lane(kind, name, None, self._own_limits(), settings)
        self._by_model: dict[str, Lane] = {}

    def _own_limits(self) -> SimLimits:
        return NO_LIMITS if self._settings.per_model else self.told

    def _limits_of(self, model: str) -> SimLimits | None:
        limits = self.told.limits_of(model)
        if not self._settings.per_model:
            return limits
        chosen = {f: getattr(limits, f, None) or getattr(self.told, f) for f in LIMIT_FIELDS}
        return SimLimits(**chosen) if any(chosen.values()) else None

    def lanes(self, model: str) -> tuple[Lane, ...]:
        """Give the lanes that a request for `model` goes through."""
        lane = self._by_model.get(model)
        if lane is None:
            limits = self._limits_of(model)
            if limits is None:
                return (self.lane,)
            if len(self._by_model) >= MAX_MODEL_LANES:  # names come from clients
                del self._by_model[next(iter(self._by_model))]
            lane = self._by_model[model] = Lane(self.kind, self.name, model, limits, self._settings)
        return (self.lane, lane)

    def state(self) -> State:
        """Tell the state: `unpaid` too where a quota is spent."""
        spent = (left is not None and left <= 0 for left in (self.requests_left, self.tokens_left))
        return "unpaid" if self.told.state == "ok" and any(spent) else self.told.state

    def spend(self, tokens: int) -> None:
        """Take a request from the quotas."""
        if self.requests_left is not None:
            self.requests_left -= 1
        if self.tokens_left is not None:
            self.tokens_left -= tokens

    def change(self, changes: dict[str, Any], now: float) -> None:
        """Change fields of the account; quotas that are named, and all by a change to `ok`, start afresh."""
        self.told = replace(self.told, **changes)
        if "quota_requests" in changes or changes.get("state") == "ok":
            self.requests_left = self.told.quota_requests
        if "quota_tokens" in changes or changes.get("state") == "ok":
            self.tokens_left = self.told.quota_tokens
        self.lane.change(self._own_limits(), self._settings, now)
        for model, lane in self._by_model.items():
            lane.change(self._limits_of(model) or NO_LIMITS, self._settings, now)


class KeyEntry(Entry[SimKey]):
    """A key in the book, with its owner's entry."""

    def __init__(self, name: str, told: SimKey, owner: Entry[SimOwner] | None, settings: Settings) -> None:
        super().__init__("key", name, told, settings)
        self.owner = owner

    @property
    def organisation(self) -> str:
        """Id of the organisation: the owner's name, or for a key without one a name of its own."""
        name = self.name if self.owner is None else self.owner.name
        return name if name.startswith("org-") else f"org-{name}"

    @property
    def project(self) -> str:
        """Id of the project, one for each organisation."""
        return f"proj_{self.organisation.removeprefix('org-')}"

    def all_lanes(self, model: str) -> tuple[Lane, ...]:
        """Give the lanes of the key and of its owner."""
        own = self.lanes(model)
        return own if self.owner is None else (*own, *self.owner.lanes(model))

    def full_state(self) -> State:
        """Tell the key's state, or where that is fine its owner's."""
        state = self.state()
        return self.owner.state() if state == "ok" and self.owner is not None else state

    def pay_for(self, tokens: int) -> None:
        """Take a request from the quotas of the key and its owner."""
        self.spend(tokens)
        if self.owner is not None:
            self.owner.spend(tokens)


class Book:
    """All keys and owners."""

    def __init__(self, keys: Iterable[SimKey | str], owners: Iterable[SimOwner | str], settings: Settings) -> None:
        self._settings = settings
        self.owners: dict[str, Entry[SimOwner]] = {}
        self.by_secret: dict[str, KeyEntry] = {}
        self.by_name: dict[str, KeyEntry] = {}
        self._numbered = 0
        for owner in owners:
            self.add_owner(owner)
        for key in keys:
            self.add_key(key)

    def add_owner(self, told: SimOwner | str) -> Entry[SimOwner]:
        """Write an owner down."""
        owner = SimOwner(told) if isinstance(told, str) else told
        if not isinstance(owner, SimOwner):
            raise TypeError(f"each of owners must be a SimOwner or a name, not {type(told).__name__}")
        if owner.name in self.owners:
            raise ValueError(f"owner {owner.name!r} is given twice")
        entry = self.owners[owner.name] = Entry("owner", owner.name, owner, self._settings)
        return entry

    def add_key(self, told: SimKey | str) -> KeyEntry:
        """Write a key down. An owner that nobody described has no limits."""
        key = SimKey(told) if isinstance(told, str) else told
        if not isinstance(key, SimKey):
            raise TypeError(f"each of keys must be a SimKey or a secret, not {type(told).__name__}")
        self._numbered += 1
        name = key.name if key.name is not None else f"key-{self._numbered}"
        if name in self.by_name or name == "unknown":
            raise ValueError(f"name {name!r} of a key is taken")
        if key.secret in self.by_secret:
            raise ValueError(f"the secret of key {name!r} is that of key {self.by_secret[key.secret].name!r} too")
        owner = None if key.owner is None else self.owners.get(key.owner) or self.add_owner(key.owner)
        entry = KeyEntry(name, replace(key, name=name), owner, self._settings)
        self.by_secret[key.secret] = self.by_name[name] = entry
        return entry

    def remove_key(self, ref: str) -> None:
        """Strike a key out: its secret is unknown from now on."""
        entry = self.key(ref)
        del self.by_name[entry.name], self.by_secret[entry.told.secret]

    def key(self, ref: str) -> KeyEntry:
        """Find a key by its name or its secret."""
        entry = self.by_name.get(ref) or self.by_secret.get(ref)
        if entry is None:
            raise LookupError(f"no key has this name or secret; there are {names(self.by_name)}")
        return entry

    def owner(self, name: str) -> Entry[SimOwner]:
        """Find an owner by its name."""
        entry = self.owners.get(name)
        if entry is None:
            raise LookupError(f"no owner is named {name!r}; there are {names(self.owners)}")
        return entry


def names(group: dict[str, Any]) -> str:
    """List names for an error."""
    shown = [*group][:10]
    return ", ".join(shown) + (", ..." if len(group) > len(shown) else "") if shown else "none"
