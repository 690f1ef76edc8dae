"""The status page's options, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stable_openai.errors import ConfigurationError
from stable_openai.pool.options import check_seconds

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["StatusOptions"]


@dataclass(frozen=True)
class StatusOptions:
    """How a status page behaves.

    Args:
        admins: Names of the tokens whose bearers may see the page and use its buttons; None: all of them.
        behind_proxy: Whether a proxy of yours stands in front and sets ``X-Forwarded-Proto``; without it, that header
            is anybody's word and is not believed.
        every: Seconds between two looks at the pool; from 200 keys on, more.
        session: Seconds that a login lasts.
        max_sessions: Logins at once; the oldest gives way.
        max_listeners: Pages at once that are kept up to date; further ones have a link to be loaded again.
        attempts: Wrong tokens a minute from one address; ten times as many from all together.
    """

    admins: Collection[str] | None = None
    behind_proxy: bool = False
    every: float = 2.0
    session: float = 8 * 3_600.0
    max_sessions: int = 256
    max_listeners: int = 64
    attempts: int = 10

    def __post_init__(self) -> None:
        if self.admins is not None:
            if isinstance(self.admins, str):
                raise ConfigurationError("admins", "must be a list of names of tokens")
            object.__setattr__(self, "admins", frozenset(self.admins))
        for name in ("every", "session"):
            if check_seconds(name, getattr(self, name)) == 0:
                raise ConfigurationError(name, "must be a positive number of seconds")
        for name in ("max_sessions", "max_listeners", "attempts"):
            _check_number(name, getattr(self, name))


def _check_number(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(name, f"must be a whole number of at least 1, not {value!r}")
