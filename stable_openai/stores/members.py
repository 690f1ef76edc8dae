"""Keys and owners with their state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stable_openai.limits import Limits

from .lanes import Habits, Kind, Lane

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stable_openai.keys import Key

    from .outages import Endpoint

__all__ = ["Lanes", "Member", "Owner"]


class Lanes:
    """The lanes of a key or of an owner: one for all models, and one for each model that has something of its own."""

    __slots__ = ("_habits", "_kinds", "by_model", "limits", "model_limits", "own")

    def __init__(
        self,
        kinds: tuple[Kind, Kind],
        limits: Limits,
        model_limits: Mapping[str, Limits],
        habits: Habits,
    ) -> None:
        self._habits = habits
        self._kinds = kinds
        self.limits = limits
        self.model_limits = dict(model_limits)
        self.own: Lane | None = None
        self.by_model: dict[str, Lane] = {}

    def tell(self, limits: Limits, model_limits: Mapping[str, Limits]) -> None:
        """Take other limits; counts stay."""
        self.limits = limits
        self.model_limits = dict(model_limits)
        if self.own is not None:
            self.own.tell(limits)
        for model, lane in self.by_model.items():
            lane.tell(self.model_limits.get(model, Limits()))

    @property
    def told_models(self) -> set[str]:
        """The models that have limits or a state of their own."""
        return {*self.model_limits, *self.by_model}

    @property
    def has_limits(self) -> bool:
        return bool(self.limits)

    def whole(self) -> Lane:
        """The lane for all models, made when it is first needed."""
        if self.own is None:
            self.own = Lane(self._kinds[0], self.limits, self._habits)
        return self.own

    def of_model(self, model: str | None) -> Lane | None:
        """The lane of one model, where it has limits or a state of its own."""
        if model is None:
            return None
        lane = self.by_model.get(model)
        if lane is None and model in self.model_limits:
            lane = self.make(model)
        return lane

    def make(self, model: str) -> Lane:
        """Make the lane of one model."""
        limits = self.model_limits.get(model, Limits())
        lane = self.by_model[model] = Lane(self._kinds[1], limits, self._habits, model)
        return lane

    def prune(self, lane: Lane) -> bool:
        """Drop a lane that nothing sets apart any more; True if it was dropped."""
        if not lane.idle:
            return False
        if lane.model is not None and self.by_model.get(lane.model) is lane and lane.model not in self.model_limits:
            del self.by_model[lane.model]
            return True
        if lane is self.own and lane.kind is Kind.OWNER and not self.limits:
            self.own = None
            return True
        return False

    def for_looking(self) -> list[Lane]:
        """Every lane that there is; or one that shows that there is none, and is not kept: no call goes through it."""
        return self.all() or [Lane(self._kinds[0], self.limits, self._habits)]

    def all(self) -> list[Lane]:
        """Every lane that there is."""
        return [*((self.own,) if self.own is not None else ()), *self.by_model.values()]


class Owner:
    """An organisation, project or account, with the keys that draw on it."""

    __slots__ = ("lanes", "members", "name", "told")

    def __init__(self, name: str, habits: Habits, *, told: bool = True) -> None:
        self.name = name
        self.told = told  # by the user, rather than found out
        self.lanes = Lanes((Kind.OWNER, Kind.OWNER_AND_MODEL), Limits(), {}, habits)
        self.members: dict[Member, None] = {}  # in order: a set's differs from process to process


class Member:
    """One key of a pool, with its state."""

    __slots__ = ("endpoint", "failed", "gone", "index", "key", "lanes", "name", "owner")

    def __init__(self, key: Key, *, index: int, name: str, limits: Limits, habits: Habits) -> None:
        self.key = key
        self.index: int = index
        self.name = name
        self.owner: Owner | None = None
        self.lanes = Lanes((Kind.KEY, Kind.KEY_AND_MODEL), limits, key.model_limits, habits)
        self.endpoint: Endpoint | None = None
        self.failed = 0
        self.gone = False

    @property
    def uses(self) -> int:
        return 0 if self.lanes.own is None else self.lanes.own.uses

    @property
    def in_flight(self) -> int:
        return 0 if self.lanes.own is None else self.lanes.own.in_flight

    @property
    def served(self) -> int:
        """Calls that ended without a failure of the key's or the provider's."""
        own = self.lanes.own
        return 0 if own is None else max(own.settled + len(own.done) - self.failed, 0)

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
        if self.endpoint is not None:
            found.append(self.endpoint.lane)
        return tuple(lane for lane in found if lane is not None)
