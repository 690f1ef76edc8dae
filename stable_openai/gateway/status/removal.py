"""Taking a key out of the gateway, wherever it runs."""

from __future__ import annotations

import asyncio
import contextlib
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from stable_openai.stores.lanes import Kind, Standing
from stable_openai.stores.protocol import Effect

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stable_openai.keys import Key
    from stable_openai.pool.pool import KeyPool
    from stable_openai.serving import Siblings

__all__ = ["Removal"]

_REMOVED: Final = "key removed"  # what workers tell each other
_WHY: Final = "removed by hand"


class Removal:
    """Removes keys, and knows which ones: by their secrets' hashes, as a name may come back with another secret.

    A key that goes is retired first: where the pool has a shared store, gateways on other machines use it no more
    either, until somebody revives it. The workers of this gateway forget it, those that start later included.

    Args:
        pool: The pool.
        siblings: The other workers, if any.
    """

    def __init__(self, pool: KeyPool, siblings: Siblings | None) -> None:
        self._pool = pool
        self._siblings = siblings
        self._removed: set[str] = set()
        if siblings is not None:
            siblings.hear(_REMOVED, self._heard)

    async def remove(self, name: str) -> None:
        """Remove a key.

        Raises:
            KeyError: There is no such key.
        """
        mark = await asyncio.to_thread(self._remove, name)  # a shared store may let one wait
        self._removed.add(mark)
        if self._siblings is not None:
            self._siblings.tell(_REMOVED, mark)

    def without_removed(self, keys: Iterable[Key]) -> list[Key]:
        """Of keys that are read again, those that were not removed."""
        return [key for key in keys if _mark_of(key) not in self._removed]

    def _remove(self, name: str) -> str:
        mark = next((_mark_of(key) for key in self._pool if self._pool.name_of(key) == name), "")
        self._pool.tell(self._pool.store.rest(name, Effect(Kind.KEY, Standing.RETIRED, None, _WHY)))
        self._pool.remove(name)
        return mark

    def _heard(self, mark: str) -> None:
        self._removed.add(mark)
        asyncio.get_running_loop().run_in_executor(None, self._forget, mark)

    def _forget(self, mark: str) -> None:
        with contextlib.suppress(KeyError):
            for key in self._pool:
                if _mark_of(key) == mark:
                    self._pool.remove(key)


def _mark_of(key: Key) -> str:
    return blake2b(key.secret.encode(), digest_size=16).hexdigest()
