"""Who is in a pool: keys, owners, the queues of the models and the slots in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stable_openai.limits import Limits

from .lanes import CLOSED, Kind, Lane
from .members import Member, Owner
from .queues import Queue, Slot

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from stable_openai.clock import Clock
    from stable_openai.keys import Key

    from .orders import StrategyLike

__all__ = ["Roster"]

_MOST_QUEUES: Final = 1_000  # models with a queue of their own; beyond that the oldest is forgotten


class Roster:
    """Keys, owners and queues. All methods are called under the store's lock.

    Attributes:
        members: The keys by name.
        any: The queue for calls whose model is not known: every key.
        others: The queue for models of which no key says anything of its own.
        queues: The queues of the other models.
        counts_tokens: Whether any limit that was told is about tokens.
    """

    __slots__ = ("_clock", "_next_index", "_owners", "_strategy", "any", "counts_tokens", "members", "others", "queues")

    def __init__(self, strategy: StrategyLike, clock: Clock) -> None:
        self._strategy = strategy
        self._clock = clock
        self._next_index = 0
        self._owners: dict[str, Owner] = {}
        self.members: dict[str, Member] = {}
        self.any = Queue(None, strategy)
        self.others = self.any
        self.queues: dict[str, Queue] = {}
        self.counts_tokens = False

    # -- keys and owners

    def add(self, entries: Iterable[tuple[Key, str, Limits]]) -> None:
        """Add keys under names that are new, with the limits of each."""
        added = []
        for key, name, limits in entries:
            member = Member(
                key, index=self._next_index, name=name, limits=limits, owner=self._owner_of(key), clock=self._clock
            )
            self._next_index += 1
            self.members[name] = member
            self._note(limits, key.model_limits)
            if member.owner is not None:
                member.owner.members.add(member)
            added.append(member)
        self._enlist(added)

    def remove(self, name: str) -> None:
        """Take a key out of use at once."""
        member = self.members.pop(name)
        member.gone = True
        for lane in member.lanes.all():
            lane.flush()
        if member.owner is not None:
            member.owner.members.discard(member)
        for queue in self.all_queues():
            queue.slots.pop(member, None)

    def retell(self, name: str, key: Key, limits: Limits) -> None:
        """Take another description of a key that stays: its limits, owner, models; its counts are kept."""
        member = self.members[name]
        member.lanes.tell(limits, key.model_limits)
        self._note(limits, key.model_limits)
        if member.owner is not None:
            member.owner.members.discard(member)
        member.owner = self._owner_of(key)
        if member.owner is not None:
            member.owner.members.add(member)
        member.key = key
        self._enlist([member])

    def set_owner(self, name: str, limits: Limits, model_limits: Mapping[str, Limits]) -> None:
        """Tell an owner's limits; the counts of windows that stay are kept."""
        owner = self._owner(name)
        owner.lanes.tell(limits, model_limits)
        self._note(limits, model_limits)
        self._restructure(owner.members, owner.lanes.told_models)

    def _note(self, limits: Limits, model_limits: Mapping[str, Limits]) -> None:
        if not self.counts_tokens:
            self.counts_tokens = any(told.counts_tokens for told in (limits, *model_limits.values()))

    def _owner_of(self, key: Key) -> Owner | None:
        return None if key.owner is None else self._owner(key.owner)

    def _owner(self, name: str) -> Owner:
        owner = self._owners.get(name)
        if owner is None:
            owner = self._owners[name] = Owner(name, Limits(), {}, self._clock)
        return owner

    # -- lanes

    def lane_for(self, member: Member, model: str | None, kind: Kind) -> Lane:
        """The lane that an effect is for, made (with the slots that pass through it) where there was none."""
        owner = member.owner if kind in (Kind.OWNER, Kind.OWNER_AND_MODEL) else None
        lanes = member.lanes if owner is None else owner.lanes
        sharers = {member} if owner is None else owner.members
        if model is None or kind in (Kind.KEY, Kind.OWNER):
            if lanes.own is None:
                lanes.whole()
                self._restructure(sharers, ())
            return lanes.whole()
        lane = lanes.of_model(model)
        if lane is None:
            lane = lanes.make(model)
            self._restructure(sharers, (model,))
        return lane

    # -- queues and slots

    def use(self, strategy: StrategyLike) -> None:
        """Change the order among eligible keys."""
        self._strategy = strategy
        for queue in self.all_queues():
            queue.use(strategy)

    def queue_of(self, model: str | None) -> Queue:
        """The queue of calls for a model."""
        if model is None:
            return self.any
        return self.queues.get(model, self.others)

    def all_queues(self) -> Iterator[Queue]:
        """Each queue once."""
        yield self.any
        if self.others is not self.any:
            yield self.others
        yield from tuple(self.queues.values())

    def furnish(self, slot: Slot) -> None:
        """Give a slot its lanes. Put off until it first comes up, a pool of 100,000 keys is built in a second."""
        lanes = slot.lanes = slot.member.lanes_for(slot.queue.model)
        slot.lane = lanes[0] if len(lanes) == 1 else CLOSED
        slot.done = lanes[0].done
        slot.queue.least_largest = min(slot.queue.least_largest, slot.largest_request())

    def _enlist(self, members: list[Member]) -> None:
        """Give members that are new, or whose description has changed, their slots."""
        models: set[str] = set()
        for member in members:
            models |= member.lanes.told_models | (member.key.models or frozenset())
            if member.owner is not None:
                models |= member.owner.lanes.told_models
            if member.key.models is not None and self.others is self.any:
                self.others = Queue(None, self._strategy)
                self._fill(self.others, self.members.values())
        for queue in self.all_queues():
            self._fill(queue, members)
        for model in models:
            self._own_queue(model)

    def _own_queue(self, model: str) -> None:
        if model in self.queues:
            return
        if len(self.queues) >= _MOST_QUEUES:
            del self.queues[next(iter(self.queues))]
        queue = self.queues[model] = Queue(model, self._strategy)
        self._fill(queue, self.members.values())

    def _fill(self, queue: Queue, members: Iterable[Member]) -> None:
        for member in members:
            slot = queue.slots.get(member)
            fits = member.key.models is None or queue is self.any or queue.model in member.key.models
            if slot is not None and not fits:
                slot.dropped = True
                del queue.slots[member]
            elif slot is not None:
                self.furnish(slot)
            elif fits:
                slot = queue.slots[member] = Slot(member, queue)
                queue.ready.push(slot)

    def _restructure(self, members: Iterable[Member], models: Iterable[str]) -> None:
        """Rebuild the slots of members whose lanes are no longer the same."""
        for model in models:
            self._own_queue(model)
        for queue in self.all_queues():
            for member in members:
                slot = queue.slots.get(member)
                if slot is not None:
                    for lane in slot.lanes:
                        lane.flush()
                    self.furnish(slot)
