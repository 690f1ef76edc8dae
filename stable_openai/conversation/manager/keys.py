"""The keys of a ``ChatManager``, under the names that its users know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from stable_openai.errors import ConfigurationError
from stable_openai.masking import hide
from stable_openai.pool.manager import current
from stable_openai.pool.options import check_seconds
from stable_openai.pool.pool import KeyPool
from stable_openai.stores.protocol import Ask, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from stable_openai.keys import Key
    from stable_openai.stores.orders import StrategyLike

__all__ = ["ManagerKeys"]

_USED: Final = Outcome()  # it counts, and says neither good nor bad of the key


class ManagerKeys:
    """Keys by name, over a ``KeyPool``: the manager's own, or the one that it was given.

    Where no key was ever added to a manager of its own pool, its messages go out under those of the process-wide
    ``KeyManager`` (or of the environment).

    Args:
        keys: A pool, or keys to begin with, or None.
    """

    def __init__(self, keys: KeyPool | str | Key | Iterable[str | Key | Mapping[str, Any]] | None = None) -> None:
        keys = hide(keys)
        self._own = keys if isinstance(keys, KeyPool) else KeyPool(() if keys is None else keys)
        self._is_used = keys is not None
        self._strategy_was_set = False

    # -- changing

    def add_key(self, name: str, key: str, **fields: Any) -> None:
        """Add a key under a name; messages that wait are served by it at once.

        Args:
            name: How it is called in status rows, logs and answers.
            key: The secret.
            fields: ``owner``, ``base_url``, ``models``, ``limits``, ``weight``, as ``Key`` takes them.

        Raises:
            ConfigurationError: The name or the secret is bad, or there already.
        """
        key = hide(key)
        if name is None:
            raise ConfigurationError("name", "is missing: add_key(name, secret)")
        self._own.add(key, name=name, **fields)
        self._is_used = True

    def remove_key(self, name: str) -> None:
        """Take a key out of use at once; messages that are under way with it go on.

        Raises:
            KeyError: There is no key of this name.
        """
        self._own.remove(hide(name))

    def set_strategy(self, strategy: StrategyLike) -> None:
        """Choose the order among the keys that are free, at any time; counts and rests stay.

        Args:
            strategy: ``"default"`` or ``"roll-polling"`` (in turn), ``"random"``, ``"least-used"``, ``"rest-time"``
                (the one not used for the longest time), or another that ``KeyPool`` knows.

        Raises:
            ConfigurationError: There is no such strategy.
        """
        self._own.set_strategy(strategy)
        self._strategy_was_set = True

    # -- using

    def get_key(self, name: str | None = None, *, max_wait: float | None = None) -> str:
        """A secret for a request of one's own: the next by the strategy among the keys that are free, or one by name.

        It counts as one use of that key, for its limits and for the strategy. The pool does not learn what becomes of
        it; where that matters, lease it: ``with cm.keys.pool.lease() as lease``.

        Args:
            name: The key's name; None: the next.
            max_wait: The longest to wait until one is free, in seconds; None: the pool's.

        Raises:
            KeyError: There is no key of this name.
            NoKeyAvailable: None is free in time; it says why, and when to come back.
            ConfigurationError: There are no keys.
        """
        pool = self.pool
        if max_wait is not None:
            check_seconds("max_wait", max_wait)
        ask = Ask()
        if name is not None:
            wanted = pool.name_of(hide(name))
            ask = Ask(prefer=wanted, shun=frozenset(self._names()) - {wanted})
        grant = pool.obtain(ask, max_wait)
        pool.settle(grant, _USED)
        return grant.key.secret

    def get_key_name(self, key: str) -> str | None:
        """The name of a secret; None where it is none of these keys'."""
        key = hide(key)
        pool = self._found()
        try:
            name = None if pool is None else pool.name_of(key)
        except KeyError:
            return None
        return None if name == key else name

    def has_key(self) -> bool:
        """Whether there is any key."""
        return len(self) > 0

    def key_name_exist(self, name: str) -> bool:
        """Whether there is a key of this name."""
        return name in self._names()

    def key_value_exist(self, key: str) -> bool:
        """Whether this secret is one of the keys'."""
        return self.get_key_name(key) is not None

    @property
    def pool(self) -> KeyPool:
        """The pool that messages sent now draw on.

        Raises:
            ConfigurationError: There are no keys anywhere, or the strategy that was set would be for nothing.
        """
        if self._is_used:
            if not len(self._own):
                raise ConfigurationError("keys", "there are none left: cm.add_key(name, secret) adds one")
            return self._own
        try:
            manager = current()
        except ConfigurationError as error:
            raise ConfigurationError("keys", f"{error.problem}; or cm.add_key(name, secret)") from None
        if self._strategy_was_set and manager.strategy != self._own.strategy:
            raise ConfigurationError(
                "strategy",
                f"was set to {self._own.strategy!r} for the manager's own keys, but it has none: cm.add_key(name, "
                "secret), or ChatManager(KeyManager()) to set that of the process-wide pool",
            )
        return manager

    def _found(self) -> KeyPool | None:
        try:
            return self.pool
        except ConfigurationError:
            return None

    def _names(self) -> list[str]:
        pool = self._found()
        return [] if pool is None else [pool.name_of(key) for key in pool]

    def __len__(self) -> int:
        pool = self._found()
        return 0 if pool is None else len(pool)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __repr__(self) -> str:
        return f"<ManagerKeys: {len(self)} in {self._found()!r}>"
