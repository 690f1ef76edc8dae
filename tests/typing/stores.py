"""That each store is one. Checked by mypy, never run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stable_openai.stores.memory import MemoryStore
    from stable_openai.stores.protocol import Store
    from stable_openai.stores.shared.store import SharedStore


def each(memory: MemoryStore, shared: SharedStore) -> list[Store]:
    return [memory, shared]
