"""Who is in a pool: keys, owners, the queues of the models and the slots in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stable_openai.limits import Limits
from stable_openai.windows import SlidingCount

from .lanes import CLOSED, Habits, Kind, Lane
from .members import Member, Owner
from .outages import Endpoint
from .queues import Queue, Slot

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from stable_openai.keys import Key

    from .orders import StrategyLike

__all__ = ["Roster"]

_MOST_QUEUES: Final = 1_000  # models with a queue of their own; beyond that the oldest is forgotten


class Roster:
    """Keys, owners and queues. All methods are called under the store's lock.

    Attributes:
        members: The keys by name.
        next_index: The place of the next key that is added.
        owners: The owners by the names that were told.
        aliases: Owners by the names that answers give them.
        endpoints: The endpoints by base URL.
        strategy: The order among eligible keys.
        any: The queue for calls whose model is not known: every key.
        others: The queue for models of which no key says anything of its own.
        queues: The queues of the other models.
        counts_tokens: Whether any limit that was told is about tokens.
    """

    __slots__ = (
        "aliases",
        "any",
        "counts_tokens",
        "endpoints",
        "habits",
        "members",
        "next_index",
        "others",
        "owners",
        "queues",
        "strategy",
    )

    def __init__(self, strategy: StrategyLike, habits: Habits) -> None:
        self.habits = habits
        self.aliases: dict[str, Owner] = {}
        self.endpoints: dict[str | None, Endpoint] = {}
        self.strategy = strategy
        self.next_index = 0
        self.owners: dict[str, Owner] = {}
        self.members: dict[str, Member] = {}
        self.any = Queue(None, strategy, habits.dice)
        self.others = self.any
        self.queues: dict[str, Queue] = {}
        self.counts_tokens = False

    # -- keys and owners

    def add(self, entries: Iterable[tuple[Key, str, Limits]]) -> None:
        """Add keys under names that are new, with the limits of each."""
        added = []
        noted: Limits | None = None  # those that keys have in common are looked at once
        for key, name, limits in entries:
            member = Member(key, index=self.next_index, name=name, limits=limits, habits=self.habits)
            self.next_index += 1
            self.members[name] = member
            if limits is not noted or key.model_limits:
                self._note(limits, key.model_limits)
                noted = limits
            self._place(member)
            added.append(member)
        self._enlist(added)

    def remove(self, name: str) -> None:
        """Take a key out of use at once."""
        member = self.members.pop(name)
        member.gone = True
        for lane in member.lanes.all():
            lane.flush()
        self._displace(member)
        for queue in self.all_queues():
            queue.slots.pop(member, None)
        _rouse(member.lanes.all())  # nobody is to wait for it

    def retell(self, name: str, key: Key, limits: Limits) -> None:
        """Take another description of a key that stays: its limits, owner, models; its counts are kept."""
        member = self.members[name]
        member.lanes.tell(limits, key.model_limits)
        self._note(limits, key.model_limits)
        self._displace(member)
        member.key = key
        self._place(member)
        self._enlist([member])
        _rouse(member.lanes.all())

    def set_owner(self, name: str, limits: Limits, model_limits: Mapping[str, Limits]) -> None:
        """Tell an owner's limits; the counts of windows that stay are kept."""
        owner = self._owner(name)
        owner.lanes.tell(limits, model_limits)
        self._note(limits, model_limits)
        self.restructure(owner.members, owner.lanes.told_models)
        _rouse(owner.lanes.all())

    def _note(self, limits: Limits, model_limits: Mapping[str, Limits]) -> None:
        if not self.counts_tokens:
            self.counts_tokens = any(told.counts_tokens for told in (limits, *model_limits.values()))

    def _place(self, member: Member) -> None:
        """Put a member with its owner and its endpoint."""
        key = member.key
        if key.owner is not None:
            member.owner = self._owner(key.owner)
        if member.owner is not None:
            member.owner.members[member] = None
        endpoint = self.endpoints.get(key.base_url)
        if endpoint is None:
            endpoint = self.endpoints[key.base_url] = Endpoint(key.base_url, self.habits)
        member.endpoint = endpoint
        endpoint.members[member] = None

    def _displace(self, member: Member) -> None:
        if member.owner is not None:
            member.owner.members.pop(member, None)
            if member.owner.told:
                member.owner = None
        if member.endpoint is not None:
            member.endpoint.members.pop(member, None)

    def _owner(self, name: str) -> Owner:
        owner = self.owners.get(name)
        if owner is None:
            owner = self.owners[name] = Owner(name, self.habits)
        return owner

    def meet_owner(self, member: Member, name: str) -> bool:
        """An answer names the owner of a key: keys of one owner share what is scoped to it. True if that is news."""
        known = self.aliases.get(name)
        own = member.owner
        if known is None:
            known = self.aliases[name] = own or self.owners.get(name) or Owner(name, self.habits, told=False)
        if own is known or (own is not None and own.told):
            return False  # what the user says of a key stands
        movers = [member] if own is None else list(own.members)
        for mover in movers:
            if mover.owner is not None:
                mover.owner.members.pop(mover, None)
            mover.owner = known
            known.members[mover] = None
        self.restructure(movers, known.lanes.told_models)
        return True

    def of_one_owner(self, member: Member) -> bool:
        """Whether all keys of the pool turn out to be of this one's owner."""
        return member.owner is not None and len(self.members) > 1 and len(member.owner.members) == len(self.members)

    # -- lanes

    def lane_for(self, member: Member, model: str | None, kind: Kind) -> Lane:
        """The lane that an effect is for, made (with the slots that pass through it) where there was none."""
        if kind is Kind.ENDPOINT and member.endpoint is not None:
            if member.endpoint.lane is None:
                member.endpoint.lane = Lane(kind, Limits(), self.habits)
                self.restructure(member.endpoint.members, ())
            return member.endpoint.lane
        owner = member.owner if kind in (Kind.OWNER, Kind.OWNER_AND_MODEL) else None
        lanes = member.lanes if owner is None else owner.lanes
        sharers = [member] if owner is None else list(owner.members)
        whole = model is None or kind in (Kind.KEY, Kind.OWNER)
        known = lanes.own if whole else lanes.of_model(model)
        if known is not None:
            return known
        lane = lanes.whole() if model is None or whole else lanes.make(model)
        self._remember(lane, sharers)
        self.restructure(sharers, () if model is None or whole else (model,))
        return lane

    def _remember(self, lane: Lane, sharers: Iterable[Member]) -> None:
        """Let a lane that is made now know what its keys did in the last minute."""
        for count in lane.counts:
            if isinstance(count, SlidingCount) and count.period == self.habits.minute:
                past = [other for sharer in sharers for other in _minute_counts(sharer, self.habits.minute)]
                count.take_over(*past)

    def flying(self, member: Member, lane: Lane) -> int:
        """Calls that run now on the keys of a lane."""
        if member.owner is not None and lane in member.owner.lanes.all():
            return sum(sharer.in_flight for sharer in member.owner.members)
        return member.in_flight

    def learned_tokens(self, lane: Lane) -> None:
        """A lane may have a limit of tokens now that nobody told."""
        self.counts_tokens = True
        largest = lane.largest_request()
        for queue in self.all_queues():  # where it is none of its lanes, a refusal only looks closer
            queue.least_largest = min(queue.least_largest, largest)

    def prune(self, member: Member, lanes: Iterable[Lane]) -> None:
        """Drop lanes that nothing sets apart any more, so that calls have a short way again."""
        for lane in lanes:
            if member.owner is not None and member.owner.lanes.prune(lane):
                self.restructure(member.owner.members, ())
            elif member.lanes.prune(lane):
                self.restructure({member}, ())
            elif member.endpoint is not None and lane is member.endpoint.lane and lane.idle:
                self.come_up(member.endpoint)

    def come_up(self, endpoint: Endpoint) -> None:
        """End the outage of an endpoint."""
        lane = endpoint.come_up()
        if lane is not None:
            _rouse([lane])
            self.restructure(endpoint.members, ())

    # -- queues and slots

    def use(self, strategy: StrategyLike) -> None:
        """Change the order among eligible keys."""
        self.strategy = strategy
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

    def few(self, names: Iterable[str]) -> list[Member]:
        """The keys of these names that there are, in the order in which they were added."""
        found = [self.members[name] for name in names if name in self.members]
        return sorted(found, key=lambda member: member.index)

    def ways(self, model: str | None, only: Iterable[str] | None = None) -> Iterator[tuple[Lane, ...]]:
        """The lanes of each key (of these, where some are named) that is for this model."""
        for member in self.members.values() if only is None else self.few(only):
            if model is None or member.key.models is None or model in member.key.models:
                yield member.lanes_for(model)

    def furnish(self, slot: Slot) -> None:
        """Give a slot its lanes. Put off until it first comes up, a pool of 100,000 keys is built in a second."""
        lanes = slot.lanes = slot.member.lanes_for(slot.queue.model)
        slot.lane = lanes[0] if len(lanes) == 1 else CLOSED
        slot.done = lanes[0].done
        slot.queue.least_largest = min(slot.queue.least_largest, slot.largest_request())

    def _enlist(self, members: list[Member]) -> None:
        """Give members that are new, or whose description has changed, their slots."""
        models: set[str] = set()  # in order below: the order of sets of text differs between processes
        for member in members:
            models |= member.lanes.told_models | (member.key.models or frozenset())
            if member.owner is not None:
                models |= member.owner.lanes.told_models
            if member.key.models is not None and self.others is self.any:
                self.others = Queue(None, self.strategy, self.habits.dice)
                self._fill(self.others, self.members.values())
        for queue in self.all_queues():
            self._fill(queue, members)
        for model in sorted(models):
            self._own_queue(model)

    def _own_queue(self, model: str) -> None:
        if model in self.queues:
            return
        if len(self.queues) >= _MOST_QUEUES:
            del self.queues[next(iter(self.queues))]
        queue = self.queues[model] = Queue(model, self.strategy, self.habits.dice)
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

    def restructure(self, members: Iterable[Member], models: Iterable[str]) -> None:
        """Rebuild the slots of members whose lanes are no longer the same."""
        for model in sorted(models):
            self._own_queue(model)
        for queue in self.all_queues():
            for member in members:
                slot = queue.slots.get(member)
                if slot is not None:
                    for lane in slot.lanes:
                        lane.flush()
                    self.furnish(slot)


def _rouse(lanes: Iterable[Lane]) -> None:
    for lane in lanes:
        for queue in tuple(lane.groups):
            queue.rouse(lane)


def _minute_counts(member: Member, minute: float) -> list[SlidingCount]:
    own = member.lanes.own
    if own is None:
        return []
    own.flush()
    return [count for count in own.counts if isinstance(count, SlidingCount) and count.period == minute][:1]
