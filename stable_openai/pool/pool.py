"""The pool: keys with one strategy and one store, and the calls that wait for them."""

from __future__ import annotations

import os
import threading
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from stable_openai.clock import SYSTEM_CLOCK
from stable_openai.errors import ConfigurationError
from stable_openai.key_sources import keys_from_env, settings_from_file
from stable_openai.keys import Key, as_keys
from stable_openai.limits import Limits
from stable_openai.masking import hide
from stable_openai.stores.lanes import Kind, Standing
from stable_openai.stores.orders import check_strategy
from stable_openai.stores.protocol import Effect

from .events import Event
from .explanation import Explanation, explain
from .granting import Granting
from .naming import name_keys, staying
from .options import Options, check_in_file, check_seconds
from .table import table_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from stable_openai.stores.orders import StrategyLike
    from stable_openai.stores.snapshots import KeyStatus

__all__ = ["KeyPool"]

_NEVER: Final = float("inf")


class KeyPool(Granting):
    """Keys with one strategy and one store, safe in threads and tasks.

    Args:
        keys: Secrets, ``Key`` objects or mappings of their fields.
        strategy: ``"round-robin"``, ``"random"``, ``"least-used"``, ``"rest-time"``, ``"weighted"``, ``"fill-first"``,
            or an object with a method ``rank(candidate)``.
        limits: Limits of each key that does not say its own; ``rpm``, ``rpd``, ``tpm``, ``tpd``, ``max_concurrency``,
            ``windows`` and ``zone`` may be given one by one instead.
        owners: Limits of owners by name: ``Limits``, or a mapping of model to ``Limits``.
        store: Where counts and cooldowns live: ``"memory://"``, this process's own; ``"sqlite:///keys.db"``, for the
            processes of one machine; ``"redis://host/0"``, ``"rediss://"``, ``"redis+cluster://h1:7000,h2:7001"``,
            ``"redis+sentinel://h1:26379,h2:26379/mymaster/0"``, for several machines. Shared counts survive a restart.
            ``?namespace=`` keeps pools apart that share a server or a file.
        on_store_error: What to do while a shared store is lost: ``"local"`` goes on without it, each process with its
            portion of what is left of the limits, and tells the store later; ``"raise"`` raises ``StoreError`` at once.
        store_timeout: The longest that one exchange with a shared store may take, in seconds.
        lease_ttl: How long nothing may be heard of a process until the others take back what it holds, in seconds.
        max_wait: The longest that a call waits for a key, in seconds.
        timeout: The longest that a call takes in all, attempts and waits together, in seconds; None for no bound.
        pace: Whether to spread the grants of a window evenly, for limits that are enforced by the second.
        minute: How long the provider's minute lasts, in seconds: for rehearsals on a simulator in scaled time.
        rules: Verdicts of your own, asked first: see ``stable_openai.verdict``.
        clock: Where time comes from; for tests.

    Raises:
        ConfigurationError: A key, a limit or an option is wrong; the message names it.
        StoreError: A shared store refuses; or it can't be reached, and ``on_store_error`` is ``"raise"``.
    """

    source: tuple[str, tuple[Any, ...], dict[str, Any]] | None = None  # by which another process makes the same pool

    def __init__(
        self,
        keys: str | Key | Iterable[str | Key | Mapping[str, Any]] = (),
        **options: Any,
    ) -> None:
        keys = hide(keys)
        checked = Options.of(options)
        super().__init__(checked, checked.clock or SYSTEM_CLOCK)
        self._names: dict[str, str] = {}  # by secret
        self._keys: dict[str, Key] = {}  # by name
        self._changing = threading.RLock()
        self._numbered = 0
        for name, limits in checked.owners.items():
            self.store.set_owner(name, *limits)
        self._add(as_keys(keys))
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
        made = cls(keys, **options)
        made.source = ("from_env", variables, options)
        return made

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], **options: Any) -> KeyPool:
        """Make a pool of a TOML file (``[pool]``, ``[[keys]]``, ``[owners.NAME]``) that only its owner may read.

        Raises:
            ConfigurationError: Others can read the file, or a field in it is wrong.
        """
        keys, settings = settings_from_file(path)
        check_in_file(path, {name: value for name, value in settings.items() if name not in options})
        made = cls(keys, **{**settings, **options})
        made.source = ("from_file", (path,), options)
        return made

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
        secret = hide(secret)
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
        self.serve()
        if len(self._keys) > len(named):
            for _, name in named:
                self._listeners.tell(Event("added", name))
        return [name for _, name in named]

    def remove(self, key: str | Key) -> None:
        """Take a key out of use at once; calls that run with it go on.

        Raises:
            KeyError: There is no such key.
        """
        key = hide(key)
        with self._changing:
            name = self._name_of(key)
            self._drop(name)
        self.serve()
        self._listeners.tell(Event("removed", name))

    def _drop(self, name: str) -> None:
        del self._names[self._keys.pop(name).secret]
        self.store.remove(name)

    def merge(self, keys: str | Key | Iterable[str | Key | Mapping[str, Any]]) -> None:
        """Add the keys that are new; those that are known keep their counts and their description."""
        keys = hide(keys)
        with self._changing:
            self._add([key for key in as_keys(keys) if key.secret not in self._names])

    def reload(self, keys: str | Key | Iterable[str | Key | Mapping[str, Any]]) -> None:
        """Make these the pool's keys.

        What left is out of use at once, what stayed keeps its state, what is new starts afresh.

        Raises:
            ConfigurationError: A key is bad; the pool is then as it was.
        """
        keys = hide(keys)
        wanted = as_keys(keys)
        with self._changing:
            stay = staying(self._names, wanted)
            gone = [name for name in self._keys if name not in stay]
            for name in gone:
                self._drop(name)
            for key in wanted:
                known = self._names.get(key.secret)
                if known is not None:
                    self._keys[known] = key
                    self.store.retell(known, key, key.limits or self.options.limits)
            self._add([key for key in wanted if key.secret not in self._names])
        self.serve()
        for name in gone:
            self._listeners.tell(Event("removed", name))

    def park(self, key: str | Key, seconds: float | None = None, reason: str = "parked by hand") -> None:
        """Take a key out of use for so many seconds (default 600, doubling with each repeat)."""
        key = hide(key)
        if seconds is not None:
            check_seconds("seconds", seconds)
        self.tell(self.store.rest(self._name_of(key), Effect(Kind.KEY, Standing.PARKED, seconds, reason)))

    def revive(self, key: str | Key | None = None, *, model: str | None = None) -> None:
        """Clear cooldowns, parking and retirement of a key, or of all; waiting calls go on at once."""
        key = hide(key)
        changes = self.store.revive(None if key is None else [self._name_of(key)], model)
        self.serve()
        self.tell(changes)

    def name_of(self, key: str | Key) -> str:
        """The name of a key, by its secret or the ``Key`` (a name stands for itself).

        Raises:
            KeyError: There is no such key.
        """
        return self._name_of(key)

    def _name_of(self, key: str | Key) -> str:
        key = hide(key)
        name = self._names.get(key.secret) if isinstance(key, Key) else key
        if name in self._keys:
            return name
        if isinstance(key, str) and key in self._names:
            return self._names[key]
        raise KeyError("there is no such key in this pool")

    @property
    def strategy(self) -> StrategyLike:
        """The order among eligible keys: a strategy's name, or the object of one's own."""
        return self.options.strategy

    def set_strategy(self, strategy: StrategyLike) -> None:
        """Change the order among eligible keys while the pool runs; uses, limits and rests stay as they are.

        Raises:
            ConfigurationError: There is no such strategy; the pool then keeps its own.
        """
        checked = check_strategy(strategy)
        with self._changing:
            if checked != self.options.strategy:
                self.store.use(checked)
                self.options = replace(self.options, strategy=checked)
        self.serve()

    # -- seeing

    def explain(self, model: str | None = None, *, tokens: int = 0) -> Explanation:
        """Why nothing is eligible for a model, and when it will be: ``str()`` of it is a paragraph."""
        at = self.store.earliest(model, tokens)
        retry_after = max(at - self.store.now(), 0.0) if at < _NEVER else None
        out = self.store.reasons(model, tokens)
        return explain(list(self._keys), out, model=model, retry_after=retry_after, waiting=len(self.line))

    def load_limits(
        self,
        admin_key: str,
        *,
        project: str | None = None,
        base_url: str = "https://api.openai.com/v1",
        timeout: float = 30.0,
    ) -> dict[str, dict[str, Limits]]:
        """Read the rate limits of projects from OpenAI's admin API, and keep to them.

        They hold for keys whose ``owner`` is the project's id or name. Where ``project`` is given, or there is but one,
        keys without an owner are taken to be its own.

        Args:
            admin_key: An admin key (it is sent there, and not kept).
            project: The id or name of one project; default: all.
            base_url: The API's base URL.
            timeout: Seconds that one request may take.

        Returns:
            The limits by project id and model.

        Raises:
            ConfigurationError: The admin key or the project is refused.
            OSError: The API can't be reached.
        """
        from .admin import read_projects  # with urllib and http, which nobody else here needs

        projects = read_projects(hide(admin_key), base_url, project, timeout)
        told = {key.owner for key in self._keys.values()}
        for found in projects:
            owner = found.name if found.name in told else found.id
            self.store.set_owner(owner, Limits(), found.limits)
            if len(projects) == 1:
                self.store.assign_owner([name for name, key in self._keys.items() if key.owner is None], owner)
        self.serve()
        return {found.id: found.limits for found in projects}

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
        if "_numbered" not in self.__dict__:
            return f"<{type(self).__name__}, not finished>"  # in the traceback of a refused option
        waiting = len(self.line)
        return f"<{type(self).__name__} of {len(self._keys)} keys, {self.options.strategy_name}, {waiting} waiting>"

    # -- ending

    def __enter__(self) -> KeyPool:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    async def __aenter__(self) -> KeyPool:
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.aclose()

    def __reduce__(self) -> str:
        raise TypeError("a pool can't be pickled: it holds secrets and running counts; make one in each process")

    def after_fork(self) -> None:
        """Go on in a forked child, without the parent's locks and waiters."""
        super().after_fork()
        self._changing = threading.RLock()


_pools: Final[weakref.WeakSet[KeyPool]] = weakref.WeakSet()


def _after_fork() -> None:
    for pool in tuple(_pools):
        pool.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
