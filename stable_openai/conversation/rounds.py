"""One round: what is sent, and how openai's client is asked. The history changes only when its answer is whole."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stable_openai.errors import ConfigurationError

from .content import images_of, user_msg
from .history import checked

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Iterable, Iterator

    from .content import Image, Message
    from .history import History
    from .replies import Partial

__all__ = ["Round", "messages_of", "note_partial"]


class Round:
    """A question, and what goes with it.

    Attributes:
        messages: The messages that are new.
    """

    def __init__(self, messages: list[Message], sent: list[Message], options: dict[str, Any]) -> None:
        self.messages = messages
        self._sent = sent
        self._options = options

    @classmethod
    def of(cls, history: History, messages: list[Message], options: dict[str, Any]) -> Round:
        """Make a round of new messages.

        Raises:
            ConfigurationError: Tool calls are open, no model is named, or it is larger than what may be sent.
        """
        answered = {message.get("tool_call_id") for message in messages if message["role"] == "tool"}
        missing = [call for call in history.open_tool_calls() if call not in answered]
        if missing:
            raise ConfigurationError(
                "content",
                f"has no result for the tool calls {', '.join(missing)}: give one by tool_msg(id, result), or take "
                "the round back by rollback()",
            )
        if not options.get("model"):
            raise ConfigurationError("model", 'is not set: Chat(model="…"), or request(…, model="…")')
        return cls(messages, history.sending(messages), options)

    def ask(self, client: Any) -> Any:
        """Ask for the whole answer; of an async client, what is to be awaited."""
        if _is_model(self._options.get("response_format")):
            return parse_of(client)(messages=self._sent, **self._options)
        return client.chat.completions.create(messages=self._sent, **self._options)

    def stream(self, client: Any) -> Generator[Any, None, None]:
        """Ask for the answer chunk by chunk; closed, it closes the connection."""
        with client.chat.completions.create(messages=self._sent, stream=True, **self._streamed()) as chunks:
            yield from chunks

    async def astream(self, client: Any) -> AsyncGenerator[Any, None]:
        """The twin of ``stream`` for tasks."""
        async with await client.chat.completions.create(messages=self._sent, stream=True, **self._streamed()) as chunks:
            async for chunk in chunks:
                yield chunk

    def _streamed(self) -> dict[str, Any]:
        options = dict(self._options)
        if _is_model(options.get("response_format")):
            from openai.lib._parsing import type_to_response_format_param

            options["response_format"] = type_to_response_format_param(options["response_format"])
        return options


def messages_of(said: Iterable[Any], images: Iterable[Image]) -> list[Message]:
    """The messages that are said in one round: those with a role as they are, all else as one of the user's.

    Raises:
        ConfigurationError: There is nothing to say, or a part is of no known kind.
    """
    said = list(said)
    messages: list[Message] = []
    while said and isinstance(said[0], Mapping) and "role" in said[0]:
        messages.append(checked(said.pop(0), f"content[{len(messages)}]"))
    images = images_of(images)
    if said or images or not messages:
        messages.append(user_msg(*said, images=images))
    return messages


def _is_model(response_format: object) -> bool:
    """Whether a ``response_format`` is a pydantic model (or a dataclass), which openai makes a schema of."""
    return isinstance(response_format, type)


def parse_of(client: Any) -> Any:
    """Openai's ``parse``: before 1.92, it stood under ``beta``."""
    completions = client.chat.completions
    return completions.parse if hasattr(completions, "parse") else client.beta.chat.completions.parse


@contextlib.contextmanager
def note_partial(partial: Partial) -> Iterator[None]:
    """Give what is raised in the middle of an answer its text so far, as ``partial_text``."""
    try:
        yield
    except Exception as error:
        with contextlib.suppress(Exception):
            error.partial_text = partial.text  # type: ignore[attr-defined]  # any exception may carry more
        raise
