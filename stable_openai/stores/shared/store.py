"""The store that processes and machines share: what a pool asks becomes entries of a journal.

How an answer comes about: who asks appends an entry (``Link``), and what it is granted follows from the entries before
it (``Replica``). Threads that ask at once are served together: one of them appends for all. Tasks hand their entries to
the store's own thread (``Service``), so that no loop is blocked.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any, Final, Literal

from stable_openai.clock import SystemClock
from stable_openai.errors import ConfigurationError, StoreError
from stable_openai.stores.opening import make_journal, namespace_of, shown
from stable_openai.stores.orders import check_strategy
from stable_openai.stores.protocol import Grant, Outcome, Refusal

from .descriptions import Fingerprints, pack_key, pack_limits
from .link import Link
from .looking import Looking
from .ops import LeaseRef, Op
from .outcomes import named, pack_ask, pack_effect, pack_outcome
from .speaking import Speaker, in_loop
from .steps import Settled, frees, is_calm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence, Sized

    from stable_openai.clock import Clock
    from stable_openai.keys import Key
    from stable_openai.limits import Limits
    from stable_openai.stores.orders import StrategyLike
    from stable_openai.stores.protocol import Ask, Change, Effect

__all__ = ["SharedStore"]

_log: Final = logging.getLogger("stable_openai")
_MARGIN: Final = 0.0005  # seconds after a moment of the store's, so that nobody asks before it


class SharedStore(Looking):
    """A pool's state in SQLite or Redis.

    Args:
        url: Where, as ``check_store`` has passed it.
        strategy: The order among eligible keys, as ``check_strategy`` returns it.
        pace: Whether to spread the grants of a window.
        minute: How long the provider's minute lasts, in seconds.
        clock: This machine's clock. Where it is not the system's, the store's moments come from it too.
        on_error: ``"local"`` or ``"raise"``: what to do when the store is lost.
        timeout: Seconds that one exchange with the store may take.
        lease_ttl: Seconds of silence after which others give back what this worker holds.

    Raises:
        StoreError: The store refuses, or can't be reached and ``on_error`` is ``"raise"``.
    """

    remote: Literal[True] = True

    def __init__(
        self,
        url: str,
        *,
        strategy: StrategyLike,
        pace: bool,
        minute: float,
        clock: Clock,
        on_error: str,
        timeout: float,
        lease_ttl: float,
    ) -> None:
        self._url = url
        self._clock = clock
        self._system = isinstance(clock, SystemClock)
        self._own_strategy = strategy
        self._fingerprints = Fingerprints(namespace_of(url))
        self.after_late: Callable[[], None] = lambda: None
        self.tell: Callable[[list[Change]], None] = lambda _changes: None
        self.crowd: Sized = {}
        self._keys: dict[str, tuple[Key, str]] = {}  # by fingerprint: the key, and its name in this pool
        self._prints: dict[str, str] = {}  # the fingerprints by name
        journal = make_journal(url, timeout=timeout, time=None if self._system else clock.monotonic)
        settings = [_name_of(strategy), pace, minute, 0.0 if self._system else clock.time() - clock.monotonic()]
        self._link = Link(journal, settings, self._resolve, clock, lease_ttl, self._give_back)
        self._speaker = Speaker(self._link, clock, self.on_word, self._give_back, raises=on_error == "raise")
        try:
            self._speaker.do(Op("beat"))
        except BaseException:
            self._speaker.close()
            raise

    def _resolve(self, name: str) -> StrategyLike:
        if name == _name_of(self._own_strategy):
            return self._own_strategy
        try:
            return check_strategy(name)
        except ConfigurationError:
            raise ConfigurationError(
                "strategy", f"others who share this store use one of their own, {name}: give this pool the same"
            ) from None

    # -- time

    def now(self) -> float:
        """This machine's monotonic clock: of the store's, which may be another one tomorrow, the pool hears nothing."""
        return self._clock.monotonic()

    def alarm_time(self, at: float) -> float:
        """When to ring for a moment."""
        return at + (_MARGIN if self._system else 0.0)

    def _give_back(self, number: int) -> None:
        self._speaker.post(Op("settle", number, *pack_outcome(Outcome(unused=True)), then=self._settled_late))

    # -- granting

    def quick(self, _model: str | None) -> None:
        """There is no hot path: each grant is an entry."""

    def grant(self, ask: Ask) -> Grant | Refusal:
        """Choose a key and count its use, or say when to ask again."""
        while True:
            op = Op("grant", *pack_ask(ask, self._prints))
            found = self._granted(op, ask, self._speaker.do(op))
            if found is not None:
                return found

    async def agrant(self, ask: Ask) -> Grant | Refusal:
        """The twin of ``grant`` for tasks."""
        while True:
            op = Op("grant", *pack_ask(ask, self._prints))
            found = self._granted(op, ask, await self._speaker.ado(op))
            if found is not None:
                return found

    def grant_all(self, asks: Sequence[Ask]) -> list[Grant | Refusal | Exception]:
        """As ``grant``, of several at once; what would be raised is returned."""
        ops = [Op("grant", *pack_ask(ask, self._prints)) for ask in asks]
        found: list[Grant | Refusal | Exception] = []
        with contextlib.suppress(StoreError):  # each op has it
            self._speaker.do(*ops)
        for op, ask in zip(ops, asks, strict=True):
            try:
                if op.error is not None:
                    raise op.error
                found.append(self._granted(op, ask, op.result) or Refusal(self.now()))
            except Exception as error:  # noqa: BLE001  # whoever asked is told
                found.append(error)
        return found

    def _granted(self, op: Op, ask: Ask, result: Any) -> Grant | Refusal | None:
        if isinstance(result, Exception):
            raise result
        if not isinstance(result, Grant):
            assert isinstance(result, Refusal)  # noqa: S101  # nothing else is left
            return Refusal(self._link.local_time(result.at), result.pending)
        known = self._keys.get(result.name)
        if known is None:  # it was removed from this pool meanwhile
            self._give_back(op.number)
            return None
        return Grant(known[0], known[1], ask, LeaseRef(op.number))

    # -- settling

    def settle(self, grant: Grant, outcome: Outcome) -> list[Change]:
        """End a grant; only the first settlement counts.

        In a task nothing is waited for: what has changed is told later (``tell``). So it is where the collector has
        found a lease that was forgotten, in the midst of other things.
        """
        if self._speaker.inside:
            self.settle_later(grant, outcome)
            return []
        if outcome.success and self._may_wait(grant, outcome):
            grant.state.ended = True
            self._speaker.soon(Op("settle", grant.state.number, then=self._settled_soon))
            return []
        if in_loop():
            grant.outage = self._foresees_outage(grant, outcome)
            self.settle_later(grant, outcome)
            return []
        op = self._settling(grant, outcome)
        if op is None:
            return []
        try:
            result = self._speaker.do(op)
        except StoreError as error:  # the call itself has its answer: that is not to be lost
            _log.debug("a settlement is told to the store when it is back: %s", error)
            return []
        assert isinstance(result, Settled)  # noqa: S101  # what a settlement gives
        grant.outage = result.outage
        self._wake_others(op)
        return named(result.changes, self._keys)

    def settle_later(self, grant: Grant, outcome: Outcome) -> None:
        """As ``settle``, waiting for nothing: for whom the collector has found."""
        op = self._settling(grant, outcome, look=False)
        if op is not None:
            op.then = self._settled_late
            self._speaker.post(op)

    def _settling(self, grant: Grant, outcome: Outcome, *, look: bool = True) -> Op | None:
        lease: LeaseRef = grant.state
        if lease.ended:
            return None
        lease.ended = True
        op = Op("settle", lease.number, *pack_outcome(outcome))
        if look:
            with self._link.lock:
                worker = self._link.worker
                running = None if worker is None else worker.leases.get(lease.number)
                op.wake = running is not None and frees(running, outcome)
        return op

    def _may_wait(self, grant: Grant, outcome: Outcome) -> bool:
        """Whether this is a mere success, which changes nothing for anybody if it is told a little later."""
        if outcome.observed or outcome.owner is not None or (outcome.tokens is not None and self.counts_tokens):
            return False
        worker = self._link.worker
        running = None if worker is None or grant.state.ended else worker.leases.get(grant.state.number)
        return running is not None and self._system and is_calm(running)

    def _settled_soon(self, op: Op) -> None:
        if isinstance(op.result, Settled) and (op.result.changes or op.result.freed):  # which nobody has foreseen
            self._settled_late(op)

    def _foresees_outage(self, grant: Grant, outcome: Outcome) -> bool:
        if outcome.alike is None:
            return False
        with self._link.lock:
            member = self._link.state.engine.roster.members.get(self._prints.get(grant.name, ""))
            return member is not None and member.endpoint is not None and member.endpoint.down

    def _settled_late(self, op: Op) -> None:
        if isinstance(op.result, Settled):
            changes = named(op.result.changes, self._keys)
            self._wake_others(op)
            if changes:
                self.tell(changes)
        self.after_late()

    def _wake_others(self, op: Op) -> None:
        """Others may have begun to wait while the settlement was on its way, without knowing of it."""
        if op.result.freed and not op.wake:
            self._speaker.wake_others()

    # -- standings

    def rest(self, name: str, effect: Effect, model: str | None = None) -> list[Change]:
        """Make a lane of this key rest."""
        return named(self._speaker.do(Op("rest", self._prints[name], model, *pack_effect(effect))), self._keys)

    def revive(self, names: Iterable[str] | None, model: str | None = None) -> list[Change]:
        """Clear cooldowns, parking and retirement of these keys (None: of all), and of their owners."""
        chosen = None if names is None else [self._prints[name] for name in names]
        return named(self._speaker.do(Op("revive", chosen, model, wake=True)), self._keys)

    # -- keys

    def add(self, entries: Iterable[tuple[Key, str, Limits]]) -> None:
        """Add keys under names that are new, with the limits of each."""
        self._hold(list(entries))

    def retell(self, name: str, key: Key, limits: Limits) -> None:
        """Take another description of a key that stays; its counts are kept."""
        self._hold([(key, name, limits)])

    def _hold(self, entries: Sequence[tuple[Key, str, Limits]]) -> None:
        described = []
        for key, name, limits in entries:
            fingerprint = self._fingerprints.of(key.secret)
            self._keys[fingerprint] = (key, name)
            self._prints[name] = fingerprint
            endpoint = None if key.base_url is None else self._fingerprints.of(key.base_url, "endpoint")
            described.append(pack_key(fingerprint, name, key, limits, endpoint))
        if described:
            with self._link.lock:
                ops = self._link.hold(described)
            self._speaker.do(*ops)

    def remove(self, name: str) -> None:
        """Take a key out of this worker's use at once."""
        fingerprint = self._prints.pop(name)
        del self._keys[fingerprint]
        self._link.held.pop(fingerprint, None)
        self._speaker.do(Op("drop", fingerprint, wake=True))

    def set_owner(self, name: str, limits: Limits, model_limits: Mapping[str, Limits]) -> None:
        """Tell an owner's limits; the counts of windows that stay are kept."""
        by_model = {model: pack_limits(told) for model, told in model_limits.items()}
        told = pack_limits(limits), by_model
        with self._link.lock:
            self._link.owners[name] = told
            same = self._link.state.describe_owner(name) == told
        if not same:
            self._speaker.do(Op("owner", name, *told, wake=True))

    def assign_owner(self, names: Iterable[str], owner: str) -> None:
        """These keys turn out to draw on this owner's quota."""
        self._speaker.do(Op("assign", owner, *[self._prints[name] for name in names]))

    def use(self, strategy: StrategyLike) -> None:
        """Change the order among eligible keys."""
        self._own_strategy = strategy
        self._link.settings[0] = _name_of(strategy)
        self._speaker.do(Op("configure", *self._link.settings, wake=True))

    # -- waiting

    @property
    def at_once(self) -> bool:
        """Whether jobs that are handed over are done at once: where the clock is moved by hand."""
        return not self._system

    def hand_over(self, job: Callable[[], None]) -> None:
        """Have a job done where it blocks nobody."""
        self._speaker.hand_over(job)

    def listen(self) -> None:
        """Have ``after_late`` called when others say that it is worth looking; idempotent."""
        self._speaker.listen()

    def on_word(self) -> None:
        """It may be worth to ask again, for those who wait."""
        self.after_late()

    def review_time(self) -> float:
        """When the others may be found to have gone, with what they hold."""
        return self._link.local_time(self._speaker.review_at())

    # -- ending

    def close(self) -> None:
        """Take leave of the others, and close all connections."""
        self._speaker.close()

    def after_fork(self) -> None:
        """Be another worker, in a forked child: without the parent's connections, locks, threads and leases."""
        self._speaker.after_fork()

    def __del__(self) -> None:
        speaker = self.__dict__.get("_speaker")
        if speaker is not None and not speaker.closed:
            speaker.end()

    def __repr__(self) -> str:
        return f"<SharedStore at {shown(self._url)}>"


def _name_of(strategy: StrategyLike) -> str:
    if isinstance(strategy, str):
        return strategy
    kind = type(strategy)
    return f"{kind.__module__}:{kind.__qualname__}"
