"""A look at a shared store from outside: nobody joins, and nothing is written."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from stable_openai.errors import StoreError
from stable_openai.stores.opening import make_journal, namespace_of, shown
from stable_openai.stores.orders import check_strategy

from .descriptions import Fingerprints
from .journal import Lost, Outdated
from .replica import Replica

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stable_openai.keys import Key
    from stable_openai.stores.orders import StrategyLike
    from stable_openai.stores.snapshots import KeyStatus

    from .journal import Journal

__all__ = ["StoreStatus", "read_store"]

_UNKNOWN: Any = ["round-robin", False, 60.0, 0.0]


class StoreStatus(NamedTuple):
    """What a store holds.

    Attributes:
        keys: The state of each key, under the name that its holders gave it.
        strategy: The order among eligible keys.
        workers: How many processes share it now.
    """

    keys: list[KeyStatus]
    strategy: str
    workers: int


def read_store(url: str, keys: Iterable[Key] = (), *, timeout: float = 2.0) -> StoreStatus:
    """The state of a pool, as its store has it.

    Args:
        url: The store, as ``check_store`` has passed it.
        keys: Keys that are known here: their masks are shown, which the store does not hold.
        timeout: Seconds that one exchange with the store may take.

    Raises:
        StoreError: It can't be read.
    """
    journal = make_journal(url, timeout=timeout, time=None)
    try:
        return _read(journal, url, keys)
    except (Lost, Outdated) as error:
        raise StoreError(str(error) or f"{shown(url)} changes faster than it can be read") from error
    finally:
        journal.close()


def _read(journal: Journal, url: str, keys: Iterable[Key]) -> StoreStatus:
    opened = journal.open()
    if opened is None:
        return StoreStatus([], _UNKNOWN[0], 0)
    replica = Replica(_UNKNOWN, _resolve)
    replica.load(opened.snapshot)
    entries = opened.entries
    if entries and entries[0].seq == opened.seq:
        replica.last, *entries = entries
    for entry in entries:
        replica.apply(entry)
    now = replica.ahead + journal.append(opened.identity, replica.last, [], wake=False).at
    fingerprints = Fingerprints(namespace_of(url))
    masks = {fingerprints.of(key.secret): key.masked for key in keys}
    names = {name: member.key.name or name for name, member in replica.engine.roster.members.items()}
    alive = sum(worker.expires_at > now for worker in replica.workers)
    statuses = [
        replace(status, name=names[status.name], masked=masks.get(status.name, ""))
        for status in replica.engine.snapshot(now)
    ]
    return StoreStatus(statuses, replica.settings[0], alive)


def _resolve(name: str) -> StrategyLike:
    """A strategy of a name; one of somebody's own matters to nobody who only looks."""
    try:
        return check_strategy(name)
    except ValueError:
        return "round-robin"
