"""The process-wide pool."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from stable_openai.errors import ConfigurationError
from stable_openai.key_sources import path_from_env, settings_from_env, store_from_env
from stable_openai.masking import hide

from .options import check_in_file
from .pool import KeyPool

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stable_openai.keys import Key

__all__ = ["KeyManager", "current"]


_making: threading.RLock


class _OnePerProcess(type):
    """Calling the class makes its one instance, or gets it back and adds the keys that are new."""

    def __call__(cls, keys: Any = None, **options: Any) -> KeyManager:
        keys = hide(keys)  # a traceback shows locals
        with _making:
            manager = KeyManager.instance
            if manager is None or manager.closed:
                told = store_from_env()
                if keys is None:
                    keys, told = _told_by_environment(options)
                made: KeyManager = super().__call__(keys, **{**told, **options})
                KeyManager.instance = made
                return made
            differing = manager.options.contradictions(options)
            if differing:
                raise ConfigurationError(
                    differing[0],
                    "differs from that of the KeyManager which runs already; change it there, "
                    "make a KeyPool of your own, or call KeyManager.reset() first",
                )
            if keys is not None:
                manager.merge(keys)
            return manager


class KeyManager(KeyPool, metaclass=_OnePerProcess):
    """The process-wide pool: ``KeyManager(keys, **options)`` makes it, ``KeyManager()`` gets it back.

    ``KeyManager(keys)`` a second time adds the keys that are new and keeps the counts of those it has; options that
    contradict the running ones raise. A process that never made one gets it from the environment: of the file that
    ``STABLE_OPENAI_POOL`` names, else of ``OPENAI_API_KEYS``, ``OPENAI_API_KEY_1…``, ``OPENAI_API_KEY``. Where neither
    the code nor the file says a store, it is that of ``STABLE_OPENAI_STORE``. So the workers of a crawl need no code of
    their own to share one pool. Takes what ``KeyPool`` takes.

    Raises:
        ConfigurationError: A key or an option is wrong, contradicts the running ones, or there is no key anywhere.
    """

    instance: KeyManager | None = None

    if TYPE_CHECKING:

        def __init__(
            self, keys: str | Key | Iterable[str | Key | Mapping[str, Any]] | None = None, **options: Any
        ) -> None: ...

    @classmethod
    def reset(cls) -> None:
        """Forget the process-wide pool, so that the next call makes a new one; for tests."""
        with _making:
            manager, KeyManager.instance = KeyManager.instance, None
        if manager is not None:
            manager.close()


def _renew_lock() -> None:
    """Take a fresh lock, at first and in a process that was forked while another thread was making the pool."""
    global _making  # noqa: PLW0603  # one lock a process
    _making = threading.RLock()


_renew_lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def current() -> KeyManager:
    """The process-wide pool, made from the environment where nobody has made it yet."""
    manager = KeyManager.instance
    return KeyManager() if manager is None else manager


def _told_by_environment(winning: Mapping[str, Any]) -> tuple[list[Key], dict[str, Any]]:
    keys, options = settings_from_env()
    path = path_from_env()
    if path is not None:
        check_in_file(path, {name: value for name, value in options.items() if name not in winning})
    if not keys:
        raise ConfigurationError(
            "keys",
            "there are none: call KeyManager(['sk-…', 'sk-…']) once, or set STABLE_OPENAI_POOL (the path of a file of "
            "keys), OPENAI_API_KEYS (a list, separated by commas), OPENAI_API_KEY_1 and so on, or OPENAI_API_KEY",
        )
    return keys, options
