"""The provider without HTTP: what it answers at a moment, what it saw, and the controls that change it as it runs."""

from __future__ import annotations

import math
import threading
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from stable_openai.simulator.accounts import Book
from stable_openai.simulator.engine import Case, Engine
from stable_openai.simulator.faults import OUTAGES
from stable_openai.simulator.lanes import Flights
from stable_openai.simulator.messages import ANSWERING, Fate, Reply
from stable_openai.simulator.settings import RATES, SETTING_NAMES, Settings
from stable_openai.simulator.stats import Arrival, Ledger, Stats, tally_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stable_openai.simulator.accounts import Entry
    from stable_openai.simulator.lanes import Lane
    from stable_openai.simulator.messages import Request
    from stable_openai.simulator.settings import SimKey, SimOwner, State

TUNABLE = frozenset({*RATES, "latency_s", "stream_gap_s", "poison", "script", "retry_after", "limit_headers"})


class Provider:
    """A provider without HTTP: `reply` says what it answers to a request at a moment.

    Time is an argument: seconds from any start, never running back. Safe to use from several threads.

    Args:
        keys: Its keys, or bare secrets of keys without limits.
        owners: Its owners, or bare names; owners that only keys name have no limits.
        settings: Fields of `Settings`.
    """

    def __init__(
        self, keys: Iterable[SimKey | str] = (), owners: Iterable[SimOwner | str] = (), **settings: Any
    ) -> None:
        unknown = sorted(set(settings) - SETTING_NAMES)
        if unknown:
            raise TypeError(f"the simulator has no setting {unknown[0]!r}; it has {', '.join(sorted(SETTING_NAMES))}")
        told = Settings(**settings)
        self._lock = threading.RLock()
        self._book = Book(keys, owners, told)
        self._engine = Engine(told)
        self._ledger = Ledger(told.log_length)
        self._flights = Flights()
        self._held: dict[str, tuple[Lane, ...]] = {}
        self._now = -math.inf

    def __repr__(self) -> str:
        outage = "" if self._engine.outage is None else ", in an outage"
        return f"<Provider of {len(self._book.by_name)} keys, {self._ledger.total.served} requests served{outage}>"

    @property
    def settings(self) -> Settings:
        """How it behaves at present."""
        return self._engine.settings

    # -- answering

    def reply(self, request: Request, now: float, *, hold: bool = False) -> Reply:
        """Answer a request.

        Args:
            request: The request.
            now: The moment, in seconds; an earlier one than the last is taken for the last.
            hold: Count the request as in flight until `finish`, rather than for its latency. What hangs is always
                held.
        """
        with self._lock:
            now = self._now = max(now, self._now)
            entry = self._book.by_secret.get(request.key_secret)
            reply = Reply(200, {}, request_id=f"req_{self._engine.dice.hex(32)}")
            if entry is not None:
                reply.key = entry.name
            case = Case(request, entry, now, reply)
            accepted = self._engine.decide(case)
            if accepted:
                self._enter(case, hold=hold)
            if request.path in ANSWERING:
                self._write(case, accepted=accepted)
            return reply

    def _enter(self, case: Case, *, hold: bool) -> None:
        """Count an accepted request as in flight."""
        reply = case.reply
        held = hold or reply.fate is Fate.HANG
        if held:
            self._held[reply.request_id] = case.lanes
        took = reply.latency_s + reply.gap_s * len(reply.events or ())
        for flights in (self._flights, *(lane.flights for lane in case.lanes)):
            flights.enter(case.now, None if held else case.now + took)

    def _write(self, case: Case, *, accepted: bool) -> None:
        reply, entry = case.reply, case.entry
        owner = None if entry is None or entry.owner is None else entry.owner.name
        arrival = Arrival(case.now, reply.key, owner, case.request.model, reply.tokens, accepted, reply.outcome)
        self._ledger.write(arrival, case.request.prompt, reply.request_id)

    def finish(self, reply: Reply) -> None:
        """Let a held request go: it is no longer in flight. Again, or for one that is not held, does nothing."""
        with self._lock:
            through = self._held.pop(reply.request_id, None)
            if through is not None:
                for flights in (self._flights, *(lane.flights for lane in through)):
                    flights.leave()

    # -- what it saw

    def stats(self) -> Stats:
        """Give a snapshot of what was seen so far."""
        with self._lock:
            self._ledger.total.peak_in_flight = self._flights.peak
            for name, key in self._book.by_name.items():
                tally_of(self._ledger.keys, name).peak_in_flight = key.lane.flights.peak
            for name, owner in self._book.owners.items():
                tally_of(self._ledger.owners, name).peak_in_flight = owner.lane.flights.peak
            return self._ledger.snapshot()

    def reset_stats(self) -> None:
        """Forget what was seen; limits go on counting."""
        with self._lock:
            self._ledger = Ledger(self.settings.log_length)
            keys, owners = self._book.by_name.values(), self._book.owners.values()
            for flights in (self._flights, *(k.lane.flights for k in keys), *(o.lane.flights for o in owners)):
                flights.peak = 0

    @property
    def keys(self) -> list[SimKey]:
        """The keys as they stand now, with their names."""
        with self._lock:
            return [entry.told for entry in self._book.by_name.values()]

    @property
    def owners(self) -> list[SimOwner]:
        """The owners as they stand now."""
        with self._lock:
            return [entry.told for entry in self._book.owners.values()]

    # -- controls

    def outage(self, kind: str) -> None:
        """Begin an outage: `500`, `503`, `401`, `html502`, `reset` or `hang` for everybody, until `recover`."""
        if kind not in OUTAGES:
            raise ValueError(f"kind of outage must be one of {', '.join(OUTAGES)}, not {kind!r}")
        with self._lock:
            self._engine.outage = OUTAGES[kind]

    def recover(self) -> None:
        """End the outage, if there is one."""
        with self._lock:
            self._engine.outage = None

    def set_state(self, key: str, state: State) -> None:
        """Put a key (by name or secret) into a state; `ok` fills its quotas too."""
        self.change_key(key, state=state)

    def revoke(self, key: str) -> None:
        """Make a key one that nobody knows."""
        self.set_state(key, "dead")

    def unpay(self, key: str) -> None:
        """Make a key one whose account is out of quota."""
        self.set_state(key, "unpaid")

    def pay(self, key: str) -> None:
        """Make a key work again, with full quotas."""
        self.set_state(key, "ok")

    def change_key(self, key: str, **changes: Any) -> None:
        """Change fields of a key, such as `rpm` or `latency_s`; what its limits counted is kept."""
        with self._lock:
            self._change(self._book.key(key), changes, ("secret", "name", "owner"))

    def change_owner(self, name: str, **changes: Any) -> None:
        """Change fields of an owner, such as `rpm`; what its limits counted is kept."""
        with self._lock:
            self._change(self._book.owner(name), changes, ("name",))

    def _change(self, entry: Entry[Any], changes: dict[str, Any], fixed: tuple[str, ...]) -> None:
        can = sorted({f.name for f in fields(entry.told)}.difference(fixed))
        for name in changes:
            if name not in can:
                raise ValueError(f"{name!r} cannot be changed; {', '.join(can)} can")
        entry.change(changes, max(self._now, 0.0))

    def add_key(self, key: SimKey | str) -> None:
        """Add a key."""
        with self._lock:
            self._book.add_key(key)

    def remove_key(self, key: str) -> None:
        """Remove a key (by name or secret): its secret is unknown from now on."""
        with self._lock:
            self._book.remove_key(key)

    def tune(self, **settings: Any) -> None:
        """Change rates, latencies, poison, script or hints from now on."""
        wrong = sorted(set(settings) - TUNABLE)
        if wrong:
            raise ValueError(f"{wrong[0]!r} cannot be changed at run time; {', '.join(sorted(TUNABLE))} can")
        with self._lock:
            self._engine.tune(replace(self.settings, **settings))
