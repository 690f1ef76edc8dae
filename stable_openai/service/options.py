"""What the person who runs the service decides for all of its sessions."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from stable_openai.errors import ConfigurationError
from stable_openai.serving import check_url, is_url

from .errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SessionOptions"]

_COOLDOWN: Final = "CHATGPT_COOLDOWN"
_OPENAI: Final = "https://api.openai.com/v1"
_ANY: Final = "*"


@dataclass(frozen=True, kw_only=True)
class SessionOptions:
    """Bounds and defaults of sessions.

    Args:
        model: The model of a session that names none.
        base_url: The provider of a session that names none; None: openai's own (or ``OPENAI_BASE_URL``).
        base_urls: The providers that a session with a key of its own may name, beside that of a session that names
            none; ``"*"`` is any. None: none where callers show a token, for then they may be elsewhere, and could have
            this server ask machines that only it can reach; and any where they need not, for then they are here.
        cooldown: Seconds between two consecutive requests to one key, in sessions that bring their own.
        max_sessions: The most sessions at once.
        idle: Seconds without a request after which a session is cleared.
        max_prompt: The most characters of a prompt, and of a system prompt.
        max_messages: The most messages that a session remembers; the oldest go first, the system prompt never.
        max_history_tokens: The most tokens that are sent along, as ``Chat(max_tokens_history=…)`` counts them.
        max_waiting: The most requests that wait for their turn in one session.
        max_wait: The longest that a request waits for a key, in seconds; None: the pool's.
        total_timeout: The longest that a request takes in all, in seconds; None: the pool's.

    Raises:
        ConfigurationError: One is wrong; the message names it.
    """

    model: str = "gpt-4o-mini"
    base_url: str | None = None
    base_urls: tuple[str, ...] | None = None
    cooldown: float = 75.0
    max_sessions: int = 1_000
    idle: float = 3_600.0
    max_prompt: int = 32_768
    max_messages: int = 200
    max_history_tokens: int | None = None
    max_waiting: int = 32
    max_wait: float | None = None
    total_timeout: float | None = None

    def __post_init__(self) -> None:
        if not self.model:
            raise ConfigurationError("model", "must be the name of a model")
        for name in ("max_sessions", "max_prompt", "max_messages", "max_history_tokens", "max_waiting"):
            _check_count(name, getattr(self, name), may_be_none=name == "max_history_tokens")
        for name in ("cooldown", "idle", "max_wait", "total_timeout"):
            _check_seconds(name, getattr(self, name), may_be_none=name in ("max_wait", "total_timeout"))
        for index, url in enumerate(self.base_urls or ()):
            if url != _ANY:
                check_url(url, f"base_urls[{index}]")
        if self.idle == 0:
            raise ConfigurationError("idle", "must be more than 0 seconds, or no session would last")

    def provider_of(self, named: str | None, *, caller: str) -> str | None:
        """The provider of a session, as whoever runs the server has spelled it; None: openai's default.

        Args:
            named: The one that the session names.
            caller: Whose session it is: the name of the token, or empty where nobody has to show one.

        Raises:
            InvalidArgument: The session may not name it.
        """
        if named is None:
            return self.base_url
        allowed = self.base_urls
        if allowed is None:
            allowed = () if caller else (_ANY,)
        for url in (self.base_url or os.environ.get("OPENAI_BASE_URL") or _OPENAI, *allowed):
            if is_url(url) and _parts(url) == _parts(named):
                return url
        if _ANY in allowed:
            return named
        raise InvalidArgument(
            "config.base_url: is not among the providers that this server allows: leave it out, or ask whoever runs it "
            "to allow this one (serve --session-base-url)"
        )

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **options: Any) -> SessionOptions:
        """Options, of which ``cooldown`` is that of ``CHATGPT_COOLDOWN`` where it is not given.

        Raises:
            ConfigurationError: The variable holds no number of seconds, or an option is wrong.
        """
        text = (os.environ if environ is None else environ).get(_COOLDOWN, "").strip()
        if options.get("cooldown") is None:
            options.pop("cooldown", None)
            if text:
                options["cooldown"] = _seconds_of(text)
        return cls(**options)


def _parts(url: str) -> tuple[object, ...]:
    """What makes a URL the same as another one that is spelled otherwise."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, port, parts.path.rstrip("/"), parts.query, parts.fragment


def _seconds_of(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise ConfigurationError(_COOLDOWN, f"must be a number of seconds from 0 up, not {text!r:.80}")
    return seconds


def _check_count(name: str, value: Any, *, may_be_none: bool) -> None:
    if value is None and may_be_none:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(name, f"must be a whole number from 1 up, not {value!r}")


def _check_seconds(name: str, value: Any, *, may_be_none: bool) -> None:
    if value is None and may_be_none:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise ConfigurationError(name, f"must be a number of seconds from 0 up, not {value!r}")
