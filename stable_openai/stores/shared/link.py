"""The link of one process to the journal: appends what it has to say, and keeps its replica up to date.

All of it is called by one thread at a time (``Speaker`` sees to it), but for the replica, which others read under
``lock`` meanwhile. Where the store is lost, ``say_alone`` goes on without it; ``reach`` may then run beside that.
"""

from __future__ import annotations

import itertools
import logging
import secrets
import threading
from typing import TYPE_CHECKING, Any, Final

from stable_openai.errors import StoreError
from stable_openai.stores.protocol import Grant

from .alone import Alone
from .journal import Entry, Lost, Outdated
from .ops import Op, seated
from .records import Records
from .replica import Replica, compress
from .workers import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from stable_openai.clock import Clock
    from stable_openai.stores.orders import StrategyLike

    from .journal import Journal
    from .workers import Worker

__all__ = ["Link"]

_log: Final = logging.getLogger("stable_openai")
_ATTEMPTS: Final = 8  # to append to a journal that is another one each time
_SNAPSHOT_EVERY: Final = 8_192  # entries at least
_PER_KEY: Final = 20  # and so many for each key: a snapshot of more keys takes longer
_STAGGER: Final = 1_024  # so that not all workers see at once that it is time
_SAVED_AFTER: Final = 512  # entries: who lags by less need not read everything anew


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
        alone: What this process goes on with while the store is lost; None while it is there.
        name: This worker's name.
        calls: A number that is added to those of its calls.
        held: How the keys that this worker holds are described, by fingerprint.
        owners: What this worker has told of owners, by name.
        records: What it has done lately.
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
        self.held: dict[str, list[Any]] = {}
        self.owners: dict[str, tuple[Any, Any]] = {}
        self.start_afresh()

    def start_afresh(self) -> None:
        """Be another worker, that has heard nothing yet: at first, and in a forked child."""
        self.lock = threading.RLock()  # never entered twice; but it can tell whether this thread is inside
        self.name = secrets.token_hex(6)
        self.calls = int(self.name, 16) << 24
        self._numbers = itertools.count(1)
        self._awaited: dict[int, Op] = {}
        self._identity = ""  # of the journal that the replica is up to date with; "" where it is to be read anew
        self._introduced = False
        # Stores go by the wall clock; one whose moments come from this machine's clock goes by that.
        self._offset = 0.0 if self.settings[3] else self._clock.time() - self._clock.monotonic()
        self._kept: tuple[str, int, bytes] | None = None  # a snapshot that is not saved yet
        self._kept_at = 0.0
        self._snapshot_after = _SNAPSHOT_EVERY + int(self.name, 16) % _STAGGER
        self.replica = Replica(self.settings, self._resolve)
        self.alone: Alone | None = None
        self.records = Records(self.lease_ttl)
        self.spoke_at = float("-inf")

    @property
    def state(self) -> Replica:
        """What this process goes by now."""
        return self.replica if self.alone is None else self.alone.replica

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
        for _ in range(_ATTEMPTS):
            try:
                self._get_ready()
                self._append(ops, wake=wake)
            except Outdated:
                self._identity = ""
                continue
            ops = [op for op in ops if not op.is_answered]
            if not ops:
                return
            self._introduced = False  # nothing was heard of it for so long that the others have given it up
        raise StoreError("the store is another one each time that this process has read it, or does not know it again")

    def _get_ready(self) -> None:
        if not self._identity:
            self._read()
        if not self._introduced:
            self._introduce()

    def _append(self, ops: Sequence[Op], *, wake: bool = False) -> None:
        self._awaited = {}
        texts = []
        entries = seated(ops)
        for op, riders in entries:
            op.number = next(self._numbers)
            self._awaited[op.number] = op
            wake = wake or op.wake
            texts.append(op.text(self.name, riders))
        appended = self.journal.append(self._identity, self.replica.last, texts, wake=wake)
        identity, self._identity = self._identity, ""  # who is interrupted in between has to read everything anew
        with self.lock:
            for entry in appended.missed:
                self._apply(entry)
            for seq, text, (op, riders) in zip(appended.seqs, texts, entries, strict=True):
                result = self.replica.apply_own(Entry(seq, appended.at, text), self.name, op, riders)
                self._answer(op, result)
            local = (
                appended.at if self.settings[3] else self._clock.monotonic()
            )  # a clock that is moved by hand is both
            self._offset = self.replica.ahead + appended.at - local
        self._identity = identity
        self.spoke_at = self._clock.monotonic()

    def _apply(self, entry: Entry) -> None:
        name, number, result = self.replica.apply(entry)
        if name != self.name:
            return
        op = self._awaited.get(number)
        if op is None:
            if isinstance(result, Grant):  # the answer was lost on the way: it was said again since, or given up
                self._give_back(number)
        else:
            self._answer(op, result)

    def _answer(self, op: Op, result: Any) -> None:
        if not isinstance(op.result, Grant):  # it may be there twice
            op.result = result
            if isinstance(result, Grant):
                self.records.granted(op.number, result.name, self._clock.monotonic(), op.rest)

    @property
    def worker(self) -> Worker | None:
        """This worker, as the others know it."""
        return self.state.workers.get(self.name)

    # -- coming

    def _read(self) -> None:
        """Read the journal, or begin one."""
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
        self._introduced = False
        self._kept = None
        self._identity = opened.identity

    def _introduce(self) -> None:
        """Say that this worker is there, which keys it holds, and what the others have not heard of it."""
        workers = self.replica.workers
        described, owners = tuple(self.held.values()), tuple(self.owners.items())
        news = [description for description in described if self.replica.describe(description[0]) != description]
        ops = [self._joining(None if news else ())]
        if news:
            ops.append(Op("keys", *news, wake=True))
        for name, told in owners:
            if told != self.replica.describe_owner(name):
                ops.append(Op("owner", name, *told, wake=True))
        if self.replica.settings != self.settings:
            if len(workers):
                _log.info("the pool of this store goes on with other settings: %s", self.settings)
            ops.append(Op("configure", *self.settings))
        known = workers.get(self.name)
        leases = () if known is None else tuple(known.leases)
        ops += [Op(*said) for said in self.records.unheard(workers.heard_of(self.name), leases, self._offset)]
        self._append(ops, wake=len(ops) > 1)
        self.records.heard()
        worker = self.replica.workers.get(self.name)
        if worker is not None and worker.held is None:
            self._append([self._joining(None)])
        self._introduced = True

    def _joining(self, news: Iterable[str] | None) -> Op:
        """Name the keys that this worker holds: by their digest, where they are all of the pool's and ``news``."""
        names = tuple(self.held)
        whole = news is not None and {*self.state.engine.roster.members, *news} == set(names)
        return Op("join", self.lease_ttl, self.calls, digest(names) if whole else list(names))

    def hold(self, descriptions: Iterable[list[Any]]) -> list[Op]:
        """Ops that say which of these keys this worker holds from now on, and what others do not know of them."""
        described = list(descriptions)
        news = [description for description in described if self.state.describe(description[0]) != description]
        self.held.update((description[0], description) for description in described)
        ops = [Op("keys", *news, wake=True)] if news else []
        return [*ops, self._joining([description[0] for description in news])]

    # -- going on alone

    def say_alone(self, op: Op) -> None:
        """Have an op answered while the store is lost."""
        with self.lock:
            if self.alone is None:
                self.alone = Alone(self)
            op.number = next(self._numbers)
            op.result = self.alone.say(op.number, op.kind, op.rest, self.now())
            if isinstance(op.result, Grant):
                self.records.granted(op.number, op.result.name, self._clock.monotonic(), op.rest)

    def reach(self) -> None:
        """Reach a store that was lost: what takes long where it is not there. ``return_to_all`` is the rest.

        Raises:
            Lost: It still is.
            StoreError: It refuses.
        """
        try:
            self._read()
            self._append([self._joining(None)])
        except Outdated as error:
            raise Lost(str(error)) from error

    def return_to_all(self) -> None:
        """Tell what was done meanwhile, and go on with all others."""
        self.exchange([])
        with self.lock:
            self.alone = None

    # -- snapshots

    @property
    def has_more_to_do(self) -> bool:
        """Whether it is time for a new snapshot, or to save one."""
        entries = self.replica.entries
        if self._kept is not None and entries >= _SAVED_AFTER:
            return True
        return entries > self._snapshot_after + _PER_KEY * len(self.replica.engine.roster.members)

    def rebase(self) -> None:
        """Let all go on from a snapshot; it is kept here until all have heard of it.

        A rebase is an entry as any other: only who lags behind what the snapshot took the place of reads it.
        """
        op = Op("rebase", wake=True)  # who waits has to say so again: the sleepers of queues are not in it
        self.exchange([op])
        self._kept = self._identity, self.replica.rebased_at, op.result
        self._kept_at = self._clock.monotonic()

    def save_snapshot(self) -> None:
        """Save the snapshot that was kept, in place of the entries before it."""
        kept, self._kept = self._kept, None
        if kept is not None:
            identity, seq, snapshot = kept
            self.journal.save(identity, seq, compress(snapshot))

    def keeps_a_snapshot(self, seconds: float = 0.0) -> bool:
        """Whether there is one that is to be saved, and has been for so long."""
        return self._kept is not None and self._clock.monotonic() - self._kept_at >= seconds
