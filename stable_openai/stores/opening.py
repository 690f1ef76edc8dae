"""The stores by their URLs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from stable_openai.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from stable_openai.clock import Clock

    from .memory import MemoryStore
    from .shared.journal import Journal
    from .shared.store import SharedStore

__all__ = ["MEMORY", "AnyStore", "beside", "check_store", "make_journal", "namespace_of", "open_store", "shown"]

AnyStore: TypeAlias = "MemoryStore | SharedStore"
MEMORY: Final = "memory://"
_REDIS: Final = ("redis", "rediss", "valkey", "valkeys")


def check_store(url: object) -> str:
    """Check a store's URL, without touching what it leads to.

    Raises:
        ConfigurationError: It is no URL of a store, or a part of it is wrong.
    """
    if url == MEMORY:
        return MEMORY
    if not isinstance(url, str):
        raise ConfigurationError("store", f"must be a URL such as 'sqlite:///keys.db', not {type(url).__name__}")
    scheme = url.partition("://")[0]
    if scheme == "sqlite":
        from .shared.sqlite.urls import check_sqlite_url

        check_sqlite_url(url)
    elif scheme.partition("+")[0] in _REDIS:
        from .shared.redis.urls import check_redis_url

        check_redis_url(url)
    else:
        raise ConfigurationError(
            "store", "must begin with memory://, sqlite:///, redis://, rediss:// or redis+cluster://"
        )
    return url


def beside(url: str, name: str) -> str:
    """The URL of a pool of its own at the same place: ``name`` is put behind the namespace.

    Args:
        url: A URL that ``check_store`` has passed.
        name: Letters, digits, ``.``, ``_`` and ``-``.
    """
    if url == MEMORY:
        return url
    place, _, query = url.partition("?")
    told = dict(parse_qsl(query, keep_blank_values=True))
    told["namespace"] = f"{told.get('namespace', 'default')}.{name}"
    return f"{place}?{urlencode(told)}"


def open_store(url: str, clock: Clock, options: Any) -> AnyStore:
    """The store at a URL that ``check_store`` has passed.

    Args:
        url: The URL.
        clock: Where time comes from.
        options: The pool's, as ``Options`` has them.

    Raises:
        StoreError: The store refuses, or can't be reached.
    """
    if url == MEMORY:
        from .lanes import Habits
        from .memory import MemoryStore

        return MemoryStore(options.strategy, Habits(clock, options.pace, options.minute))
    from .shared.store import SharedStore

    return SharedStore(
        url,
        strategy=options.strategy,
        pace=options.pace,
        minute=options.minute,
        clock=clock,
        on_error=options.on_store_error,
        timeout=options.store_timeout,
        lease_ttl=options.lease_ttl,
    )


def make_journal(url: str, *, timeout: float, time: Callable[[], float] | None) -> Journal:
    """The journal at a URL that ``check_store`` has passed; not opened yet."""
    if url.startswith("sqlite"):
        from .shared.sqlite.journal import SqliteJournal

        return SqliteJournal(url, timeout=timeout, time=time)
    from .shared.redis.journal import RedisJournal

    return RedisJournal(url, timeout=timeout, time=time)


def namespace_of(url: str) -> str:
    """The namespace that a URL names."""
    return parse_qs(urlsplit(url).query).get("namespace", ["default"])[0]


def shown(url: str) -> str:
    """A store's URL as it may be shown: without a password."""
    if url.partition("://")[0].partition("+")[0] in _REDIS:
        from .shared.redis.urls import shown as shown_redis

        return shown_redis(url)
    return url
