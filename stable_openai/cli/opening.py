"""The pool of a command: of the file that it names, else of the kept keys, else of the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stable_openai.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from stable_openai.pool.pool import KeyPool

__all__ = ["open_pool"]


def open_pool(file: Path | None, **options: Any) -> tuple[KeyPool, str]:
    """Make the pool, and say in a few words where its keys come from.

    Args:
        file: What ``--pool`` names.
        options: Options of the pool that win over the file's.

    Raises:
        ConfigurationError: There is no key anywhere, or something is wrong with one, or with the file.
        OSError: The file can't be read.
    """
    from stable_openai.key_sources import keys_from_env
    from stable_openai.pool.pool import KeyPool

    from .keys import stored

    if file is not None:
        pool = KeyPool.from_file(file, **options)
        if not len(pool):
            raise ConfigurationError(file.name, 'holds no key: write [[keys]] and secret = "…" for each')
        return pool, f"from the file {file}"
    kept = stored.stored()
    if kept:
        return KeyPool([each.key for each in kept], **{**stored.options(), **options}), "kept by add_apikey"
    keys = keys_from_env()
    if keys:
        return KeyPool(keys, **options), "from the environment"
    raise ConfigurationError(
        "keys",
        "there are none: run 'stable-openai add_apikey', set OPENAI_API_KEYS or OPENAI_API_KEY, or name a file of keys "
        "with --pool",
    )
