"""The pool: keys with one strategy and one store, and the calls that wait for them."""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final

from stable_openai.clock import SYSTEM_CLOCK
from stable_openai.errors import ConfigurationError, NoKeyAvailable, PoolClosed, RequestTooLarge
from stable_openai.key_sources import keys_from_env, settings_from_file
from stable_openai.keys import Key, as_keys
from stable_openai.stores.lanes import Kind, Standing
from stable_openai.stores.memory import MemoryStore
from stable_openai.stores.protocol import Ask, Effect, Grant, Outcome, Refusal
from stable_openai.verdict import Verdict, judge

from .events import Event, Listeners, event_of
from .lease import Lease, LeaseRequest
from .naming import name_keys
from .options import Options
from .table import table_of
from .waiting import Line, TaskWaiter, ThreadWaiter, Waiter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from stable_openai.stores.protocol import Change
    from stable_openai.stores.queues import Slot
    from stable_openai.stores.snapshots import KeyStatus

__all__ = ["KeyPool"]

_NEVER: Final = float("inf")
_SHOWN_REASONS: Final = 6


class KeyPool:
    """Keys with one strategy and one store, safe in threads and tasks.

    Args:
        keys: Secrets, ``Key`` objects or mappings of their fields.
        strategy: ``"round-robin"``, ``"random"``, ``"least-used"``, ``"rest-time"``, ``"weighted"``, ``"fill-first"``,
            or an object with a method ``rank(candidate)``.
        limits: Limits of each key that does not say its own; ``rpm``, ``rpd``, ``tpm``, ``tpd``, ``max_concurrency``,
            ``windows`` and ``zone`` may be given one by one instead.
        owners: Limits of owners by name: ``Limits``, or a mapping of model to ``Limits``.
        store: Where counts and cooldowns live: ``"memory://"``.
        max_wait: The longest that a call waits for a key, in seconds.
        timeout: The longest that a call takes in all, attempts and waits together, in seconds; None for no bound.
        rules: Verdicts of your own, asked first: see ``stable_openai.verdict``.
        clock: Where time comes from; for tests.

    Raises:
        ConfigurationError: A key, a limit or an option is wrong; the message names it.
    """

    def __init__(
        self,
        keys: str | Key | Iterable[str | Key | Mapping[str, Any]] = (),
        **options: Any,
    ) -> None:
        self._setup(as_keys(keys), Options.of(options))

    def _setup(self, keys: list[Key], options: Options) -> None:
        self.options = options
        self.clock = options.clock or SYSTEM_CLOCK
        self.rules = options.rules
        self.max_wait = options.max_wait
        self.timeout = options.timeout
        self.store = MemoryStore(options.strategy, self.clock)
        self.quick: Callable[[str | None], Slot | None] = self.store.quick
        self.line = Line(self.store, self.clock)
        self.closed = False
        self._listeners = Listeners()
        self._names: dict[str, str] = {}  # by secret
        self._keys: dict[str, Key] = {}  # by name
        self._changing = threading.RLock()
        self._numbered = 0
        for name, limits in options.owners.items():
            self.store.set_owner(name, *limits)
        self._add(keys)
        _pools.add(self)

    @classmethod
    def from_env(cls, *variables: str, **options: Any) -> KeyPool:
        """Make a pool of keys in the environment.

        ``from_env("MY_KEYS")`` reads ``MY_KEYS`` (one key, or a list with commas or white space) and ``MY_KEYS_1``,
        ``MY_KEYS_2``…; without a name, ``OPENAI_API_KEYS`` and ``OPENAI_API_KEY`` are read in the same way.

        Raises:
            ConfigurationError: There is no key, or one is bad; the message names the variable.
        """
        keys = keys_from_env(*variables)
        if not keys:
            names = variables or ("OPENAI_API_KEYS", "OPENAI_API_KEY_1", "OPENAI_API_KEY")
            raise ConfigurationError(" / ".join(names), "no key is set: put one or several there, separated by commas")
        return cls(keys, **options)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], **options: Any) -> KeyPool:
        """Make a pool of a TOML file (``[pool]``, ``[[keys]]``, ``[owners.NAME]``) that only its owner may read.

        Raises:
            ConfigurationError: Others can read the file, or a field in it is wrong.
        """
        keys, settings = settings_from_file(path)
        return cls(keys, **{**settings, **options})

    # -- keys

    def add(self, secret: str | Key, **fields: Any) -> str:
        """Add a key; calls that wait are served by it at once.

        Args:
            secret: The secret, or a ``Key``.
            fields: ``name``, ``owner``, ``base_url``, ``models``, ``limits``, ``weight``, as ``Key`` takes them.

        Returns:
            The key's name.

        Raises:
            ConfigurationError: The key is bad, or is in the pool already.
        """
        key = secret if isinstance(secret, Key) and not fields else Key(secret, **fields)  # type: ignore[arg-type]  # Key refuses what is no text
        with self._changing:
            if key.secret in self._names:
                raise ConfigurationError("key", f"{key.masked} is in this pool already, as {self._names[key.secret]}")
            (name,) = self._add([key])
        return name

    def _add(self, keys: Iterable[Key]) -> list[str]:
        """Add keys that are new, and say so."""
        with self._changing:
            named = name_keys(keys, self._keys, self._numbered)
            self._numbered += len(named)
            self.store.add((key, name, key.limits or self.options.limits) for key, name in named)
            for key, name in named:
                self._names[key.secret] = name
                self._keys[name] = key
        if self.line.groups:
            self.line.serve()
        if len(self._keys) > len(named):
            for _, name in named:
                self._listeners.tell(Event("added", name))
        return [name for _, name in named]

    def remove(self, key: str | Key) -> None:
        """Take a key out of use at once; calls that run with it go on.

        Raises:
            KeyError: There is no such key.
        """
        with self._changing:
            name = self._name_of(key)
            del self._names[self._keys.pop(name).secret]
            self.store.remove(name)
        self.line.serve()
        self._listeners.tell(Event("removed", name))

    def merge(self, keys: str | Key | Iterable[str | Key | Mapping[str, Any]]) -> None:
        """Add the keys that are new; those that are known keep their counts and their description."""
        with self._changing:
            self._add([key for key in as_keys(keys) if key.secret not in self._names])

    def reload(self, keys: str | Key | Iterable[str | Key | Mapping[str, Any]]) -> None:
        """Make these the pool's keys.

        What left is out of use at once, what stayed keeps its state, what is new starts afresh.

        Raises:
            ConfigurationError: A key is bad; the pool is then as it was.
        """
        wanted = as_keys(keys)
        with self._changing:
            stay = {key.secret for key in wanted}
            gone = [name for secret, name in self._names.items() if secret not in stay]
            kept = {key.name for key in self._keys.values() if key.secret in stay}
            for key in wanted:  # checked before anything changes
                known = self._names.get(key.secret)
                holder = self._keys.get(key.name) if key.name is not None else None
                if holder is not None and holder.secret in stay and holder.secret != key.secret and key.name in kept:
                    raise ConfigurationError("key.name", f"{key.name!r} is the name of another key in this pool")
                if known is not None and key.name not in (None, known):
                    gone.append(known)  # renamed: it starts afresh under its new name
            for name in gone:
                if name in self._keys:
                    self.remove(name)
            for key in wanted:
                known = self._names.get(key.secret)
                if known is not None:
                    self._keys[known] = key
                    self.store.retell(known, key, key.limits or self.options.limits)
            self._add([key for key in wanted if key.secret not in self._names])
        self.line.serve()

    def park(self, key: str | Key, seconds: float | None = None, reason: str = "parked by hand") -> None:
        """Take a key out of use for so many seconds (default 600, doubling with each repeat)."""
        self._tell(self.store.rest(self._name_of(key), Effect(Kind.KEY, Standing.PARKED, seconds, reason)))

    def revive(self, key: str | Key | None = None, *, model: str | None = None) -> None:
        """Clear cooldowns, parking and retirement of a key, or of all; waiting calls go on at once."""
        changes = self.store.revive(None if key is None else [self._name_of(key)], model)
        self.line.serve()
        self._tell(changes)

    def _name_of(self, key: str | Key) -> str:
        name = self._names.get(key.secret) if isinstance(key, Key) else key
        if name in self._keys:
            return name
        if isinstance(key, str) and key in self._names:
            return self._names[key]
        raise KeyError("there is no such key in this pool")

    # -- leases

    def lease(self, model: str | None = None, *, tokens: int = 0, max_wait: float | None = None) -> LeaseRequest:
        """A key by hand: ``with pool.lease(model="gpt-4o", tokens=900) as lease: …``, or ``async with``.

        Args:
            model: The model that the call is for.
            tokens: Tokens to reserve, prompt and answer together.
            max_wait: The longest to wait for a key, in seconds; default: the pool's.

        Raises:
            NoKeyAvailable: (on entering) no key becomes eligible in that time.
            RequestTooLarge: (on entering) no key's limits ever allow so many tokens.
        """
        return LeaseRequest(self, Ask(model, tokens), max_wait)

    def acquire(self, model: str | None = None, *, tokens: int = 0, max_wait: float | None = None) -> Lease:
        """Like ``lease``, without a ``with`` block: call ``settle`` or ``release`` on what it returns."""
        return Lease(self, self.obtain(Ask(model, tokens), max_wait))

    async def aacquire(self, model: str | None = None, *, tokens: int = 0, max_wait: float | None = None) -> Lease:
        """The twin of ``acquire`` for tasks."""
        return Lease(self, await self.aobtain(Ask(model, tokens), max_wait))

    def obtain(self, ask: Ask, max_wait: float | None = None, ticket: int | None = None) -> Grant:
        """Wait for a grant in a thread; for the layers above."""
        deadline = self._deadline(max_wait)
        grant = self._at_once(ask, deadline)
        if grant is not None:
            return grant
        waiter = ThreadWaiter(ask, self.line.ticket() if ticket is None else ticket, deadline)
        try:
            self.line.join(waiter)
            waiter.wait()
        except BaseException:
            self.line.leave(waiter)
            raise
        return self._outcome(waiter)

    async def aobtain(self, ask: Ask, max_wait: float | None = None, ticket: int | None = None) -> Grant:
        """Wait for a grant in a task; for the layers above."""
        deadline = self._deadline(max_wait)
        grant = self._at_once(ask, deadline)
        if grant is not None:
            return grant
        waiter = TaskWaiter(ask, self.line.ticket() if ticket is None else ticket, deadline)
        try:
            self.line.join(waiter)
            await waiter.wait()
        except BaseException:
            self.line.leave(waiter)
            raise
        return self._outcome(waiter)

    def _deadline(self, max_wait: float | None) -> float:
        return self.store.now() + (self.max_wait if max_wait is None else max_wait)

    def _at_once(self, ask: Ask, deadline: float) -> Grant | None:
        """A grant without waiting; None where it is worth waiting for."""
        if self.closed:
            raise PoolClosed("this pool is closed: make a new one")
        if self.line.groups:
            return None
        found = self.store.grant(ask)
        if isinstance(found, Grant):
            return found
        if found.at > deadline and not found.pending:
            raise self.no_key(ask, found)
        return None

    def _outcome(self, waiter: Waiter) -> Grant:
        result = waiter.result
        if isinstance(result, Grant):
            return result
        if isinstance(result, (RequestTooLarge, PoolClosed)):
            raise result
        raise self.no_key(waiter.ask, result)

    def no_key(self, ask: Ask, refusal: Refusal | None) -> NoKeyAvailable:
        """The error that says when to come back, and why each key is out."""
        reasons = self.store.reasons(ask.model, ask.tokens)
        for name in ask.shun:
            reasons.setdefault(name, "has refused this very request")
        at = self.store.earliest(ask.model) if refusal is None or refusal.at == _NEVER else refusal.at
        retry_after = max(at - self.store.now(), 0.0) if at < _NEVER else None
        what = f"for the model {ask.model}" if ask.model else "for this call"
        when = "none is expected back" if retry_after is None else f"the earliest is back in {retry_after:.1f} s"
        shown = [f"{name} {reason}" for name, reason in list(reasons.items())[:_SHOWN_REASONS]]
        more = f"; and {len(reasons) - len(shown)} more" if len(reasons) > len(shown) else ""
        if not self._keys:
            problem = "the pool has no keys: pool.add(...) one"
        else:
            problem = f"no key is eligible {what}, {when}: {'; '.join(shown) or 'others wait in front of it'}{more}"
        return NoKeyAvailable(problem, retry_after=retry_after, reasons=reasons, model=ask.model)

    # -- settling

    def judge(self, answer: object) -> Verdict:
        """The verdict on an answer or exception, the pool's own rules asked first."""
        return judge(answer, rules=self.rules, now=self.clock.time())

    def settle(self, grant: Grant, outcome: Outcome) -> None:
        """End a grant, serve those who wait, and tell what has changed; for the layers above."""
        changes = self.store.settle(grant, outcome)
        if self.line.groups:
            self.line.serve()
        if changes:
            self._tell(changes)

    def _tell(self, changes: Iterable[Change]) -> None:
        for change in changes:
            self._listeners.tell(event_of(change))

    @property
    def counts_tokens(self) -> bool:
        """Whether any limit of this pool counts tokens, so that a call's tokens are worth estimating."""
        return self.store.counts_tokens

    # -- seeing

    def on_event(self, listener: Callable[[Event], object]) -> Callable[[], None]:
        """Call ``listener`` with each ``Event`` from now on; the result, when called, ends that."""
        return self._listeners.add(listener)

    def status(self) -> list[KeyStatus]:
        """The state of each key, as dataclasses. Never a secret."""
        return self.store.snapshot()

    @property
    def keys(self) -> list[Key]:
        """The pool's keys, in the order in which they were added."""
        return list(self._keys.values())

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[Key]:
        return iter(self.keys)

    def __str__(self) -> str:
        return table_of(self.status())

    def __repr__(self) -> str:
        waiting = len(self.line)
        return f"<{type(self).__name__} of {len(self._keys)} keys, {self.options.strategy_name}, {waiting} waiting>"

    # -- ending

    def close(self) -> None:
        """Send away those who wait and grant nothing more; running calls end as they would."""
        self.closed = True
        self.quick = _refuse
        self.line.close()

    def __enter__(self) -> KeyPool:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def __reduce__(self) -> str:
        raise TypeError("a pool can't be pickled: it holds secrets and running counts; make one in each process")

    def after_fork(self) -> None:
        """Go on in a forked child, without the parent's locks and waiters."""
        self.store.renew_lock()
        self.line.start_afresh()
        self._changing = threading.RLock()


def _refuse(model: str | None) -> None:
    """Stands in for ``quick`` once the pool is closed: the long way says so."""


_pools: Final[weakref.WeakSet[KeyPool]] = weakref.WeakSet()


def _after_fork() -> None:
    for pool in tuple(_pools):
        pool.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
