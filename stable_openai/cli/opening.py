"""The pool of a command: of the file that it names, else of the kept keys, else of the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stable_openai.errors import ConfigurationError
from stable_openai.stores.opening import MEMORY

if TYPE_CHECKING:
    from pathlib import Path

    from stable_openai.keys import Key
    from stable_openai.pool.pool import KeyPool

__all__ = ["NoKeys", "keys_for_looking", "open_pool", "store_for_looking"]


class NoKeys(ConfigurationError):
    """There is no key anywhere."""


def open_pool(file: Path | None, **options: Any) -> tuple[KeyPool, str]:
    """Make the pool, and say in a few words where its keys come from.

    Args:
        file: What ``--pool`` names.
        options: Options of the pool that win over the file's.

    Raises:
        NoKeys: There is no key anywhere.
        ConfigurationError: Something is wrong with a key, or with the file.
        OSError: The file can't be read.
    """
    from stable_openai.pool.pool import KeyPool

    keys, told, whence = _told(file)
    if file is not None:
        pool = KeyPool.from_file(file, **{"store": told.get("store", MEMORY), **options})
        if not keys:
            raise ConfigurationError(file.name, 'holds no key: write [[keys]] and secret = "…" for each')
        return pool, whence
    if keys:
        return KeyPool(keys, **{**told, **options}), whence
    raise NoKeys(
        "keys",
        "there are none: run 'stable-openai add_apikey', set OPENAI_API_KEYS or OPENAI_API_KEY, or name a file of keys "
        "with --pool",
    )


def store_for_looking(file: Path | None) -> str:
    """The store of a pool: that of its file, else the environment's, else memory.

    Raises:
        ConfigurationError: Something in the file is wrong.
        OSError: The file can't be read.
    """
    store: str = _told(file)[1].get("store", MEMORY)
    return store


def keys_for_looking(file: Path | None) -> list[Key]:
    """The keys that are known here; none is as well, to look at a store that others use.

    Raises:
        ConfigurationError: A key, or something in the file, is wrong.
        OSError: The file can't be read.
    """
    return _told(file)[0]


def _told(file: Path | None) -> tuple[list[Key], dict[str, Any], str]:
    """Keys, options, and in a few words where they come from."""
    from stable_openai.key_sources import settings_from_env, settings_from_file, store_from_env

    from .keys import stored

    if file is not None:
        keys, options = settings_from_file(file)
        return keys, {**store_from_env(), **options}, f"from the file {file}"
    kept = stored.stored()
    if kept:
        return [each.key for each in kept], {**store_from_env(), **stored.options()}, "kept by add_apikey"
    keys, options = settings_from_env()
    return keys, options, "from the environment"
