"""Who shares a pool: a worker is one process with one pool of keys."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from stable_openai.stores.protocol import Grant
    from stable_openai.stores.roster import Roster

__all__ = ["Worker", "Workers", "digest"]

_NEVER: Final = float("inf")
_REMEMBERED: Final = 1_000  # workers that were given up: of more, the first are forgotten


class Worker:
    """One worker, as all others know it.

    Attributes:
        name: Its name, random and never used again.
        calls: A number that is added to those of its calls, so that no two workers' calls are taken for one.
        ttl: Seconds of silence after which what it holds is given back.
        seen: When it was last heard of.
        number: The highest of its numbers for grants.
        held: The keys that it holds, by fingerprint; None where it has yet to say so.
        leases: Its grants that are not settled, by the number of their entry.
    """

    __slots__ = ("_known", "_lacks", "calls", "held", "leases", "name", "number", "seen", "ttl")

    def __init__(self, name: str, calls: int) -> None:
        self.name = name
        self.calls = calls
        self.ttl = self.seen = 0.0
        self.number = 0
        self.held: frozenset[str] | None = None
        self.leases: dict[int, Grant] = {}
        self._lacks: frozenset[str] = frozenset()
        self._known = -1

    @property
    def expires_at(self) -> float:
        """When it is given up, if nothing is heard of it until then."""
        return self.seen + self.ttl

    def hold(self, keys: frozenset[str] | None) -> None:
        """Say which keys it holds."""
        self.held = keys
        self._known = -1

    def lacks(self, roster: Roster) -> frozenset[str]:
        """The keys of the pool that it does not hold."""
        known = roster.next_index
        if known != self._known:
            self._known = known
            held = self.held or frozenset()
            self._lacks = frozenset(name for name in roster.members if name not in held)
        return self._lacks


class Workers:
    """All workers of a pool.

    Attributes:
        review_at: When one of them may have been silent for too long.
    """

    __slots__ = ("_by_name", "_given_up", "_held", "review_at")

    def __init__(self) -> None:
        self._by_name: dict[str, Worker] = {}
        self._given_up: dict[str, int] = {}  # the highest of their numbers, should they come back
        self._held: dict[str, frozenset[str]] = {}  # sets of keys: workers that hold the same share one
        self.review_at = _NEVER

    def __len__(self) -> int:
        return len(self._by_name)

    def __iter__(self) -> Iterator[Worker]:
        return iter(tuple(self._by_name.values()))

    def get(self, name: str) -> Worker | None:
        """The worker of this name, or None."""
        return self._by_name.get(name)

    def names(self) -> list[str]:
        """Their names, in order."""
        return sorted(self._by_name)

    def join(self, name: str, calls: int, ttl: float, now: float) -> Worker:
        """A worker says that it is there."""
        worker = self._by_name.get(name)
        if worker is None:
            worker = self._by_name[name] = Worker(name, calls)
            worker.number = self._given_up.pop(name, 0)
        worker.ttl, worker.seen = ttl, now
        self.review_at = min(self.review_at, worker.expires_at)
        return worker

    def hold(self, worker: Worker, keys: Iterable[str]) -> None:
        """Note which keys a worker holds."""
        held = frozenset(keys)
        worker.hold(self._held.setdefault(digest(held), held))

    def heard_of(self, name: str) -> int:
        """The highest number of this worker's that was heard."""
        worker = self._by_name.get(name)
        return self._given_up.get(name, 0) if worker is None else worker.number

    def remove(self, worker: Worker) -> None:
        """Forget a worker."""
        del self._by_name[worker.name]

    def give_up(self, worker: Worker) -> None:
        """Forget a worker that may come back, all but which of its grants were heard of."""
        self.remove(worker)
        while len(self._given_up) >= _REMEMBERED:
            del self._given_up[next(iter(self._given_up))]
        self._given_up[worker.name] = worker.number

    def overdue(self, now: float) -> list[Worker]:
        """Those of which nothing was heard for too long."""
        found = [worker for worker in self if worker.expires_at <= now]
        alive = (worker.expires_at for worker in self if worker.expires_at > now)
        self.review_at = min(alive, default=_NEVER)
        return found

    def packed(self) -> dict[str, Any]:
        held = {digest(worker.held): sorted(worker.held) for worker in self if worker.held is not None}
        return {"held": held, "each": [_pack(worker) for worker in self], "given up": self._given_up}

    @classmethod
    def unpacked(cls, packed: Mapping[str, Any], leases: Iterable[Grant]) -> Workers:
        """The workers that were packed, with their leases in the same order."""
        workers = cls()
        workers._given_up = dict(packed["given up"])
        workers._held = {name: frozenset(keys) for name, keys in packed["held"].items()}
        left = iter(leases)
        for entry in packed["each"]:
            worker = _unpack(entry, workers._held)
            worker.leases = {number: next(left) for number in entry[-1]}
            workers._by_name[worker.name] = worker
        workers.review_at = min((worker.expires_at for worker in workers), default=_NEVER)
        return workers


def _pack(worker: Worker) -> list[Any]:
    held = None if worker.held is None else digest(worker.held)
    return [worker.name, worker.calls, worker.ttl, worker.seen, worker.number, held, list(worker.leases)]


def _unpack(entry: Sequence[Any], held: Mapping[str, frozenset[str]]) -> Worker:
    name, calls, ttl, seen, number, keys, _ = entry
    worker = Worker(name, calls)
    worker.ttl, worker.seen, worker.number = ttl, seen, number
    worker.hold(None if keys is None else held[keys])
    return worker


def digest(keys: Iterable[str]) -> str:
    """A short name of a set of keys."""
    return hashlib.sha256(" ".join(sorted(keys)).encode()).hexdigest()[:16]
