"""The gateway's options, checked."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Final
from urllib.parse import urlsplit

from stable_openai.errors import ConfigurationError
from stable_openai.pool.options import check_seconds
from stable_openai.serving import Tokens

__all__ = ["GatewayOptions"]

MEGABYTE: Final = 1 << 20


@dataclass(frozen=True)
class GatewayOptions:
    """How a gateway behaves.

    Args:
        base_url: The provider's; keys with one of their own go there. What follows ``/v1`` is put behind it.
        tokens: Those whose bearers may come in; none: anybody on this machine.
        token_store: Where the limits of tokens are counted, as ``KeyPool`` takes a store: workers are to share one.
        max_wait: The longest that a request waits for keys, in seconds; None: the pool's.
        timeout: The longest that a request goes on until its answer begins, in seconds; None: the pool's.
        connect_timeout: Seconds that a connection to the provider may take.
        idle_timeout: Seconds that the provider may be silent, before an answer or within one.
        body_timeout: Seconds that a client may take to send a request's body.
        max_body: Bytes that a request's body may have; it is kept until the answer begins, to be sent again.
        max_held: Bytes of bodies kept at once, of all requests together.
        max_requests: Requests at once, those included that wait.
        look_ahead: Seconds that a stream is held back until its first content, while it may still be had from another
            key; 0: not at all.
    """

    base_url: str = "https://api.openai.com/v1"
    tokens: Tokens = field(default_factory=Tokens)
    token_store: str = "memory://"  # noqa: S105  # no secret but a place
    max_wait: float | None = None
    timeout: float | None = None
    connect_timeout: float = 10.0
    idle_timeout: float = 600.0
    body_timeout: float = 120.0
    max_body: int = 64 * MEGABYTE
    max_held: int = 512 * MEGABYTE
    max_requests: int = 8_192
    look_ahead: float = 2.0

    def __post_init__(self) -> None:
        parts = urlsplit(str(self.base_url))
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query:
            raise ConfigurationError("base_url", "must be an address such as https://api.openai.com/v1")
        for name in ("connect_timeout", "idle_timeout", "body_timeout"):
            if check_seconds(name, getattr(self, name)) == 0:
                raise ConfigurationError(name, "must be a positive number of seconds")
        check_seconds("look_ahead", self.look_ahead)
        for name in ("max_wait", "timeout"):
            if getattr(self, name) is not None:
                check_seconds(name, getattr(self, name))
        for name in ("max_body", "max_held", "max_requests"):
            _check_number(name, getattr(self, name))

    def __repr__(self) -> str:
        shown = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "token_store"}
        return f"GatewayOptions({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


def _check_number(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(name, f"must be a whole number of at least 1, not {value!r}")
