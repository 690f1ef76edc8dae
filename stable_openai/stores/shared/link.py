"""The link of one process to the journal: appends what it has to say, and keeps its replica up to date.

All of it is called by one thread at a time (``SharedStore`` sees to it), but for the replica, which others read under
``lock`` meanwhile.
"""

from __future__ import annotations

import itertools
import json
import logging
import secrets
import threading
from typing import TYPE_CHECKING, Any, Final

from stable_openai.errors import StoreError
from stable_openai.stores.protocol import Grant

from .journal import Entry, Outdated
from .records import Records
from .replica import Replica, compress
from .steps import STRANGER
from .workers import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from stable_openai.clock import Clock
    from stable_openai.stores.orders import StrategyLike

    from .journal import Journal
    from .workers import Worker

__all__ = ["Link", "Op"]

_log: Final = logging.getLogger("stable_openai")
_ATTEMPTS: Final = 8  # to append to a journal that is another one each time
_SNAPSHOT_EVERY: Final = 8_192  # entries at least
_PER_KEY: Final = 20  # and so many for each key: a snapshot of more keys takes longer


class Op:
    """Something to be said to all: one entry, and what came of it.

    Attributes:
        number: This worker's number for it.
        kind: What it is about.
        rest: All else.
        wake: Whether somebody who waits elsewhere should look.
        then: Called with the op once it is done, by whoever did it.
        result: What came of it.
        error: What went wrong instead.
        done: Whether either is known.
        abandoned: Whether nobody waits for it any more, so that a grant is to be given back.
    """

    __slots__ = ("abandoned", "done", "error", "kind", "number", "rest", "result", "then", "wake")

    def __init__(self, kind: str, *rest: Any, wake: bool = False, then: Callable[[Op], None] | None = None) -> None:
        self.number = 0
        self.kind = kind
        self.rest = rest
        self.wake = wake
        self.then = then
        self.result: Any = None
        self.error: BaseException | None = None
        self.done = self.abandoned = False


class Link:
    """A journal, and this worker's replica of it.

    Args:
        journal: The journal.
        settings: What all workers have in common, as ``Replica`` takes it.
        resolve: Finds the strategy of a name.
        clock: This machine's clock.
        lease_ttl: Seconds of silence after which others give back what this worker holds.
        give_back: Called with the number of a grant that nobody waits for.

    Attributes:
        lock: Guards the replica.
        replica: What all processes agree on, as far as it is known here.
        name: This worker's name.
        held: The keys that this worker holds, by fingerprint.
        spoke_at: When the store was last reached, in seconds of this machine's monotonic clock.
    """

    def __init__(  # noqa: PLR0917  # its parts
        self,
        journal: Journal,
        settings: Sequence[Any],
        resolve: Callable[[str], StrategyLike],
        clock: Clock,
        lease_ttl: float,
        give_back: Callable[[int], None],
    ) -> None:
        self.journal = journal
        self.settings = list(settings)
        self.lease_ttl = lease_ttl
        self._resolve = resolve
        self._clock = clock
        self._give_back = give_back
        self.held: dict[str, None] = {}
        self.start_afresh()

    def start_afresh(self) -> None:
        """Be another worker, that has heard nothing yet: at first, and in a forked child."""
        self.lock = threading.RLock()  # never entered twice; but it can tell whether this thread is inside
        self.name = secrets.token_hex(6)
        self._calls = int(self.name, 16) << 24
        self._numbers = itertools.count(1)
        self._awaited: dict[int, Op] = {}
        self._identity = ""
        self._offset = 0.0
        self.replica = Replica(self.settings, self._resolve)
        self.records = Records()
        self.spoke_at = float("-inf")

    # -- time

    def now(self) -> float:
        """The store's time now, as far as this machine can tell."""
        return self._clock.monotonic() + self._offset

    def local_time(self, at: float) -> float:
        """A moment of the store's time on this machine's monotonic clock."""
        return at - self._offset

    # -- saying something

    def exchange(self, ops: Sequence[Op], *, wake: bool = False) -> None:
        """Say these, and hear what others have said; each op then has its result.

        Raises:
            Lost: The store can't be reached.
            StoreError: It refuses.
        """
        if not self._identity:
            self._open()
        self._append(ops, wake=wake or any(op.wake for op in ops))
        strangers = [op for op in ops if op.result is STRANGER]
        if strangers:  # nothing was heard of this process for so long that the others have given it up
            self._introduce()
            self._append(strangers, wake=False)
            if any(op.result is STRANGER for op in strangers):
                raise StoreError("the workers that share this store do not know this one, though it has said its name")

    def text_of(self, op: Op) -> str:
        """The entry of an op that has no number yet."""
        op.number = next(self._numbers)
        return self._write(op)

    def _write(self, op: Op) -> str:
        return json.dumps([self.name, op.number, op.kind, *op.rest], separators=(",", ":"))

    def _append(self, ops: Sequence[Op], *, wake: bool) -> None:
        for op in ops:
            op.result = None
            op.number = next(self._numbers)
            self._awaited[op.number] = op
        texts = [self._write(op) for op in ops]
        try:
            for _ in range(_ATTEMPTS):
                last = self.replica.last
                try:
                    appended = self.journal.append(self._identity, last, texts, wake=wake)
                    break
                except Outdated:
                    self._open()
            else:
                raise StoreError("the store is begun anew each time that this process has read it")
            with self.lock:
                for entry in appended.missed:
                    self._apply(entry)
                for seq, text in zip(appended.seqs, texts, strict=True):
                    self._apply(Entry(seq, appended.at, text))
                self._offset = self.replica.ahead + appended.at - self._clock.monotonic()
        finally:
            for op in ops:
                self._awaited.pop(op.number, None)
        self.spoke_at = self._clock.monotonic()

    def _apply(self, entry: Entry) -> None:
        name, number, result = self.replica.apply(entry)
        if name != self.name:
            return
        op = self._awaited.get(number)
        if op is not None:
            op.result = result if op.result is None else op.result
        elif isinstance(result, Grant):  # the answer to it was lost on the way: it was said again since, or given up
            self._give_back(number)

    @property
    def worker(self) -> Worker | None:
        """This worker, as the others know it."""
        return self.replica.workers.get(self.name)

    # -- coming and going

    def _open(self) -> None:
        """Read the journal, or begin one, and introduce this worker; what it did meanwhile is told."""
        opened = self.journal.open()
        if opened is None:
            # Where the store has forgotten everything, what this process remembers is the best that there is.
            self.journal.begin(secrets.token_hex(8), self.replica.snapshot())
            opened = self.journal.open()
            if opened is None:
                raise StoreError("the store does not keep what is written to it")
        replica = Replica(self.settings, self._resolve)
        replica.load(opened.snapshot)
        entries = opened.entries
        if entries and entries[0].seq == opened.seq:
            replica.last = entries[0]  # which is in the snapshot
            entries = entries[1:]
        for entry in entries:
            replica.apply(entry)
        with self.lock:
            self.replica = replica
        self._identity = opened.identity
        known = self.worker
        self._introduce()
        unheard = self.records.unheard(0 if known is None else known.number, [] if known is None else known.leases)
        if unheard:
            ops = [Op(kind, *rest) for kind, *rest in unheard]
            self._append(ops, wake=True)
        self.records.heard()

    def _introduce(self) -> None:
        """Say that this worker is there, and which keys it holds: by their digest, where it holds all."""
        short: list[str] | str = digest(self.held)
        ops = [Op("join", self.lease_ttl, self._calls, short)]
        if self.replica.settings != self.settings:
            if len(self.replica.workers):
                _log.info("the pool of this store goes on with other settings: %s", self.settings)
            ops.append(Op("configure", *self.settings))
        self._append(ops, wake=False)
        worker = self.worker
        if worker is not None and worker.held is None:
            self._append([Op("join", self.lease_ttl, self._calls, list(self.held))], wake=False)

    def hold(self, descriptions: Iterable[list[Any]]) -> list[Op]:
        """Ops that say which of these keys this worker holds from now on, and what others do not know of them."""
        described = list(descriptions)
        news = [description for description in described if self.replica.describe(description[0]) != description]
        self.held.update(dict.fromkeys(description[0] for description in described))
        ops = [Op("keys", *news, wake=True)] if news else []
        known = {description[0] for description in news}.union(self.replica.engine.roster.members)
        whole = known == self.held.keys()
        return [*ops, Op("join", self.lease_ttl, self._calls, digest(self.held) if whole else list(self.held))]

    def rejoin(self) -> None:
        """Reach a store that was lost, and read it anew.

        Raises:
            Lost: It still is.
        """
        self._identity = ""
        self.exchange([])

    @property
    def wants_snapshot(self) -> bool:
        """Whether it is time for a new snapshot."""
        keys = len(self.replica.engine.roster.members)
        return self.replica.entries > _SNAPSHOT_EVERY + _PER_KEY * keys

    def save_snapshot(self) -> None:
        """Let all go on from a snapshot, and keep it in place of the entries before."""
        op = Op("rebase", wake=True)  # who waits has to say so again: the sleepers of queues are not in it
        self._append([op], wake=True)
        if isinstance(op.result, bytes):
            self.journal.save(self._identity, self.replica.rebased_at, compress(op.result))
