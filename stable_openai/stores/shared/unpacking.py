"""The way back from what ``packing`` has packed: an engine that goes on exactly as the packed one would."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from stable_openai.limits import Limits, Spread, Window, as_limits
from stable_openai.stores.engine import Engine
from stable_openai.stores.lanes import Habits, Kind, Lane, Standing
from stable_openai.stores.members import Member, Owner
from stable_openai.stores.orders import Shares
from stable_openai.stores.outages import Endpoint, Failure
from stable_openai.stores.protocol import Ask, Grant
from stable_openai.stores.queues import Queue, Slot
from stable_openai.stores.settling import Taken
from stable_openai.windows import CalendarCount, Entry, SlidingCount

from .descriptions import key_of
from .packing import COUNT_KINDS, slots_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stable_openai.stores.members import Lanes
    from stable_openai.stores.orders import StrategyLike
    from stable_openai.stores.roster import Roster
    from stable_openai.windows import AnyCount

__all__ = ["unpack_engine"]


def unpack_engine(packed: Mapping[str, Any], strategy: StrategyLike, habits: Habits) -> tuple[Engine, list[Grant]]:
    """The engine, and its grants that are not settled, in the order in which they were packed."""
    engine = Engine(strategy, habits)
    roster = engine.roster
    lanes = [_unpack_lane(entry, habits) for entry in packed["lanes"]]
    members = [_unpack_member(entry, lanes, habits) for entry in packed["members"]]
    roster.members = {member.name: member for member in members if not member.gone}
    roster.next_index = packed["next_index"]
    roster.counts_tokens = packed["counts_tokens"]
    _unpack_owners(packed, roster, members, lanes)
    for entry in packed["endpoints"]:
        endpoint = _unpack_endpoint(entry, members, lanes, habits)
        roster.endpoints[endpoint.name] = endpoint
    _unpack_queues(packed, roster, members)
    return engine, [_unpack_lease(entry, roster, members, lanes) for entry in packed["leases"]]


def _unpack_member(entry: Sequence[Any], lanes: Sequence[Lane], habits: Habits) -> Member:
    fingerprint, name, owner, endpoint, models, weight, limits, by_model, index, failed, gone, _, packed_lanes = entry
    key, told = key_of([fingerprint, name, owner, endpoint, models, weight, limits, by_model])
    member = Member(key, index=index, name=fingerprint, limits=told, habits=habits)
    member.failed, member.gone = failed, gone
    _fill_lanes(member.lanes, packed_lanes, lanes)
    return member


def _unpack_owners(packed: Mapping[str, Any], roster: Roster, members: Sequence[Member], lanes: Sequence[Lane]) -> None:
    owners = []
    for name, told, (limits, by_model), places, packed_lanes in packed["owners"]:
        owner = Owner(name, roster.habits, told=told)
        owner.lanes.tell(as_limits(limits), {model: as_limits(own) for model, own in by_model.items()})
        owner.members = dict.fromkeys(members[place] for place in places)
        _fill_lanes(owner.lanes, packed_lanes, lanes)
        owners.append(owner)
    roster.owners = {name: owners[place] for name, place in packed["told"].items()}
    roster.aliases = {name: owners[place] for name, place in packed["aliases"].items()}
    for member, entry in zip(members, packed["members"], strict=True):
        member.owner = None if entry[11] is None else owners[entry[11]]


def _fill_lanes(target: Lanes, packed: Sequence[Any], lanes: Sequence[Lane]) -> None:
    own, by_model = packed
    target.own = None if own is None else lanes[own]
    target.by_model = {model: lanes[number] for model, number in by_model}


def _unpack_endpoint(
    entry: Sequence[Any], members: Sequence[Member], lanes: Sequence[Lane], habits: Habits
) -> Endpoint:
    name, places, lane, served, failures = entry
    endpoint = Endpoint(name, habits)
    endpoint.members = dict.fromkeys(members[place] for place in places)
    for member in endpoint.members:
        member.endpoint = endpoint
    endpoint.lane = None if lane is None else lanes[lane]
    endpoint.served = served
    endpoint.failures = deque(
        Failure(at, what, members[place], call, None if blamed is None else lanes[blamed])
        for at, what, place, call, blamed in failures
        if place is not None
    )
    return endpoint


def _unpack_queues(packed: Mapping[str, Any], roster: Roster, members: Sequence[Member]) -> None:
    first, *others = packed["queues"]
    _fill_queue(roster.any, first, members)
    if packed["others"]:
        roster.others = Queue(None, roster.strategy, roster.habits.dice)
        _fill_queue(roster.others, others.pop(0), members)
    for entry in others:
        queue = roster.queues[entry[0]] = Queue(entry[0], roster.strategy, roster.habits.dice)
        _fill_queue(queue, entry, members)


def _fill_queue(queue: Queue, entry: Sequence[Any], members: Sequence[Member]) -> None:
    _, order, floor, behind = entry
    if isinstance(queue.ready, Shares):
        queue.ready.floor, queue.ready.behind = floor, dict(behind)
    for place in order:
        slot = queue.slots[members[place]] = Slot(members[place], queue)
        queue.ready.push(slot)


def _unpack_lease(entry: Sequence[Any], roster: Roster, members: Sequence[Member], lanes: Sequence[Lane]) -> Grant:
    place, model, tokens, call, numbers, at, packed_entries = entry
    member = members[place]
    passed = tuple(lanes[number] for number in numbers)
    entries: list[tuple[AnyCount, Entry]] = []
    for number, window, where, *values in packed_entries:
        count = lanes[number].all_counts()[window]
        if where is None:
            entries.append((count, Entry(values[0], values[1], values[2])))
        elif isinstance(count, SlidingCount):
            entries.append((count, count.entries()[where]))
    slot = roster.any.slots.get(member) or Slot(member, roster.any)
    return Grant(member.key, member.name, Ask(model, tokens, call=call), Taken(slot, passed, entries, at))


def _unpack_lane(entry: Sequence[Any], habits: Habits) -> Lane:
    kind, model, limits, state, counts, rejects = entry
    lane = Lane(Kind(kind), Limits(), habits, model)
    lane.limits = as_limits(limits)
    for slot, value in state.items():
        setattr(lane, slot, value)
    lane.standing = Standing(lane.standing)
    unpacked = [_unpack_count(count, habits) for count in counts]
    lane.counts = tuple(count for count in unpacked if count.window.what == "requests")
    lane.token_counts = tuple(count for count in unpacked if count.window.what == "tokens")
    lane.rejects = None if rejects is None else _sliding(_unpack_count(rejects, habits))
    return lane


def _sliding(count: AnyCount) -> SlidingCount:
    assert isinstance(count, SlidingCount)  # noqa: S101  # as it was packed
    return count


def _unpack_count(packed: Sequence[Any], habits: Habits) -> AnyCount:
    name, (what, limit, seconds, calendar, zone, spread), state, entries = packed
    kind = COUNT_KINDS[name]
    window = (Spread if spread else Window)(what, limit, seconds=seconds, calendar=calendar, zone=zone)
    if kind is CalendarCount:
        count: AnyCount = CalendarCount(window, habits.clock, learned=state["learned"])
    else:
        count = kind.__new__(kind)  # its maker would begin a window of its own
        count.window = window
        assert isinstance(count, SlidingCount)  # noqa: S101  # the only other kind
        count.restore([Entry(first, amount, at) for first, amount, at in entries])
    for slot, value in state.items():
        if slot in slots_of(kind):
            setattr(count, slot, value)
    return count
