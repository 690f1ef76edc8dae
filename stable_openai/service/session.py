"""One session: a conversation, whose it is, and the line of those who want to say something in it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from stable_openai.conversation.chat import Chat
from stable_openai.conversation.content import system_msg
from stable_openai.keys import Key
from stable_openai.pool.pool import KeyPool

from .errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .config import SessionConfig
    from .options import SessionOptions

__all__ = ["Session", "SessionView", "chat_of", "keys_of", "try_again"]

_OUT: Final = frozenset({"parked", "barred", "retired"})


@dataclass
class Session:
    """A conversation with a caller.

    Attributes:
        id: What the caller names it by. Whoever knows it can use it, so no log holds it whole.
        caller: The name of the token that it was made with; empty where the server wants none.
        config: What it was made of.
        keys: Its keys.
        chat: The conversation; None where it was kept without its key, and has to be given that again.
        messages: What was said, as long as there is no ``chat``.
        created: When it was made, in seconds since 1970.
        used: When it was last in use, in seconds of the clock that never goes back.
        waiting: Requests that run, or wait for their turn.
        ended: Whether it was deleted.
    """

    id: str
    caller: str
    config: SessionConfig
    keys: KeyPool | None
    chat: Chat | None
    messages: Sequence[Mapping[str, Any]]
    created: float
    used: float
    waiting: int = 0
    ended: bool = False

    def __post_init__(self) -> None:
        self.turn = asyncio.Lock()  # fair: first come, first served

    @property
    def is_plain(self) -> bool:
        """Whether it is over the server's default pool, and nothing else was asked for."""
        return self.config.pool == "" and not self.config.kept().keys() - {"pool"}

    def said(self) -> list[dict[str, Any]]:
        """What was said, oldest first."""
        return [dict(message) for message in self.messages] if self.chat is None else self.chat.fetch_messages()


@dataclass(frozen=True)
class SessionView:
    """What one sees of a session: no key.

    Attributes:
        needs_key: Whether it was kept without its key, and has to be given that again.
        created_at: In seconds since 1970, as are the other two.
        used_at: When it was last in use.
        expires_at: When it is cleared, if nothing is said until then.
    """

    session_id: str
    model: str
    pool: str | None
    needs_key: bool
    created_at: float
    used_at: float
    expires_at: float
    messages: list[dict[str, Any]]


def keys_of(config: SessionConfig, pools: Mapping[str, KeyPool]) -> KeyPool:
    """The keys of a session: the server's pool that it names, or a pool of its own key.

    Sessions that bring the same key share no pool: what one provider says of it is nothing to another's session.

    Raises:
        InvalidArgument: There is no such pool.
    """
    if config.api_key is not None:
        return KeyPool([Key(config.api_key)])
    pool = pools.get(config.pool or "default")
    if pool is None and not config.pool and len(pools) == 1:
        pool = next(iter(pools.values()))
    if pool is None:
        raise InvalidArgument(f"config.pool: this server has no {'such' if config.pool else 'default'} pool")
    return pool


def try_again(keys: KeyPool) -> None:
    """Forget that a caller's own key was refused: whoever asks again may have paid, or mended something.

    Cooldowns that the provider has named stay.
    """
    if any(lane.standing in _OUT for status in keys.status() for lane in status.lanes):
        keys.revive()


def chat_of(
    config: SessionConfig,
    options: SessionOptions,
    keys: KeyPool,
    messages: Sequence[Mapping[str, Any]] | None = None,
    *,
    caller: str,
) -> Chat:
    """Make the conversation of a session.

    Args:
        config: What the session is made of.
        options: The server's bounds and defaults.
        keys: Its keys.
        messages: What was said before; None: it is new.
        caller: Whose session it is.

    Raises:
        InvalidArgument: The provider that it names is not allowed here.
        ConfigurationError: What was said before is no conversation.
    """
    told: dict[str, Any] = {
        "base_url": options.provider_of(config.base_url, caller=caller),
        "max_wait": options.max_wait,
        "total_timeout": options.total_timeout,
    }
    chat = Chat(
        keys,
        model=config.model or options.model,
        msg_max_count=options.max_messages,
        max_tokens_history=options.max_history_tokens,
        **{name: value for name, value in told.items() if value is not None},
    )
    if messages is not None:
        chat.add_dialogs(*[dict(message) for message in messages])
    elif config.system_prompt is not None:
        chat.add_dialogs(system_msg(config.system_prompt))
    return chat
