"""Connections after a fork: a child neither uses nor closes those of its parent."""

from __future__ import annotations

import os
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


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count)
