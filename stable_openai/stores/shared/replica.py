"""One process's copy of a shared pool: it applies the journal's entries, one after the other.

Rules of this file:

* The state follows from the entries alone: their order, their moments, their text. No clock is read, no dice are thrown
  but those that an entry's number seeds, and nothing depends on the order of a set. Looking changes windows (what is
  over leaves them), so whoever looks between two entries looks at a copy.
* An entry is a JSON list: the worker that wrote it, the worker's own number for it, what it is about, and the rest. In
  place of the number there may be a list: of it, and of the worker's calls that have ended well before.
* Time is the store's. Where its clock is set back, the replica's goes on from where it was.
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any, Final

from stable_openai.errors import StoreError
from stable_openai.stores.engine import Engine
from stable_openai.stores.lanes import INFINITY, Habits

from .descriptions import pack_key, pack_limits
from .packing import pack_engine
from .seeded import EntryClock, SeededDice
from .steps import STEPS, STRANGER, dismiss, join
from .unpacking import unpack_engine
from .workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from stable_openai.stores.orders import StrategyLike

    from .journal import Entry
    from .ops import Op
    from .steps import Settled

__all__ = ["Replica", "compress"]

_read: Final = json.JSONDecoder().raw_decode  # a third of what json.loads takes
_ALIKE: Final = frozenset({"grant", "settle"})  # kinds of entries that say the very same when they are read again
VERSION: Final = 1  # of what is packed, and of what the entries mean
_FORGOTTEN: Final = 40 * 86_400.0  # seconds after which a key that no worker holds is dropped: longer than any window


class Replica:
    """The state of a shared pool.

    Args:
        settings: What all workers have in common, for a pool that begins: the strategy's name, whether to pace, how
            many seconds the provider's minute lasts, and what makes seconds since 1970 of the store's time.
        resolve: Finds the strategy of a name.

    Attributes:
        engine: Keys, counts and cooldowns.
        workers: Who shares the pool.
        now: The moment of the last entry, in seconds of the store's time, which never goes back.
        last: The last entry that was applied, or None.
        ahead: Of the store's clock, in seconds: what that was set back by.
        entries: How many entries were applied since the last rebase.
        rebased_at: The number of that.
        ended: What came of the calls that the last entry said to have ended well.
    """

    def __init__(self, settings: Iterable[Any], resolve: Callable[[str], StrategyLike]) -> None:
        self.settings = list(settings)
        self.workers = Workers()
        self.now = -INFINITY
        self.last: Entry | None = None
        self._resolve = resolve
        self.ahead = 0.0
        self.entries = self.rebased_at = 0
        self.ended: Sequence[Settled] = ()
        self._clock = EntryClock()
        self._dice = SeededDice()
        self.engine = Engine(self._strategy(), self._habits())

    def _strategy(self) -> StrategyLike:
        return self._resolve(self.settings[0])

    def _habits(self) -> Habits:
        self._clock.wall = self.settings[3]
        return Habits(self._clock, self.settings[1], self.settings[2], self._dice)

    # -- entries

    def apply(self, entry: Entry) -> tuple[str, int, Any]:
        """Take the next entry; returns whose it is, the worker's number for it, and what came of it.

        Raises:
            StoreError: It is of a kind that only a newer version knows.
        """
        name, number, kind, *rest = _read(entry.text)[0]
        ended: Sequence[int] = ()
        if number.__class__ is list:
            number, *ended = number
        return name, number, self._take(entry, name, number, kind, rest, ended)

    def apply_own(self, entry: Entry, name: str, op: Op, riders: Sequence[Op]) -> Any:
        """As ``apply``, of an entry that this process has written itself; each of the riders has its result then."""
        if op.kind not in _ALIKE:
            result = self.apply(entry)[2]
        else:
            result = self._take(entry, name, op.number, op.kind, op.rest, [rider.rest[0] for rider in riders])
        if riders:
            for rider, ended in zip(riders, self.ended, strict=False):  # there are none where nobody knows this worker
                rider.result = ended
        return result

    def _take(  # noqa: PLR0917  # the parts of an entry
        self, entry: Entry, name: str, number: int, kind: str, rest: Sequence[Any], ended: Sequence[int]
    ) -> Any:
        now = entry.at + self.ahead
        if now < self.now:
            self.ahead += self.now - now
            now = self.now
        self.now = self._clock.now = now
        self.last = entry
        self.entries += 1
        self._dice.reseed(entry.seq)
        self.ended = ()
        workers = self.workers
        if now >= workers.review_at:
            for silent in workers.overdue(now):
                dismiss(self, silent)
        if kind == "join":
            return join(self, name, *rest)
        worker = workers.get(name)
        if worker is None:
            return STRANGER
        worker.seen = now
        if ended:
            settle = STEPS["settle"]
            self.ended = [settle(self, worker, number, lease) for lease in ended]
        step = STEPS.get(kind)
        if step is None:
            raise StoreError(
                f"an entry of the kind {kind!r} is from a newer version of stable_openai: upgrade this one"
            )
        return step(self, worker, number, *rest)

    def configure(self, settings: Iterable[Any]) -> None:
        """Go on with other settings; counts of windows that stay are kept."""
        wanted = list(settings)
        if wanted[1:] == self.settings[1:]:
            self.settings = wanted
            self.engine.roster.use(self._strategy())
            return
        packed = self._packed()
        packed["settings"] = wanted
        self._restore(packed)
        for member in self.engine.roster.members.values():
            member.lanes.tell(member.lanes.limits, member.key.model_limits)
        for owner in self.engine.roster.owners.values():
            owner.lanes.tell(owner.lanes.limits, owner.lanes.model_limits)

    def describe(self, key: str) -> list[Any] | None:
        """How a key is described here, or None."""
        member = self.engine.roster.members.get(key)
        if member is None:
            return None
        return pack_key(key, member.key.name or "", member.key, member.lanes.limits, member.key.base_url)

    def describe_owner(self, name: str) -> tuple[Any, Any] | None:
        """What is told of an owner here, or None."""
        owner = self.engine.roster.owners.get(name)
        if owner is None:
            return None
        by_model = {model: pack_limits(told) for model, told in owner.lanes.model_limits.items()}
        return pack_limits(owner.lanes.limits), by_model

    # -- snapshots

    def rebase(self) -> bytes:
        """Go on from what a snapshot of this moment says, as all do: who starts from it is then no different.

        Returns:
            The snapshot, to be compressed by whoever keeps it.
        """
        self._forget_keys()
        text = _dump(self._packed())
        self._restore(json.loads(text))
        self.entries, self.rebased_at = 0, 0 if self.last is None else self.last.seq
        return text

    def snapshot(self) -> bytes:
        """The state, as ``load`` takes it."""
        return compress(_dump(self._packed()))

    def load(self, snapshot: bytes) -> None:
        """Become what a snapshot says.

        Raises:
            StoreError: It is none of ours, or from a newer version.
        """
        try:
            packed = json.loads(zlib.decompress(snapshot))
            version = packed["version"]
        except (ValueError, zlib.error, KeyError, TypeError) as error:
            raise StoreError(
                "what the store holds is no snapshot of a pool: give this pool another namespace"
            ) from error
        if version != VERSION:
            raise StoreError(
                f"the store holds a pool of format {version}, and this version of stable_openai knows {VERSION}: "
                "use the same version everywhere, or give this pool another namespace"
            )
        self.last = None
        self.entries = 0
        self._restore(packed)

    def copy(self) -> Replica:
        """Another one of the same state, to look at or to go on with alone."""
        twin = Replica(self.settings, self._resolve)
        twin._restore(self._packed())  # its own kind
        return twin

    def _packed(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "settings": self.settings,
            "time": [self.now, self.ahead],
            "workers": self.workers.packed(),
            "engine": pack_engine(self.engine, [lease for worker in self.workers for lease in worker.leases.values()]),
        }

    def _restore(self, packed: Mapping[str, Any]) -> None:
        self.settings = list(packed["settings"])
        self.now, self.ahead = packed["time"]
        self._clock.now = self.now
        self.engine, leases = unpack_engine(packed["engine"], self._strategy(), self._habits())
        self.workers = Workers.unpacked(packed["workers"], leases)

    def _forget_keys(self) -> None:
        roster = self.engine.roster
        for name, member in tuple(roster.members.items()):
            held = any(worker.held is None or name in worker.held for worker in self.workers)
            if not held and member.used_at < self.now - _FORGOTTEN and not member.in_flight:
                roster.remove(name)


def compress(text: bytes) -> bytes:
    """A snapshot as it is kept."""
    return zlib.compress(text, 1)


def _dump(packed: object) -> bytes:
    return json.dumps(packed, separators=(",", ":")).encode()
