"""``map`` and ``amap``: a function over items of any number, with as many at work as the keys can use."""

from __future__ import annotations

import functools
import inspect
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from stable_openai.clock import SYSTEM_CLOCK
from stable_openai.errors import ConfigurationError, StableError
from stable_openai.pool import manager
from stable_openai.pool.pool import KeyPool

from .job import Job
from .runs import AsyncRun, Run
from .settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable, Iterable

    from typing_extensions import Unpack

    from .options import MapOptions

__all__ = ["amap", "map"]

R = TypeVar("R")


def map(  # noqa: A001  # as the builtin one, with more to it
    fn: Callable[..., R], items: Iterable[Any], **options: Unpack[MapOptions]
) -> Run[R]:
    """Call a function with each item, many at once, and iterate over what it returns.

    For example::

        for answer in stable_openai.map(ask, prompts, checkpoint="answers.jsonl"):
            print(answer)

    Nothing begins before the first value is asked for. The input is read lazily, and never further ahead than
    ``buffer``. An item for which no key is free within the function's own ``max_wait`` has not failed: it is begun
    again when a key is back. Control-C (and ``close()``) stop at once, and what has ended is in the checkpoint.

    Args:
        fn: The function, under ``@stable`` or not; it is called in threads, with one item.
        items: What it is called with: a list, a generator, a file; of any length.
        options: See ``MapOptions``.

    Returns:
        An iterator with ``results()`` (each with its item, its id, its error), ``run()`` (go through all of it) and
        ``report``.

    Raises:
        ConfigurationError: An option is wrong, the checkpoint is another kind of file, or another run is at it; while
            iterating: an item has no id or that of another, or a value can't be kept.
        OSError: The checkpoint can't be written; while iterating: there is no room. What was written is still there.
        NoKeyAvailable: (while iterating) no key will be back within the run's ``max_wait``.
        Exception: (while iterating, with ``errors="raise"``) what the function has raised; the next call goes on.
    """
    if not hasattr(items, "__iter__") and hasattr(items, "__aiter__"):
        raise ConfigurationError("items", "are asynchronous: use amap")
    if inspect.iscoroutinefunction(_underlying(fn)):
        raise ConfigurationError("fn", "is a coroutine function: use amap")
    job = _job(fn, items, options)
    return Run(job, fn, items)


def amap(
    fn: Callable[..., Awaitable[R]], items: Iterable[Any] | AsyncIterable[Any], **options: Unpack[MapOptions]
) -> AsyncRun[R]:
    """The twin of ``map`` for coroutine functions: ``async for answer in stable_openai.amap(ask, prompts): …``.

    ``items`` may be an asynchronous iterable, too. Raises what ``map`` does.
    """
    job = _job(fn, items, options)
    return AsyncRun(job, fn, items)


def _job(fn: Any, items: Any, options: Any) -> Job:
    if not callable(fn):
        raise ConfigurationError("fn", f"must be a function that takes an item, not {type(fn).__name__}")
    if not any(hasattr(items, name) for name in ("__iter__", "__aiter__", "__getitem__")):
        raise ConfigurationError("items", f"can't be iterated: it is of the type {type(items).__name__}")
    if isinstance(items, (str, bytes)):
        raise ConfigurationError(
            "items", "is a single text: give a list of texts, or open(path) for the lines of a file"
        )
    try:
        settings = Settings(**options)
    except TypeError as error:
        raise ConfigurationError("options", str(error).partition(" ")[2]) from None
    settings = replace(settings, pool=_pool_of(fn, settings.pool))
    total = _length_of(items) if settings.total is None else settings.total
    return Job(settings, total, SYSTEM_CLOCK if settings.pool is None else settings.pool.clock)


def _pool_of(fn: Any, given: Any) -> KeyPool | None:
    """Whose keys the function uses, as far as that can be told: the progress and the number of workers go by it."""
    if given is not None:
        if not isinstance(given, KeyPool):
            raise ConfigurationError("pool", f"must be a KeyPool, not {type(given).__name__}")
        return given
    fn = _underlying(fn)
    options = getattr(fn, "_self_options", None)  # of a function under @stable
    if options is None:
        parent = getattr(fn, "_self_parent", None)  # of a method
        options = getattr(parent, "_self_options", None)
    if options is None:
        return None
    pool = options.get("pool")
    if pool is None:
        try:
            return manager.current()
        except StableError:
            return None  # the first call says what is missing
    return pool if isinstance(pool, KeyPool) else None


def _underlying(fn: Any) -> Any:
    while isinstance(fn, functools.partial):
        fn = fn.func
    return fn


def _length_of(items: Any) -> int | None:
    if not hasattr(items, "__len__"):
        return None
    try:
        return len(items)
    except (TypeError, NotImplementedError):  # some have the method, and no length
        return None
