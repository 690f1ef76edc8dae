"""``Chat``: a conversation with a model over a pool of keys."""

from __future__ import annotations

import contextlib
import functools
import uuid
from typing import TYPE_CHECKING, Any

from stable_openai.errors import ConfigurationError
from stable_openai.pool.needs import message_tokens

from .archive import read, write
from .clients import ChatClients, split_options, split_request_options
from .history import History
from .replies import Partial, Reply, reply_of
from .rounds import Round, messages_of, note_partial
from .turns import Held, Turns

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncGenerator, Generator, Iterable, Mapping

    from openai.types import ImagesResponse

    from .content import Image, Message, Said

__all__ = ["Chat"]


class Chat:
    """A conversation with a model: it remembers what was said, and goes on with the next key where one fails.

    A request that fails, is cancelled or is not read to its end leaves the history as it was. Threads and tasks that
    share a conversation take turns, in the order in which they came.

    Args:
        api_key: One key, a list of keys, a ``KeyPool``, or None for the process-wide ``KeyManager``.
        MsgMaxCount: The most messages to remember; the oldest are removed first, pinned and system messages never.
        msg_max_count: The same, by another name.
        max_tokens_history: The most tokens to send along, counted for the model by the extra ``tokens``, or estimated.
        model: The model.
        options: Everything that ``openai.OpenAI`` and ``chat.completions.create`` take, as defaults for each request.

    Raises:
        ConfigurationError: An option is wrong or unknown.
    """

    def __init__(
        self,
        api_key: Any = None,
        *,
        model: str | None = None,
        MsgMaxCount: int | None = None,  # noqa: N803  # as the seeds have it
        msg_max_count: int | None = None,
        max_tokens_history: int | None = None,
        **options: Any,
    ) -> None:
        if MsgMaxCount is not None and msg_max_count not in (None, MsgMaxCount):
            raise ConfigurationError("msg_max_count", "contradicts MsgMaxCount: they are two names of one option")
        self._client_options, self._options = split_options(options)
        if model is not None:
            self._options["model"] = model
        self._affinity = uuid.uuid4()
        self._history = History(
            MsgMaxCount if msg_max_count is None else msg_max_count,
            max_tokens_history,
            functools.partial(message_tokens, model=model),
        )
        self._turns = Turns()
        self._clients = ChatClients(api_key, self._client_options, self._affinity)

    # -- talking

    def request(self, *said: Said | Message, images: Iterable[Image] = (), **options: Any) -> Reply:
        """Say something, and wait for the answer.

        Args:
            said: Text, images (``bytes`` or a ``Path``), content parts; or messages with a ``role``, such as
                ``tool_msg(id, result)``.
            images: More images: ``bytes``, a path, or a URL.
            options: What ``chat.completions.create`` and ``openai.OpenAI`` take, for this request.

        Returns:
            The answer's text: a ``str``, with the rest in its attributes.

        Raises:
            ConfigurationError: There is nothing to say, or an option is unknown.
            RuntimeError: A stream of this conversation is still running in this thread.
            openai.OpenAIError: The provider's last error, where no key could do better; or that no key was to be had.
            ValueError: The provider has answered without an answer.
        """
        messages, client, options = self._checked(said, images, options)
        with self._turns.turn():
            turn = self._round(messages, options)
            reply = reply_of(turn.ask(self._clients.sync_with(client)))
            self._history.add([*turn.messages, reply.message])
            return reply

    def stream_request(
        self, *said: Said | Message, images: Iterable[Image] = (), **options: Any
    ) -> Generator[str, None, None]:
        """Say something, and get the answer piece by piece. Takes what ``request`` takes.

        What is raised in the middle of an answer has what came of it as its ``partial_text``: the provider's error, or
        ``ConnectionError`` where it broke off.
        """
        return self._stream(*self._checked(said, images, options))

    def _stream(
        self, messages: list[Message], client: dict[str, Any], options: dict[str, Any]
    ) -> Generator[str, None, None]:
        with self._turns.turn():
            turn = self._round(messages, options)
            partial = Partial()
            with note_partial(partial), contextlib.closing(turn.stream(self._clients.sync_with(client))) as chunks:
                for chunk in chunks:
                    piece = partial.add(chunk)
                    if piece:
                        yield piece
                partial.check()
            self._history.add([*turn.messages, partial.reply().message])

    async def async_request(self, *said: Said | Message, images: Iterable[Image] = (), **options: Any) -> Reply:
        """The twin of ``request`` for tasks."""
        messages, client, options = self._checked(said, images, options)
        async with self._turns.aturn():
            turn = self._round(messages, options)
            reply = reply_of(await turn.ask(self._clients.async_with(client)))
            self._history.add([*turn.messages, reply.message])
            return reply

    def async_stream_request(
        self, *said: Said | Message, images: Iterable[Image] = (), **options: Any
    ) -> AsyncGenerator[str, None]:
        """The twin of ``stream_request`` for tasks."""
        held = Held()
        return held.by(self._astream(held, *self._checked(said, images, options)))

    async def _astream(
        self, held: Held, messages: list[Message], client: dict[str, Any], options: dict[str, Any]
    ) -> AsyncGenerator[str, None]:
        async with self._turns.aturn(held):
            turn = self._round(messages, options)
            partial = Partial()
            with note_partial(partial):
                async with contextlib.aclosing(turn.astream(self._clients.async_with(client))) as chunks:
                    async for chunk in chunks:
                        piece = partial.add(chunk)
                        if piece:
                            yield piece
                    partial.check()
            self._history.add([*turn.messages, partial.reply().message])

    def _checked(
        self, said: tuple[Any, ...], images: Iterable[Image], options: dict[str, Any]
    ) -> tuple[list[Message], dict[str, Any], dict[str, Any]]:
        """What is said, as messages, the client's options and the request's own.

        What is wrong with them shows at once, and not at the first piece.
        """
        return messages_of(said, images), *split_request_options(options)

    def _round(self, messages: list[Message], options: dict[str, Any]) -> Round:
        return Round.of(self._history, messages, {**self._options, **options})

    # -- images

    def dalle(self, prompt: str, **options: Any) -> ImagesResponse:
        """Have images made: takes what ``images.generate`` takes. It is no part of the conversation."""
        made: ImagesResponse = self._clients.sync.images.generate(prompt=prompt, **options)
        return made

    async def async_dalle(self, prompt: str, **options: Any) -> ImagesResponse:
        """The twin of ``dalle`` for tasks."""
        made: ImagesResponse = await self._clients.asynchronous.images.generate(prompt=prompt, **options)
        return made

    # -- the history

    def fetch_messages(self) -> list[Message]:
        """What was said, oldest first: copies that one may change."""
        return self._history.messages()

    def add_dialogs(self, *dialogs: Message) -> None:
        """Put messages behind what was said: ``add_dialogs(user_msg("…"), assistant_msg("…"))``.

        Raises:
            ConfigurationError: One is no message; nothing is added then.
        """
        with self._turns.turn():
            self._history.add(dialogs)

    def rollback(self, n: int = 1) -> list[Message]:
        """Take back the last rounds, print the round that is the last now, and return what was taken back.

        Raises:
            ValueError: ``n`` is no positive number.
        """
        with self._turns.turn():
            gone = self._history.take_back(n)
            last = self._history.last_round()
        if last:
            print(" ".join(f"[{message['role']}]:{shown(message)}" for message in last))  # noqa: T201  # as the seed has it
        return gone

    def pin_messages(self, *places: int) -> None:
        """Keep messages from being trimmed. Indexes are Python's: 0 is the first message, -1 the last.

        Raises:
            IndexError: There is no such message; nothing is pinned then.
        """
        with self._turns.turn():
            self._history.pin(places, pinned=True)

    def unpin_messages(self, *places: int) -> None:
        """Let messages be trimmed again.

        Raises:
            IndexError: There is no such message; nothing is changed then.
        """
        with self._turns.turn():
            self._history.pin(places, pinned=False)

    def clear(self) -> list[Message]:
        """Forget all that was said, and return it."""
        with self._turns.turn():
            return self._history.clear()

    def dump(self, path: str | os.PathLike[str]) -> None:
        """Write the conversation to a file, as UTF-8 JSON. It is written beside and renamed: whole, or not at all.

        Raises:
            OSError: The file can't be written.
        """
        with self._turns.turn():
            messages, pinned = self._history.messages(), self._history.pinned()
        write(path, messages, pinned)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Take the conversation of a file in the place of what was said.

        Raises:
            ConfigurationError: The file holds no conversation; what was said stays.
            OSError: It can't be read.
        """
        messages, pinned = read(path)
        with self._turns.turn():
            self._history.replace(messages, pinned)

    forge = add_dialogs
    pin = pin_messages
    unpin = unpin_messages

    # -- keys

    def reset_api_key(self, api_key: Any) -> None:
        """Go on with another key, list of keys or pool; what was said stays."""
        options = {name: value for name, value in self._client_options.items() if name != "pool"}
        self._clients = ChatClients(api_key, options, self._affinity)

    def __len__(self) -> int:
        return len(self._history)

    def __repr__(self) -> str:
        return f"<Chat with {self._options.get('model', 'no model')}, {len(self._history)} messages>"


def shown(message: Message) -> str:
    """A message's text; of parts that are no text, what they are."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if content is None:
        return ", ".join(f"{_called(call)}(…)" for call in message.get("tool_calls") or ())
    return " ".join(str(part["text"]) if "text" in part else f"({part.get('type')})" for part in content)


def _called(call: Mapping[str, Any]) -> str:
    """The name of the tool that is called: a function's, or that of a custom tool."""
    told = call.get("function") or call.get("custom") or {}
    return str(told.get("name", call.get("type")))
