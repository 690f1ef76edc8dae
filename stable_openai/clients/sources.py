"""Where a client's keys come from: what it was given as ``api_key`` and ``pool``."""

from __future__ import annotations

import os
import re
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from stable_openai.errors import ConfigurationError
from stable_openai.failover.patience import Patience
from stable_openai.keys import Key
from stable_openai.masking import Secret, hide
from stable_openai.pool.manager import KeyManager
from stable_openai.pool.pool import KeyPool

if TYPE_CHECKING:
    from collections.abc import Hashable
    from typing import TypeAlias

    Keys: TypeAlias = str | Key | KeyPool | Iterable[str | Key | Mapping[str, Any]]

__all__ = ["Source", "as_pool", "single_pool", "source_of"]

_EMPTY_POOL: Final = Secret("the-pool-has-no-keys-yet")
_PATIENCE: Final = Patience()
_SEVERAL: Final = re.compile(r"OPENAI_API_KEYS(_\d+)?|OPENAI_API_KEY_\d+")
_singles: Final[weakref.WeakValueDictionary[str, KeyPool]] = weakref.WeakValueDictionary()


@dataclass(frozen=True)
class Source:
    """The keys of one client, and how long its requests may look for one. Never changed: copies are made.

    Attributes:
        placeholder: What the client has as its ``api_key``; None: that is the caller's own, and goes unrotated.
        pool: The pool that it was given.
        ambient: Whether it was given nothing, so that the ``KeyManager`` comes first.
        own: Whether the placeholder is the one key of the environment, which serves where there is no ``KeyManager``.
        environment: Whether the environment's keys are the client's.
        patience: ``max_wait`` and ``timeout``, in seconds.
        affinity: What its requests belong to.
    """

    placeholder: str | None = field(default=None, repr=False)
    pool: KeyPool | None = None
    ambient: bool = False
    own: bool = False
    environment: bool = True
    patience: Patience = _PATIENCE
    affinity: Hashable | None = None

    def current_pool(self) -> KeyPool | None:
        """The pool of the requests that are made now."""
        if self.pool is not None:
            return self.pool
        if self.ambient:
            return _process_wide(environment=self.environment)
        return None

    def with_options(self, max_wait: float | None, total_timeout: float | None, affinity: Hashable | None) -> Source:
        """The same source with some of its bounds changed; None leaves one as it is."""
        if max_wait is None and total_timeout is None and affinity is None:
            return self
        old = self.patience
        patience = Patience(
            max_wait=old.max_wait if max_wait is None else max_wait,
            timeout=old.timeout if total_timeout is None else total_timeout,
        )
        return replace(self, patience=patience, affinity=self.affinity if affinity is None else affinity)


def source_of(  # one return for each kind
    api_key: Any, pool: Any, *, has_other_credentials: bool, environment: bool = True
) -> Source:
    """Find where a client's keys come from.

    Args:
        api_key: A secret, keys, a pool, a function that gets one, or None.
        pool: A pool, or keys for one, or None.
        has_other_credentials: Whether the client was given a credential of another kind.
        environment: Whether the keys that the environment holds are the client's: OpenAI's are not for Azure.

    Raises:
        ConfigurationError: The keys are wrong, or the two contradict each other.
    """
    api_key, pool = hide(api_key), hide(pool)
    if pool is not None:
        if api_key is not None:
            raise ConfigurationError("api_key", "is given together with pool: give the keys in one of the two")
        return _of_pool(pool, "pool")
    if isinstance(api_key, str) or (callable(api_key) and not isinstance(api_key, KeyPool)):
        return Source()  # there is nothing to fail over to: all is openai's own
    if api_key is not None:
        return _of_pool(api_key, "api_key")
    if has_other_credentials:
        return Source()
    manager = _process_wide(environment=environment)
    if manager is not None:
        return Source(_first_of(manager), ambient=True, environment=environment)
    return Source(hide(os.environ.get("OPENAI_API_KEY") or None), ambient=True, own=True) if environment else Source()


def _of_pool(given: Any, name: str) -> Source:
    if isinstance(given, KeyPool):
        return Source(_first_of(given), pool=given)
    if not isinstance(given, (str, Key, Iterable)):
        raise ConfigurationError(name, f"must be a key, a list of keys or a KeyPool, not {type(given).__name__}")
    made = KeyPool(given)
    if not len(made):
        raise ConfigurationError(name, "is an empty list: give one key or more")
    return Source(_first_of(made), pool=made)


def _first_of(pool: KeyPool) -> str:
    """What ``client.api_key`` holds: a key that works, for code that reads it."""
    keys = pool.keys
    return keys[0].secret if keys else _EMPTY_POOL


def single_pool(secret: str) -> KeyPool:
    """The pool of one key that all who ask for this key's share, as long as one of them lives."""
    found = _singles.get(secret)
    if found is None:
        # Two threads at once may make two: then each counts for itself what one key may do anyway.
        found = _singles[secret] = KeyPool([Key.as_given(secret)])
    return found


def _process_wide(*, environment: bool = True) -> KeyPool | None:
    """The ``KeyManager`` that runs, or one that the environment has several keys for."""
    manager = KeyManager.instance
    if manager is not None and not manager.closed:
        return manager
    if environment:
        return KeyManager() if _environment_has_several() else None
    return KeyManager() if os.environ.get("STABLE_OPENAI_POOL") else None  # which may hold Azure's keys


def _environment_has_several() -> bool:
    if os.environ.get("STABLE_OPENAI_POOL"):
        return True
    return any(value and _SEVERAL.fullmatch(name) for name, value in os.environ.items())


def as_pool(api_key: Any) -> Any:
    """Keys as the pool of them, so that several clients share it; a pool, None or a function as it is.

    One key makes a pool, too: conversations wait until it may be used again, where openai's client would give up.
    """
    api_key = hide(api_key)
    if isinstance(api_key, str):
        return single_pool(api_key)
    if api_key is None or isinstance(api_key, KeyPool) or callable(api_key):
        return api_key
    return _of_pool(api_key, "api_key").pool
