"""The calls' side of a pool: obtaining keys, waiting for them, and settling."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from stable_openai.errors import ConfigurationError, NoKeyAvailable, PoolClosed
from stable_openai.stores.opening import open_store
from stable_openai.stores.protocol import Ask, Grant, Outcome, Refusal

from .affinity import Affinities
from .events import Event, Listeners, event_of
from .lease import Lease, LeaseRequest
from .options import Options, check_seconds
from .waiting import TaskWaiter, ThreadWaiter, Waiter, make_line

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from stable_openai.clock import Clock
    from stable_openai.keys import Key
    from stable_openai.stores.opening import AnyStore
    from stable_openai.stores.protocol import Change
    from stable_openai.stores.queues import Slot
    from stable_openai.stores.shared.store import SharedStore
    from stable_openai.verdict import Verdict

__all__ = ["Granting"]

T = TypeVar("T")
_NEVER: Final = float("inf")
_SHOWN_REASONS: Final = 6


class Granting:
    """What calls need of a pool. ``KeyPool`` adds the keys."""

    def __init__(self, options: Options, clock: Clock) -> None:
        self.options = options
        self.clock = clock
        self.rules = options.rules
        self.max_wait = options.max_wait
        self.timeout = options.timeout
        self.store: AnyStore = open_store(options.store, clock, options)
        self.quick: Callable[[str | None], Slot | None] = self.store.quick
        self.line = make_line(self.store, clock)
        self.store.after_late = self.serve
        self.store.tell = self.tell
        self.closed = False
        self._affinities = Affinities()
        self._listeners = Listeners()
        self._kept: dict[type[Any], Any] = {}
        self._keeping = threading.RLock()

    # -- leases

    def lease(
        self,
        model: str | None = None,
        *,
        tokens: int = 0,
        max_wait: float | None = None,
        affinity: Hashable | None = None,
    ) -> LeaseRequest:
        """A key by hand: ``with pool.lease(model="gpt-4o", tokens=900) as lease: …``, or ``async with``.

        Args:
            model: The model that the call is for.
            tokens: Tokens to reserve, prompt and answer together.
            max_wait: The longest to wait for a key, in seconds; default: the pool's.
            affinity: What the call belongs to, such as a conversation's id: the same value stays on one key while that
                is healthy and has room.

        Raises:
            NoKeyAvailable: (on entering) no key becomes eligible in that time.
            RequestTooLarge: (on entering) no key's limits ever allow so many tokens.
            PoolClosed: (on entering) the pool is closed.
            StoreError: (on entering) the shared store is lost, and ``on_store_error`` is ``"raise"``.
            ConfigurationError: An argument is wrong.
        """
        return LeaseRequest(self, _ask(model, tokens, affinity), _check_wait(max_wait))

    def acquire(
        self,
        model: str | None = None,
        *,
        tokens: int = 0,
        max_wait: float | None = None,
        affinity: Hashable | None = None,
    ) -> Lease:
        """Like ``lease``, without a ``with`` block: call ``settle`` or ``release`` on what it returns.

        It waits for a key now, and raises what entering a ``lease`` does.
        """
        return Lease(self, self.obtain(_ask(model, tokens, affinity), _check_wait(max_wait)))

    async def aacquire(
        self,
        model: str | None = None,
        *,
        tokens: int = 0,
        max_wait: float | None = None,
        affinity: Hashable | None = None,
    ) -> Lease:
        """The twin of ``acquire`` for tasks."""
        return Lease(self, await self.aobtain(_ask(model, tokens, affinity), _check_wait(max_wait)))

    def obtain(self, ask: Ask, max_wait: float | None = None) -> Grant:
        """Wait for a grant in a thread; for the layers above."""
        deadline = self._begin(ask, max_wait)
        grant = self._at_once(ask, deadline)
        if grant is None:
            waiter = ThreadWaiter(ask, deadline)
            try:
                self.line.join(waiter)
                waiter.wait()
            except BaseException:
                self.line.leave(waiter)
                raise
            grant = self._result(waiter)
        if ask.affinity is not None:
            self._affinities.stay(ask.affinity, grant.name)
        return grant

    async def aobtain(self, ask: Ask, max_wait: float | None = None) -> Grant:
        """Wait for a grant in a task; for the layers above."""
        deadline = self._begin(ask, max_wait)
        store = self.store
        grant = await self._soon(store, ask, deadline) if store.remote else self._at_once(ask, deadline)
        if grant is None:
            waiter = TaskWaiter(ask, deadline)
            try:
                self.line.join(waiter)
                await waiter.wait()
            except BaseException:
                self.line.leave(waiter)
                raise
            grant = self._result(waiter)
        if ask.affinity is not None:
            self._affinities.stay(ask.affinity, grant.name)
        return grant

    def adopt(self, slot: Slot, ask: Ask) -> Grant:
        """Make a grant of what ``quick`` returned."""
        store = self.store
        assert not store.remote  # noqa: S101  # the others' ``quick`` returns nothing
        return store.adopt(slot, ask)

    def _begin(self, ask: Ask, max_wait: float | None) -> float:
        if not ask.call:
            ask.call = self.line.ticket()
        if ask.affinity is not None:
            ask.prefer = self._affinities.preferred(ask.affinity)
        return self.store.now() + (self.max_wait if max_wait is None else max_wait)

    def _at_once(self, ask: Ask, deadline: float) -> Grant | None:
        """A grant without waiting; None where it is worth waiting for."""
        if self._waits():
            return None
        return self._taken(ask, deadline, self.store.grant(ask))

    async def _soon(self, store: SharedStore, ask: Ask, deadline: float) -> Grant | None:
        """As ``_at_once``, of a store that is asked without blocking the loop."""
        if self._waits():
            return None
        return self._taken(ask, deadline, await store.agrant(ask))

    def _waits(self) -> bool:
        if self.closed:
            raise PoolClosed("this pool is closed: make a new one")
        return bool(self.line.groups)

    def _taken(self, ask: Ask, deadline: float, found: Grant | Refusal) -> Grant | None:
        if isinstance(found, Grant):
            return found
        if not found.pending and (found.at > deadline or found.at == _NEVER):
            raise self.no_key(ask, found)
        return None

    def _result(self, waiter: Waiter) -> Grant:
        result = waiter.result
        if isinstance(result, Grant):
            return result
        if isinstance(result, Exception):
            raise result
        raise self.no_key(waiter.ask, result)

    def no_key(self, ask: Ask, refusal: Refusal | None) -> NoKeyAvailable:
        """The error that says when to come back, and why each key is out."""
        reasons = self.store.reasons(ask.model, ask.tokens)
        for name in ask.shun:
            reasons.setdefault(name, "has refused this very request")
        if ask.only is not None:
            reasons = {name: why for name, why in reasons.items() if name in ask.only}
        if refusal is None or refusal.at == _NEVER:
            at = self.store.earliest(ask.model, ask.tokens, ask.only)
        else:
            at = refusal.at
        retry_after = max(at - self.store.now(), 0.0) if at < _NEVER else None
        what = f"for the model {ask.model}" if ask.model else "for this call"
        when = "none is expected back" if retry_after is None else f"the earliest is back in {retry_after:.1f} s"
        shown = [f"{name} {reason}" for name, reason in list(reasons.items())[:_SHOWN_REASONS]]
        more = f"; and {len(reasons) - len(shown)} more" if len(reasons) > len(shown) else ""
        if not len(self):
            problem = "the pool has no keys: pool.add(...) one"
        else:
            problem = f"no key is eligible {what}, {when}: {'; '.join(shown) or 'others wait in front of it'}{more}"
        return NoKeyAvailable(problem, retry_after=retry_after, reasons=reasons, model=ask.model)

    # -- settling

    def judge(self, answer: object, key: Key | None = None) -> Verdict:
        """The verdict on an answer or exception, the pool's own rules asked first.

        Args:
            answer: What came back.
            key: The key that was used: where the provider repeats it, the verdict does not.
        """
        from stable_openai.verdict import judge  # with its tables and patterns: at the first failure, not before

        verdict = judge(answer, rules=self.rules, now=self.clock.time())
        if key is not None and key.secret in verdict.message:
            return replace(verdict, message=verdict.message.replace(key.secret, key.masked))
        return verdict

    def settle(self, grant: Grant, outcome: Outcome) -> None:
        """End a grant, serve those who wait, and tell what has changed; for the layers above."""
        changes = self.store.settle(grant, outcome)
        if self.line.groups:
            self.line.serve()
        if changes:
            self.tell(changes)

    def forget(self, grant: Grant, outcome: Outcome) -> None:
        """As ``settle``, of a lease that the collector has found: whatever it has interrupted goes on."""
        if self.store.remote:
            self.store.settle_later(grant, outcome)
        else:
            self.settle(grant, outcome)

    def serve(self) -> None:
        """Hand out to those who wait what can be handed out now, by keys that may have changed."""
        if self.line.groups:
            self.line.look_afresh()
            self.line.serve()

    def tell(self, changes: Iterable[Change]) -> None:
        """Tell those who listen what has changed."""
        for change in changes:
            self._listeners.tell(event_of(change))

    @property
    def counts_tokens(self) -> bool:
        """Whether any limit of this pool counts tokens, so that a call's tokens are worth estimating."""
        return self.store.counts_tokens

    def on_event(self, listener: Callable[[Event], object]) -> Callable[[], None]:
        """Call ``listener`` with each ``Event`` from now on; the result, when called, ends that.

        Raises:
            ConfigurationError: It is not callable.
        """
        if not callable(listener):
            raise ConfigurationError("listener", f"must be callable with an Event, not {type(listener).__name__}")
        return self._listeners.add(listener)

    def __len__(self) -> int:
        raise NotImplementedError

    # -- ending

    def keep(self, kind: type[T]) -> T:
        """What the pool keeps of a kind, such as its HTTP connections: made at first use, closed with the pool."""
        found: T | None = self._kept.get(kind)
        if found is None:
            with self._keeping:
                found = self._kept.get(kind)
                if found is None:
                    if self.closed:
                        raise PoolClosed("this pool is closed: make a new one")
                    found = self._kept[kind] = kind()
        return found

    def close(self) -> None:
        """Send away those who wait and grant nothing more; running calls end as they would.

        Connections of the pool's own are closed. Those of event loops are closed there, as soon as their loop comes to
        it; ``aclose`` waits for that.
        """
        for kept in self._end():
            kept.close()

    async def aclose(self) -> None:
        """As ``close``; the connections of the loop that runs are closed when this returns."""
        for kept in self._end():
            await kept.aclose()

    def _end(self) -> list[Any]:
        self.closed = True
        self.quick = _refuse
        self.line.close()
        with self._keeping:
            kept = list(self._kept.values())
            self._kept.clear()
        self.store.close()
        return kept

    def after_fork(self) -> None:
        """Go on in a forked child, without the parent's locks and waiters."""
        self.store.after_fork()
        if not self.closed:
            self.quick = self.store.quick
        self.line.start_afresh()
        self._affinities.start_afresh()
        self._keeping = threading.RLock()


def _refuse(model: str | None) -> None:
    """Stands in for ``quick`` once the pool is closed: the long way says so."""


def _ask(model: object, tokens: object, affinity: Hashable | None) -> Ask:
    if model is not None and not isinstance(model, str):
        raise ConfigurationError("model", f"must be a model's name, not {type(model).__name__}")
    if isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < 0:
        raise ConfigurationError("tokens", f"must be a whole number from 0 up, not {tokens!r}")
    return Ask(model, tokens, affinity=affinity)


def _check_wait(max_wait: float | None) -> float | None:
    return None if max_wait is None else check_seconds("max_wait", max_wait)
