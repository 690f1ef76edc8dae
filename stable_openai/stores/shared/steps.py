"""What the kinds of entries do to a replica: one function each, and the table of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from stable_openai.errors import RequestTooLarge
from stable_openai.limits import as_limits
from stable_openai.stores.lanes import INFINITY
from stable_openai.stores.protocol import Grant, Outcome
from stable_openai.stores.settling import Taken
from stable_openai.windows import SlidingCount

from .descriptions import key_of
from .outcomes import ask_of, effect_of, outcome_of
from .workers import digest

if TYPE_CHECKING:
    from collections.abc import Callable

    from stable_openai.stores.lanes import Lane
    from stable_openai.stores.protocol import Change, Refusal
    from stable_openai.windows import AnyCount
    from stable_openai.windows import Entry as WindowEntry

    from .replica import Replica
    from .workers import Worker

__all__ = ["STEPS", "STRANGER", "Settled", "Stranger", "dismiss", "frees", "is_calm", "join"]

_FREEING: Final = frozenset({"outage over", "recovered"})
_ENDED: Final = Outcome()


class Stranger:
    """The answer to a worker that the others have given up, or that has yet to say which keys it holds."""


STRANGER: Final = Stranger()


class Settled:
    """What a settlement did.

    Attributes:
        changes: What has changed.
        outage: Whether the failure is taken for an outage's.
        freed: Whether somebody who waits may have a key by it.
    """

    __slots__ = ("changes", "freed", "outage")

    def __init__(self, changes: list[Change], *, outage: bool = False, freed: bool = False) -> None:
        self.changes = changes
        self.outage = outage
        self.freed = freed


# -- calls


def _grant(state: Replica, worker: Worker, number: int, *packed: Any) -> Grant | Refusal | RequestTooLarge | Stranger:
    if worker.held is None:
        return STRANGER
    worker.number = max(worker.number, number)
    if number in worker.leases:
        return worker.leases[number]  # said twice, since the first answer was lost on the way
    ask = ask_of(packed)
    ask.call += worker.calls
    lacks = worker.lacks(state.engine.roster)
    if lacks:
        ask.shun |= lacks
    try:
        found = state.engine.grant(ask, state.now)
    except RequestTooLarge as error:
        return error
    if isinstance(found, Grant):
        worker.leases[number] = found
    return found


def _settle(state: Replica, worker: Worker, _number: int, lease: int, *packed: Any) -> Settled:
    grant = worker.leases.pop(lease, None)
    if grant is None:
        return Settled([])  # given back already
    outcome = outcome_of(packed)
    freed = frees(grant, outcome)
    changes = state.engine.settle(grant, outcome, state.now)
    if changes:
        freed = freed or any(change.what in _FREEING for change in changes)
    return Settled(changes, outage=grant.outage, freed=freed)


def frees(grant: Grant, outcome: Outcome) -> bool:
    """Whether somebody who waits may have a key by this settlement: who sleeps on a lane, and what it gives back."""
    back = outcome.unused or (outcome.tokens is not None and outcome.tokens < grant.tokens)
    for lane in grant.state.lanes:  # as a loop it takes a third of the time
        if (lane.groups or lane.wanted) and (back or lane.max_concurrency is not None or lane.trial):
            return True
    return False


def is_calm(grant: Grant) -> bool:
    """Whether a success is nothing new for the lanes of this grant, and gives nothing back that others may wait for."""
    endpoint = grant.state.slot.member.endpoint
    if endpoint is not None and endpoint.down:
        return False
    for lane in grant.state.lanes:
        if lane.max_concurrency is not None or lane.trial or lane.strikes or lane.troubles:
            return False
        if lane.suspected > -INFINITY:
            return False
    return True


# -- workers


def join(state: Replica, name: str, ttl: float, calls: int, held: list[str] | str) -> None:
    """A worker says that it is there, and which keys it holds: a list, or the digest of all that there are."""
    worker = state.workers.join(name, calls, ttl, state.now)
    members = state.engine.roster.members
    if not isinstance(held, str):
        state.workers.hold(worker, held)
    elif held == digest(members):
        state.workers.hold(worker, members)
    else:
        worker.hold(None)  # others have come meanwhile: it has to say it in full


def _leave(state: Replica, worker: Worker, _number: int) -> None:
    dismiss(state, worker, for_good=True)


def dismiss(state: Replica, worker: Worker, *, for_good: bool = False) -> None:
    """Give back what a worker holds that is no more."""
    if for_good:
        state.workers.remove(worker)
    else:
        state.workers.give_up(worker)
    for grant in worker.leases.values():
        state.engine.settle(grant, _ENDED, state.now)


def _beat(_state: Replica, _worker: Worker, _number: int) -> None:
    """That it was said is all."""


# -- keys


def _keys(state: Replica, worker: Worker, _number: int, *packed: list[Any]) -> None:
    """The worker holds these keys, and describes them so."""
    roster = state.engine.roster
    added = []
    for description in packed:
        key, limits = key_of(description)
        if key.secret in roster.members:
            roster.retell(key.secret, key, limits)
        else:
            added.append((key, description[0], limits))
    roster.add(added)
    state.workers.hold(worker, (worker.held or frozenset()) | {description[0] for description in packed})


def _drop(state: Replica, worker: Worker, _number: int, *keys: str) -> None:
    """The worker has these keys no more; a key that nobody holds leaves the pool."""
    state.workers.hold(worker, (worker.held or frozenset()).difference(keys))
    for key in keys:
        held = any(other.held is None or key in other.held for other in state.workers)
        if key in state.engine.roster.members and not held:
            state.engine.roster.remove(key)


def _owner(state: Replica, _worker: Worker, _number: int, name: str, limits: Any, by_model: dict[str, Any]) -> None:
    told = {model: as_limits(own) for model, own in by_model.items()}
    state.engine.roster.set_owner(name, as_limits(limits), told)


def _assign(state: Replica, _worker: Worker, _number: int, owner: str, *keys: str) -> None:
    state.engine.assign_owner([key for key in keys if key in state.engine.roster.members], owner)


def _rest(state: Replica, _worker: Worker, _number: int, key: str, model: str | None, *packed: Any) -> list[Change]:
    if key not in state.engine.roster.members:
        return []
    return state.engine.rest(key, effect_of(packed), model, state.now)


def _revive(state: Replica, _worker: Worker, _number: int, keys: list[str] | None, model: str | None) -> list[Change]:
    members = state.engine.roster.members
    return state.engine.revive(None if keys is None else [key for key in keys if key in members], model)


def _configure(state: Replica, _worker: Worker, _number: int, *settings: Any) -> None:
    state.configure(settings)


# -- the journal itself


def _recount(state: Replica, worker: Worker, _number: int, *done: list[Any]) -> None:
    """Count what a worker did that was not heard: no limit is asked, since it has happened.

    What was heard already, but is given up and runs on, takes its place among the running ones again.
    """
    roster = state.engine.roster
    touched: dict[AnyCount, None] = {}
    for number, key, at, packed, outcome in done:
        is_heard = number <= worker.number
        worker.number = max(worker.number, number)
        member = roster.members.get(key)
        if member is None or number in worker.leases or (is_heard and outcome is not None):
            continue
        ask = ask_of(packed)
        ask.call += worker.calls
        lanes = member.lanes_for(ask.model)
        entries: list[tuple[AnyCount, WindowEntry]] = []
        for lane in lanes:
            lane.flush()
            if is_heard:
                lane.settled -= 1
            else:
                _enter(lane, min(at, state.now), state.now, ask.tokens, entries)
        touched.update((count, None) for count, _ in entries)
        grant = Grant(member.key, key, ask, Taken(roster.any.slots[member], lanes, entries, at))
        if outcome is None:
            worker.leases[number] = grant
        else:
            state.engine.settle(grant, outcome_of(outcome), state.now)
    for count in touched:
        if isinstance(count, SlidingCount):
            count.restore(sorted(count.entries(), key=lambda entry: entry.at))


def _enter(lane: Lane, at: float, now: float, tokens: int, entries: list[tuple[AnyCount, WindowEntry]]) -> None:
    """Count a grant of a while ago in the windows that it is still in."""
    for count in lane.all_counts():
        amount = tokens if count.window.what == "tokens" else 1
        if not isinstance(count, SlidingCount):
            entries.append((count, count.add(now, amount)))
        elif at + count.period > now:
            entries.append((count, count.add(at, amount)))
    lane.granted += 1
    lane.last_used = max(lane.last_used, at)


def _rebase(state: Replica, _worker: Worker, _number: int) -> bytes:
    return state.rebase()


STEPS: Final[dict[str, Callable[..., Any]]] = {
    "assign": _assign,
    "beat": _beat,
    "configure": _configure,
    "drop": _drop,
    "grant": _grant,
    "keys": _keys,
    "leave": _leave,
    "owner": _owner,
    "rebase": _rebase,
    "recount": _recount,
    "rest": _rest,
    "revive": _revive,
    "settle": _settle,
}
