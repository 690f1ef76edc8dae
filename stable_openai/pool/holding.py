"""The keys' side of a pool: which there are, and in what order they are used."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from stable_openai.errors import ConfigurationError
from stable_openai.keys import Key, as_keys
from stable_openai.masking import hide
from stable_openai.stores.lanes import Kind, Standing
from stable_openai.stores.orders import check_strategy
from stable_openai.stores.protocol import Effect

from .events import Event
from .granting import Granting
from .naming import name_keys, staying
from .options import check_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from stable_openai.clock import Clock
    from stable_openai.stores.orders import StrategyLike

    from .options import Options

__all__ = ["Holding"]


class Holding(Granting):
    """A pool's keys. ``KeyPool`` adds where they come from, and how one looks at them.

    Args:
        options: The pool's options, checked.
        clock: Where time comes from.
    """

    def __init__(self, options: Options, clock: Clock) -> None:
        super().__init__(options, clock)
        self._names: dict[str, str] = {}  # by secret
        self._keys: dict[str, Key] = {}  # by name
        self._changing = threading.RLock()
        self._numbered = 0

    # -- changing

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
        """Add the keys that are new; those that are known keep their counts and their description.

        Raises:
            ConfigurationError: A key is bad; none is added then.
        """
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
        """Take a key out of use for a while.

        Args:
            key: The key, its secret or its name.
            seconds: For how long; None: 600 seconds with some jitter, and twice as long with each repeat.
            reason: Why, as the status shows it.

        Raises:
            KeyError: There is no such key.
            ConfigurationError: ``seconds`` is no number from 0 up.
        """
        key = hide(key)
        if seconds is not None:
            check_seconds("seconds", seconds)
        self.tell(self.store.rest(self._name_of(key), Effect(Kind.KEY, Standing.PARKED, seconds, reason)))

    def revive(self, key: str | Key | None = None, *, model: str | None = None) -> None:
        """Clear cooldowns, parking and retirement of a key, or of all; waiting calls go on at once.

        Args:
            key: The key, its secret or its name; None: all keys.
            model: Clear what concerns this model alone.

        Raises:
            KeyError: There is no such key.
        """
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

    # -- listing

    @property
    def keys(self) -> list[Key]:
        """The pool's keys, in the order in which they were added."""
        return list(self._keys.values())

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[Key]:
        return iter(self.keys)

    def after_fork(self) -> None:
        """Go on in a forked child, without the parent's locks and waiters."""
        super().after_fork()
        self._changing = threading.RLock()
