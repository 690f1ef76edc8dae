"""Connections after a fork: a child neither uses nor closes those of its parent."""

from __future__ import annotations

import functools
import os
import sys
import threading
from typing import Any, Final

__all__ = ["renew_connections", "seen"]

_OPENAI_MADE: Final = frozenset({"SyncHttpxClientWrapper", "AsyncHttpxClientWrapper"})
_inherited: Final[list[Any]] = []  # kept, for what is collected is closed
_forks = 0


def seen() -> int:
    """How often this process, and those that it comes from, were forked."""
    return _forks


def renew_connections(client: Any, known: int) -> int:
    """Give a client of openai's a fresh HTTP client in a forked child; one that its user gave it is left to him.

    Args:
        client: A client of openai's.
        known: What ``seen`` said when it got its HTTP client.

    Returns:
        What ``seen`` says now.
    """
    if known != _forks:
        old = client._client  # noqa: SLF001  # openai has no other way to it
        if type(old).__name__ in _OPENAI_MADE:
            _inherited.append(old)
            made = type(old)(base_url=old.base_url, timeout=old.timeout)
            made.event_hooks = old.event_hooks  # openai's Azure clients have one
            client._client = made  # noqa: SLF001
    return _forks


def _count() -> None:
    global _forks  # noqa: PLW0603  # one count a process
    _forks += 1


def _renew_locks() -> None:
    """Free the resources of openai's clients, in a child of a thread that was about to use one.

    Before Python 3.12, ``functools.cached_property`` has a lock for all instances (bpo-43468); ``client.chat`` is one.
    """
    for name, module in tuple(sys.modules.items()):
        if name == "openai._client" or name.startswith("openai.resources."):
            for kind in tuple(vars(module).values()):
                for found in tuple(vars(kind).values()) if isinstance(kind, type) else ():
                    if isinstance(found, functools.cached_property) and hasattr(found, "lock"):
                        found.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count)
    if sys.version_info < (3, 12):
        os.register_at_fork(after_in_child=_renew_locks)
