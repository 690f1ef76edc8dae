"""Keys and owners with their state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stable_openai.limits import Limits

from .lanes import Kind, Lane

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stable_openai.clock import Clock
    from stable_openai.keys import Key

__all__ = ["Lanes", "Member", "Owner"]


class Lanes:
    """The lanes of a key or of an owner: one for all models, and one for each model that has something of its own."""

    __slots__ = ("_clock", "_kinds", "_limits", "_model_limits", "by_model", "own")

    def __init__(
        self, kinds: tuple[Kind, Kind], limits: Limits, model_limits: Mapping[str, Limits], clock: Clock
    ) -> None:
        self._kinds = kinds
        self._limits = limits
        self._model_limits = dict(model_limits)
        self._clock = clock
        self.own: Lane | None = None
        self.by_model: dict[str, Lane] = {}

    def tell(self, limits: Limits, model_limits: Mapping[str, Limits]) -> None:
        """Take other limits; counts stay."""
        self._limits = limits
        self._model_limits = dict(model_limits)
        if self.own is not None:
            self.own.tell(limits)
        for model, lane in self.by_model.items():
            lane.tell(self._model_limits.get(model, Limits()))

    @property
    def told_models(self) -> set[str]:
        """The models that have limits or a state of their own."""
        return {*self._model_limits, *self.by_model}

    @property
    def has_limits(self) -> bool:
        return bool(self._limits)

    def whole(self) -> Lane:
        """The lane for all models, made when it is first needed."""
        if self.own is None:
            self.own = Lane(self._kinds[0], self._limits, self._clock)
        return self.own

    def of_model(self, model: str | None) -> Lane | None:
        """The lane of one model, where it has limits or a state of its own."""
        if model is None:
            return None
        lane = self.by_model.get(model)
        if lane is None and model in self._model_limits:
            lane = self.make(model)
        return lane

    def make(self, model: str) -> Lane:
        """Make the lane of one model."""
        lane = self.by_model[model] = Lane(self._kinds[1], self._model_limits.get(model, Limits()), self._clock, model)
        return lane

    def all(self) -> list[Lane]:
        """Every lane that there is."""
        return [*((self.own,) if self.own is not None else ()), *self.by_model.values()]


class Owner:
    """An organisation, project or account, with the keys that draw on it."""

    __slots__ = ("lanes", "members", "name")

    def __init__(self, name: str, limits: Limits, model_limits: Mapping[str, Limits], clock: Clock) -> None:
        self.name = name
        self.lanes = Lanes((Kind.OWNER, Kind.OWNER_AND_MODEL), limits, model_limits, clock)
        self.members: set[Member] = set()


class Member:
    """One key of a pool, with its state."""

    __slots__ = ("failed", "gone", "index", "key", "lanes", "name", "owner")

    def __init__(self, key: Key, *, index: int, name: str, limits: Limits, owner: Owner | None, clock: Clock) -> None:
        self.key = key
        self.index: int = index
        self.name = name
        self.owner = owner
        self.lanes = Lanes((Kind.KEY, Kind.KEY_AND_MODEL), limits, key.model_limits, clock)
        self.failed = 0
        self.gone = False

    @property
    def uses(self) -> int:
        return 0 if self.lanes.own is None else self.lanes.own.uses

    @property
    def in_flight(self) -> int:
        return 0 if self.lanes.own is None else self.lanes.own.in_flight

    @property
    def used_at(self) -> float:
        return float("-inf") if self.lanes.own is None else self.lanes.own.used_at

    def lanes_for(self, model: str | None) -> tuple[Lane, ...]:
        """The lanes that a call for this model goes through, the key's own first."""
        found = [self.lanes.whole(), self.lanes.of_model(model)]
        if self.owner is not None:
            shared = self.owner.lanes
            found.append(shared.whole() if shared.has_limits or shared.own is not None else None)
            found.append(shared.of_model(model))
        return tuple(lane for lane in found if lane is not None)
