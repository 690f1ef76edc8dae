"""What a transport was told: the pool, the bounds, and which addresses are the provider's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, TypedDict, TypeVar
from urllib.parse import urlsplit

from stable_openai.errors import ConfigurationError
from stable_openai.exchange import Exchange
from stable_openai.failover.patience import Patience
from stable_openai.pool.manager import current
from stable_openai.pool.needs import tokens_needed
from stable_openai.pool.pool import KeyPool

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from tenacity import RetryCallState

    from .aims import OwnAim

__all__ = ["BOUNDS", "Bounds", "Terms", "WholeExchange", "origin_of"]

E = TypeVar("E", bound="WholeExchange")
_CREDENTIALS: Final = ("Authorization", "api-key")  # Azure's is the second
_BLANKS: Final = 64  # characters in which a body of JSON begins
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class Bounds(TypedDict, total=False):
    """The bounds of one request, by name; see ``Patience`` for all but the last.

    Attributes:
        max_wait: The longest that it waits for keys, in seconds; default: the pool's.
        timeout: The longest that it goes on in all, in seconds; an attempt that runs is not interrupted.
        stop: tenacity's object that says when to give up.
        wait: tenacity's object for the back-off from the provider's own trouble.
        affinity: What the requests belong to, such as a conversation: they stay on one key while that is healthy.
    """

    max_wait: float | None
    timeout: float | None
    stop: Callable[[RetryCallState], bool] | None
    wait: Callable[[RetryCallState], float] | None
    affinity: Hashable | None


BOUNDS: Final = (*(field.name for field in fields(Patience)), "affinity")


class WholeExchange(Exchange):
    """An exchange with nobody above it who tries again."""

    __slots__ = ()

    @property
    def reads_ahead(self) -> bool:
        """Always: even one key alone is asked again, after a rest, where a stream has failed before its content."""
        return True


@dataclass(frozen=True)
class Terms:
    """The terms under which requests are sent. Never changed.

    Attributes:
        pool: Where keys come from; None: the process-wide pool.
        base_url: The part of an address that stands for the provider; None: any address is the provider's.
        patience: The bounds.
        affinity: What the requests belong to.
    """

    pool: KeyPool | None
    base_url: str | None
    patience: Patience
    affinity: Hashable | None

    @classmethod
    def of(cls, pool: Any, base_url: Any, bounds: Mapping[str, Any]) -> Terms:
        """Check what a transport is given.

        Raises:
            ConfigurationError: An option is unknown or wrong; the message names it.
        """
        if pool is not None and not isinstance(pool, KeyPool):
            raise ConfigurationError("pool", f"must be a KeyPool, not {type(pool).__name__}")
        if base_url is not None and (not isinstance(base_url, str) or urlsplit(base_url).scheme not in _DEFAULT_PORTS):
            raise ConfigurationError("base_url", "must be an address such as https://api.openai.com/v1")
        for name in bounds:
            if name not in BOUNDS:
                raise ConfigurationError(name, f"is unknown; known are base_url, {', '.join(BOUNDS)}")
        patience = Patience(**{name: bound for name, bound in bounds.items() if name != "affinity"})
        return cls(pool, base_url, patience, bounds.get("affinity"))

    @property
    def whence(self) -> str:
        """Where keys come from, for a ``repr``."""
        return "the KeyManager" if self.pool is None else repr(self.pool)

    def begin(
        self,
        url: str,
        headers: Mapping[str, Any],
        body: object,
        aims: type[OwnAim],
        kind: type[E],
    ) -> E | None:
        """Begin an exchange for a request.

        Args:
            url: Its address.
            headers: Its headers; a credential in them is the caller's own, and wins.
            body: Its body where that is at hand, or anything else.
            aims: What knows the requests of this library.
            kind: The class of the exchange.

        Returns:
            The exchange; None where the request is none of the pool's, and goes out as it is.
        """
        aim = aims(self.base_url)
        if not aim.covers(url) or any(name in headers for name in _CREDENTIALS):
            return None
        pool = current() if self.pool is None else self.pool
        asked = _fields_of(body)
        named = asked.get("model")
        model = named if isinstance(named, str) else None
        return kind(
            pool,
            aim,
            model=model,
            tokens=tokens_needed(asked, model, url) if pool.counts_tokens else 0,
            patience=self.patience,
            affinity=self.affinity,
        )


def _fields_of(body: object) -> Mapping[str, Any]:
    """What a body of JSON holds."""
    if not isinstance(body, (bytes, str)) or body[:_BLANKS].lstrip()[:1] not in (b"{", "{"):
        return {}
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return {}  # the provider will say so
    return parsed if isinstance(parsed, Mapping) else {}


def origin_of(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port of an address: what a credential must not leave (RFC 9110, 15.4)."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme)
