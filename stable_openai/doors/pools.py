"""What goes along in place of the pool that a function was decorated with: never a secret, only where to find it.

The process-wide pool is that of the worker's own process. A pool that was made of a file or of the environment is
opened again from there, once per process and not before a call needs it: a worker that can't find it says so in the
call, where the caller hears of it. A pool of secrets that stood in the code can't be found again.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

from stable_openai.errors import ConfigurationError
from stable_openai.pool.manager import KeyManager
from stable_openai.pool.pool import KeyPool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["PoolReference", "made_late", "travelling"]

_MEND: Final = (
    "a pool can't be pickled: it holds secrets and running counts. Leave the option pool out, so that each process "
    "takes its own KeyManager (from STABLE_OPENAI_POOL, OPENAI_API_KEYS and so on); or make the pool by "
    "KeyPool.from_file or KeyPool.from_env, which the other process can do, too; or put the function into a module "
    "that it can import"
)
_opened: Final[dict[str, KeyPool]] = {}
_opening: threading.Lock


class PoolReference(NamedTuple):
    """Where a pool comes from.

    Attributes:
        maker: ``"from_file"`` or ``"from_env"``.
        places: The path, or the names of the variables.
        options: The pool's options that the code has given.
    """

    maker: str
    places: tuple[str, ...]
    options: dict[str, Any]

    def open(self) -> KeyPool:
        """The pool of this process that comes from there.

        Raises:
            ConfigurationError: There is nothing to be found here.
        """
        place = repr(self)
        with _opening:
            pool = _opened.get(place)
            if pool is None:
                pool = _opened[place] = self._open()
        return pool

    def _open(self) -> KeyPool:
        try:
            pool: KeyPool = getattr(KeyPool, self.maker)(*self.places, **self.options)
        except OSError as error:
            raise ConfigurationError(
                "pool",
                f"the function was pickled with that of the file {self.places[0]}, which this process can't read "
                f"({error.strerror}): put it there with mode 0600; or leave the option pool out, and set "
                "STABLE_OPENAI_POOL in each process",
            ) from None
        return pool


def travelling(options: Mapping[str, Any]) -> dict[str, Any]:
    """A function's options as they are pickled.

    Raises:
        TypeError: The pool is one that another process could not find.
    """
    pool = options.get("pool")
    rest = {name: value for name, value in options.items() if name != "pool"}
    if pool is None or isinstance(pool, KeyManager):
        return rest
    return {**rest, "pool": pool if isinstance(pool, PoolReference) else _reference_to(pool)}


def _reference_to(pool: KeyPool) -> PoolReference:
    source = getattr(pool, "source", None)
    if source is None:
        raise TypeError(_MEND)
    maker, places, options = source
    if urlsplit(str(options.get("store", ""))).password:
        raise TypeError(
            "a pool whose store was given with a password can't be pickled: name the store in the file of keys, or in "
            "STABLE_OPENAI_STORE"
        )
    if maker == "from_file":
        places = tuple(str(Path(place).absolute()) for place in places)
    return PoolReference(maker, tuple(places), dict(options))


def made_late(make: Callable[[dict[str, Any]], Callable[..., Any]], options: dict[str, Any]) -> Callable[..., Any]:
    """A wrapper that is made when it is first called, and so opens its pool then.

    Args:
        make: Makes the wrapper by its options.
        options: They hold a ``PoolReference``.
    """
    made: list[Callable[..., Any]] = []
    reference: PoolReference = options["pool"]

    def wrapper(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not made:
            made.append(make({**options, "pool": reference.open()}))
        return made[0](wrapped, instance, args, kwargs)

    return wrapper


def _renew_lock() -> None:
    """Take a fresh lock, at first and in a forked process, where a thread that is not there may hold it."""
    global _opening  # noqa: PLW0603  # one lock a process
    _opening = threading.Lock()


_renew_lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
