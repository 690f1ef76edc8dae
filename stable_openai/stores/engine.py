"""What a store does, once it is safe to do it: choosing, counting and settling on the state in memory.

Nothing here takes a lock or reads a clock: the store calls one method at a time, and the moment is an argument. So the
same steps make the same state wherever they are taken in the same order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .choosing import choose, choose_of_few, free_at, preferred, refusal
from .lanes import CLOSED, INFINITY
from .outlook import outlook
from .protocol import Grant, Refusal
from .roster import Roster
from .settling import Taken, apply, revive, settle
from .snapshots import KeyStatus, reason_of, snapshot_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stable_openai.windows import AnyCount, Entry

    from .lanes import Habits
    from .orders import StrategyLike
    from .protocol import Ask, Change, Effect, Outcome, Way
    from .queues import Queue, Slot

__all__ = ["Engine"]


class Engine:
    """Keys, counts and cooldowns, and what may be done with them.

    Args:
        strategy: The order among eligible keys, as ``check_strategy`` returns it.
        habits: The clock, and what all lanes have in common.
    """

    def __init__(self, strategy: StrategyLike, habits: Habits) -> None:
        self.roster = Roster(strategy, habits)

    # -- granting

    def grant(self, ask: Ask, now: float) -> Grant | Refusal:
        """Choose a key and count its use, or say when to ask again.

        Raises:
            RequestTooLarge: No key's limits ever allow so many tokens.
        """
        queue = self.roster.queue_of(ask.model)
        slot = preferred(self.roster, queue, ask, now)
        if slot is not None:
            return self._take(queue, slot, ask, now, put=False)
        if ask.only is not None:
            found = choose_of_few(self.roster, queue, ask, now)
            return found if isinstance(found, Refusal) else self._take(queue, found, ask, now, put=False)
        slot = choose(self.roster, queue, ask, now)
        if slot is None:
            return refusal(self.roster, queue, ask)
        return self._take(queue, slot, ask, now)

    def _take(self, queue: Queue, slot: Slot, ask: Ask, now: float, *, put: bool = True) -> Grant:
        entries: list[tuple[AnyCount, Entry]] = []
        for lane in slot.lanes:
            lane.take(now, ask.tokens, entries)
            if lane.groups:
                queue.look_again(lane, now)
        if slot.lane is not CLOSED:
            slot.lanes[0].lend(now)
        if put:
            queue.put(slot, now)
        return Grant(slot.member.key, slot.member.name, ask, Taken(slot, slot.lanes, entries, now))

    # -- settling

    def settle(self, grant: Grant, outcome: Outcome, now: float) -> list[Change]:
        """End a grant; only the first settlement counts."""
        return settle(self.roster, grant, outcome, now)

    # -- standings

    def rest(self, name: str, effect: Effect, model: str | None, now: float) -> list[Change]:
        """Make a lane of this key rest."""
        return apply(self.roster, self.roster.members[name], model, effect, now)

    def revive(self, names: Iterable[str] | None, model: str | None) -> list[Change]:
        """Clear cooldowns, parking and retirement of these keys (None: of all), and of their owners."""
        members = self.roster.members
        chosen = list(members.values()) if names is None else [members[name] for name in names]
        return [change for member in chosen for change in revive(self.roster, member, model)]

    def assign_owner(self, names: Iterable[str], owner: str) -> None:
        """These keys turn out to draw on this owner's quota."""
        for name in names:
            self.roster.meet_owner(self.roster.members[name], owner)

    # -- looking

    def snapshot(self, now: float) -> list[KeyStatus]:
        """The state of each key."""
        return [snapshot_of(member, now) for member in self.roster.members.values()]

    def reasons(self, model: str | None, tokens: int, now: float) -> dict[str, str]:
        """Why each key is out for this model, by name; keys that are not out are left out."""
        found = {}
        for member in self.roster.members.values():
            if model is not None and member.key.models is not None and model not in member.key.models:
                found[member.name] = f"is not for the model {model}"
                continue
            for lane in member.lanes_for(model):
                reason = reason_of(lane, now, tokens)
                if reason:
                    found[member.name] = reason
                    break
        return found

    def earliest(self, model: str | None, tokens: int, now: float, only: frozenset[str] | None = None) -> float:
        """When a key may be eligible for this model again; infinity where none will be by itself. Looks at all keys."""
        return min((free_at(lanes, now, tokens) for lanes in self.roster.ways(model, only)), default=INFINITY)

    def outlook(self, model: str | None, tokens: int, now: float) -> list[Way]:
        """The keys of a model, the one first that is to have room first for so many tokens. Changes nothing."""
        return outlook(self.roster.queue_of(model), tokens, now)

    def pending_work(self) -> int:
        """Grants that are not settled."""
        return sum(member.in_flight for member in self.roster.members.values())
