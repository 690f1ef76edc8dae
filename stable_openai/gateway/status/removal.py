"""Taking a key out of the gateway, wherever it runs."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from stable_openai.stores.lanes import Kind, Standing
from stable_openai.stores.protocol import Effect

if TYPE_CHECKING:
    from stable_openai.pool.pool import KeyPool
    from stable_openai.serving import Siblings

__all__ = ["Removal"]

_REMOVED: Final = "key removed"  # what workers tell each other
_WHY: Final = "removed by hand"


class Removal:
    """Removes keys.

    A key that goes is retired first: where the pool has a shared store, gateways on other machines use it no more
    either, until somebody revives it. The workers of this gateway forget it, those that start later included.

    Args:
        pool: The pool.
        siblings: The other workers, if any.
    """

    def __init__(self, pool: KeyPool, siblings: Siblings | None) -> None:
        self._pool = pool
        self._siblings = siblings
        if siblings is not None:
            siblings.hear(_REMOVED, self._heard)

    def remove(self, name: str) -> None:
        """Remove a key; to be called in a thread, as a shared store may let one wait.

        Raises:
            KeyError: There is no such key.
        """
        self._pool.name_of(name)
        self._pool.tell(self._pool.store.rest(name, Effect(Kind.KEY, Standing.RETIRED, None, _WHY)))
        self._pool.remove(name)

    def tell(self, name: str) -> None:
        """Tell the other workers, in the loop."""
        if self._siblings is not None:
            self._siblings.tell(_REMOVED, name)

    def _heard(self, name: str) -> None:
        asyncio.get_running_loop().run_in_executor(None, self._forget, name)  # a shared store may let one wait

    def _forget(self, name: str) -> None:
        with contextlib.suppress(KeyError):
            self._pool.remove(name)
