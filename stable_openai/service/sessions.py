"""The sessions of a server: one set, however many ways lead to it."""

from __future__ import annotations

import contextlib
import logging
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from stable_openai.clock import SYSTEM_CLOCK
from stable_openai.errors import ConfigurationError
from stable_openai.pool.pool import KeyPool

from .config import SessionConfig, read_config
from .cooldowns import Cooldowns
from .errors import CooldownException, InvalidArgument, SessionNotFound, TooManySessions
from .failures import failure_of
from .options import SessionOptions
from .registry import Registry, shown
from .session import Session, SessionView, chat_of, keys_of, try_again
from .texts import check_prompt, check_text, clean

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
    from types import TracebackType

    from stable_openai.clock import Clock
    from stable_openai.conversation.chat import Chat
    from stable_openai.conversation.replies import Reply

    from .kept import KeptSession

__all__ = ["NewSession", "Sessions"]

_logger: Final = logging.getLogger("stable_openai.service")


class NewSession(NamedTuple):
    """A session that was made, and the answer to its first prompt; empty where there was none."""

    session_id: str
    initial_response: str


class Sessions:
    """Chat sessions, each with its own key or over one of the server's pools. Enter it with ``async with``.

    All of its methods belong to the event loop in which it was entered. A caller sees its own sessions alone; callers
    are the names of tokens, and all the same where a server wants none.

    Args:
        options: Bounds and defaults.
        pools: The server's keys, which a session may name: one pool, or several by name. Theirs to close who made them.
        kept: The file in which sessions outlive a restart; None: they don't.
        clock: Where time comes from; for tests.

    Raises:
        ConfigurationError: The file is not ours, or in use by another server.
    """

    def __init__(
        self,
        options: SessionOptions | None = None,
        *,
        pools: KeyPool | Mapping[str, KeyPool] | None = None,
        kept: str | os.PathLike[str] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.options = SessionOptions() if options is None else options
        self._pools: Mapping[str, KeyPool] = {"default": pools} if isinstance(pools, KeyPool) else dict(pools or {})
        self._clock = clock
        self._cooldowns = Cooldowns(self.options.cooldown, clock)
        self._registry = Registry(self.options, clock, kept)
        self._making = 0

    async def __aenter__(self) -> Sessions:
        import stable_openai.clients.openai_clients  # noqa: F401  # half a second, for which no request is to wait

        self._registry.open(self._restored)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._registry.close()

    # -- what callers do

    async def new(self, config: str | Mapping[str, Any], initial_prompt: str = "", caller: str = "") -> NewSession:
        """Make a session, and say something in it where there is an ``initial_prompt``.

        The first prompt neither waits for a cooldown nor begins one. Where it fails, there is no session.

        Args:
            config: JSON text or an object: see ``stable_openai.service.config``.
            initial_prompt: What is said first.
            caller: Who asks.

        Raises:
            InvalidArgument: The config or the prompt is wrong.
            TooManySessions: There are as many as the server takes.
            ChatGPTError: The provider failed.
        """
        told = read_config(config, max_prompt=self.options.max_prompt)
        check_text(initial_prompt, "initial_prompt", self.options.max_prompt)
        if told.session_id is not None:
            return await self._resume(told, initial_prompt, caller)
        return await self._make(told, initial_prompt, caller)

    async def ask(self, session_id: str, prompt: str, caller: str = "") -> Reply:
        """Say something, and wait for the answer.

        Raises:
            InvalidArgument: The id or the prompt is missing, or the prompt too long.
            SessionNotFound: There is no such session.
            CooldownException: The key had a request too short a while ago.
            ChatGPTError: The provider failed; the history is as it was.
        """
        session = self._checked(session_id, prompt, caller)
        async with self._turn(session) as chat:
            return await chat.async_request(prompt)

    async def stream(self, session_id: str, prompt: str, caller: str = "") -> AsyncGenerator[str, None]:
        """Say something, and get the answer piece by piece; raises what ``ask`` raises. Close it if you leave early."""
        session = self._checked(session_id, prompt, caller)
        async with self._turn(session) as chat, contextlib.aclosing(chat.async_stream_request(prompt)) as pieces:
            async for piece in pieces:
                yield piece

    def delete(self, session_id: str, caller: str = "") -> None:
        """End a session. A request that runs in it gets its answer; those that wait are told that it is gone.

        Raises:
            InvalidArgument: The id is missing.
            SessionNotFound: There is no such session.
        """
        self._registry.end(self._registry.find(session_id, caller, may_lack_key=True), "deleted")

    def look(self, session_id: str, caller: str = "") -> SessionView:
        """Look at a session.

        Raises:
            InvalidArgument: The id is missing.
            SessionNotFound: There is no such session.
        """
        session = self._registry.find(session_id, caller, may_lack_key=True)
        idle = self._clock.monotonic() - session.used
        return SessionView(
            session_id=session.id,
            model=session.config.model or self.options.model,
            pool=session.config.pool,
            needs_key=session.chat is None,
            created_at=session.created,
            used_at=self._clock.time() - idle,
            expires_at=self._clock.time() - idle + self.options.idle,
            messages=session.said(),
        )

    async def renew(self, config: str | Mapping[str, Any], caller: str = "") -> None:
        """Make a session that is the caller's own on ``/ask``, in the place of the one before.

        ``version`` may be missing from its config: ``/renew`` never asked for it.

        Raises:
            InvalidArgument: The config is wrong.
            TooManySessions: There are as many as the server takes.
        """
        told = read_config(config, max_prompt=self.options.max_prompt, needs_version=False)
        if told.session_id is not None:
            raise InvalidArgument("config.session_id: /renew makes a new session")
        await self._renew(told, caller)

    async def ask_own(self, prompt: str, caller: str = "") -> Reply:
        """Say something in the session of ``renew``; without one, a server with a default pool makes one over that.

        Raises:
            ServiceError: As ``ask`` has it.
        """
        check_prompt(prompt, self.options.max_prompt)
        self._registry.clear()
        if not self._registry.has_had_own(caller) and self._pools:
            await self._renew(SessionConfig(pool=""), caller)
        own = self._registry.own_of(caller)
        if own is None or own.chat is None:
            raise SessionNotFound("there is no session: POST /renew makes one")
        return await self.ask(own.id, prompt, caller)

    def __len__(self) -> int:
        return len(self._registry)

    # -- making

    async def _make(self, config: SessionConfig, initial_prompt: str, caller: str, in_place_of: int = 0) -> NewSession:
        self._registry.clear()
        if len(self._registry) + self._making - in_place_of >= self.options.max_sessions:
            raise TooManySessions(self.options.max_sessions)
        keys = keys_of(config, self._pools)
        chat = chat_of(config, self.options, keys, caller=caller)
        self._making += 1
        try:
            response = await _first(chat, config, initial_prompt)
        finally:
            self._making -= 1
        session = Session(
            str(uuid.uuid4()), caller, config, keys, chat, (), self._clock.time(), self._clock.monotonic()
        )
        self._registry.add(session)
        return NewSession(session.id, response)

    async def _renew(self, config: SessionConfig, caller: str) -> None:
        before = self._registry.own_of(caller)
        made = await self._make(config, "", caller, in_place_of=0 if before is None else 1)
        self._registry.set_own(self._registry.find(made.session_id, caller))
        if before is not None and not before.ended:
            self._registry.end(before, "renewed")

    async def _resume(self, config: SessionConfig, initial_prompt: str, caller: str) -> NewSession:
        """Give a session that was kept without its key a key again."""
        session = self._registry.find(config.session_id or "", caller, may_lack_key=True)
        if session.config.pool is not None:
            raise InvalidArgument("config.session_id: names a session over the server's pool, which needs no key")
        renewed = replace(session.config, api_key=config.api_key)
        keys = keys_of(renewed, self._pools)
        chat = chat_of(renewed, self.options, keys, session.said(), caller=caller)
        response = await _first(chat, renewed, initial_prompt)
        session.config, session.keys, session.chat, session.messages = renewed, keys, chat, ()
        self._registry.touch(session)
        self._registry.keep(session)
        return NewSession(session.id, response)

    def _restored(self, row: KeptSession, used: float) -> Session | None:
        """A session that was kept; None where it can't be used, such as when its pool is not there."""
        config = SessionConfig.of_kept(row.config)
        if config.pool is None:
            return Session(row.id, row.caller, config, None, None, row.messages, row.created, used)
        try:
            keys = keys_of(config, self._pools)
            chat = chat_of(config, self.options, keys, row.messages, caller=row.caller)
        except (InvalidArgument, ConfigurationError) as error:
            _logger.warning("session %s can't be used now: %s", shown(row.id), error)
            return None
        return Session(row.id, row.caller, config, keys, chat, (), row.created, used)

    # -- saying something

    def _checked(self, session_id: str, prompt: str, caller: str) -> Session:
        if not session_id:
            raise InvalidArgument("session_id is required")
        check_prompt(prompt, self.options.max_prompt)
        return self._registry.find(session_id, caller)

    @contextlib.asynccontextmanager
    async def _turn(self, session: Session) -> AsyncIterator[Chat]:
        """Have the turn in a session. What was said is kept if all goes well."""
        key = session.config.api_key
        if session.waiting >= self.options.max_waiting:
            raise CooldownException(f"{session.waiting} requests wait for this session already", retry_after=1.0)
        if key is not None:
            self._cooldowns.check(key)
        session.waiting += 1
        try:
            async with session.turn:
                if session.ended or session.chat is None or session.keys is None:
                    raise SessionNotFound(f"Session {session.id} not found")
                if key is not None:
                    self._cooldowns.start(key)
                    try_again(session.keys)
                with _explained(session.config):
                    yield session.chat
                self._registry.keep(session)
        finally:
            session.waiting -= 1
            self._registry.touch(session)


async def _first(chat: Chat, config: SessionConfig, initial_prompt: str) -> str:
    """The answer to the first prompt; empty where there is none."""
    if not initial_prompt:
        return ""
    with _explained(config):
        return clean(await chat.async_request(initial_prompt))


@contextlib.contextmanager
def _explained(config: SessionConfig) -> Iterator[None]:
    """Make what the provider raises into what callers are told."""
    try:
        yield
    except ConfigurationError as error:  # the round is larger than what may be sent
        raise InvalidArgument(f"prompt: {error.problem}") from None
    except Exception as error:  # noqa: BLE001  # whatever comes of asking a provider
        told = failure_of(error, config.api_key)
        # The provider's own words are for whoever brought the key.
        _logger.info("the provider failed: %s", told if config.api_key is None else type(error).__qualname__)
        raise told from None
