"""``ChatMessage``: what is sent to a model in one request, put together message by message."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from stable_openai.conversation.content import assistant_msg, system_msg, tool_msg, user_msg
from stable_openai.conversation.history import checked
from stable_openai.errors import ConfigurationError

from .counting import is_counted, prompt_tokens
from .responses import ChatResponse
from .setup import ChatSetup

if TYPE_CHECKING:
    from typing_extensions import Self

    from stable_openai.conversation.content import Image, Message, Said

__all__ = ["ChatMessage"]


class ChatMessage:
    """One prompt: messages of the system, the user and the model, in order.

    ``push_…`` put one behind the others and return the object, so that they chain. What is put in is copied, and what
    comes out is a copy: a prompt that is being sent does not change any more.

    Args:
        messages: Messages to begin with, such as ``[{"role": "user", "content": "…"}]``.

    Raises:
        ConfigurationError: One is no message.
    """

    __slots__ = ("_messages",)
    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # it changes

    def __init__(self, messages: Iterable[Message] | ChatMessage = ()) -> None:
        self._messages: list[Message] = []
        self.push_msg(messages)

    # -- putting together

    def push_system(self, content: str) -> Self:
        """Tell the model how to behave."""
        return self.push_msg(system_msg(_text("push_system", content)))

    def push_user(self, *said: Said, images: Iterable[Image] = ()) -> Self:
        """Say something: text, images (``bytes`` or a ``Path``) and content parts.

        Args:
            said: What is said, in order.
            images: More images: ``bytes``, a path, or a URL.

        Raises:
            ConfigurationError: There is nothing to say, or a part is of no known kind.
        """
        return self.push_msg(user_msg(*said, images=images))

    def push_assistant(self, content: str | ChatResponse) -> Self:
        """Have the model have said something: a text, or its whole answer with its tool calls."""
        if isinstance(content, ChatResponse):
            return self.push_msg(content.message)
        return self.push_msg(assistant_msg(_text("push_assistant", content)))

    def push_tool(self, tool_call_id: str, content: str) -> Self:
        """Tell what a tool has returned."""
        return self.push_msg(tool_msg(tool_call_id, _text("push_tool", content)))

    def push_msg(self, messages: Message | Iterable[Message] | ChatMessage) -> Self:
        """Put a message, or all of several (a list, another ``ChatMessage``, what ``drain`` returns), at the end.

        Raises:
            ConfigurationError: One is no message; nothing is put in then.
        """
        self._messages += [checked(message, f"messages[{index}]") for index, message in enumerate(_listed(messages))]
        return self

    @classmethod
    def from_list(cls, messages: Iterable[Message]) -> Self:
        """Make one of what ``to_list`` returned, or of messages as openai takes them.

        Raises:
            ConfigurationError: One is no message.
        """
        return cls(messages)

    # -- taking out

    def drain(self) -> list[Message]:
        """All messages, for another one to go on from: ``other.push_msg(msg.drain())``. They stay here as well.

        (The name comes from chatmanager, where it emptied nothing either; ``clear`` does.)
        """
        return self.to_list()

    def to_list(self) -> list[Message]:
        """All messages, as openai takes them: copies that one may change."""
        return copy.deepcopy(self._messages)

    def pop(self, index: int = -1) -> Message:
        """Take out one message, by default the last.

        Raises:
            IndexError: There is no such message.
        """
        return self._messages.pop(index)

    def clear(self) -> list[Message]:
        """Take out all messages."""
        gone, self._messages = self._messages, []
        return gone

    def copy(self) -> Self:
        """Another one with the same messages."""
        return type(self)(self)

    # -- seeing

    def token_usage(self, model: str | None = None) -> int:
        """Tokens that it costs as a prompt, found without network: counted by the extra ``tokens``, else estimated.

        Args:
            model: The model, whose tokenizer counts; None: ``ChatSetup.model``.
        """
        return prompt_tokens(self._messages, model or ChatSetup.model)

    def token_usage_is_exact(self, model: str | None = None) -> bool:
        """Whether ``token_usage`` is what the provider will count: text alone, a GPT-3.5 or GPT-4, the extra installed.

        Args:
            model: The model; None: ``ChatSetup.model``.
        """
        return is_counted(self._messages, model or ChatSetup.model)

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self) -> Iterator[Message]:
        return iter(self.to_list())

    def __getitem__(self, index: int) -> Message:
        return copy.deepcopy(self._messages[index])

    def __eq__(self, other: object) -> bool:
        return self._messages == other._messages if isinstance(other, ChatMessage) else NotImplemented

    def __copy__(self) -> Self:
        return self.copy()

    def __repr__(self) -> str:
        roles = ", ".join(message["role"] for message in self._messages)
        return f"<ChatMessage: {roles or 'empty'}>"


def _listed(messages: Any) -> list[Any]:
    if isinstance(messages, (str, bytes)) or not isinstance(messages, Iterable):
        raise ConfigurationError(
            "message", f'must be {{"role": …, "content": …}} or a list of these, not {type(messages).__name__}'
        )
    return [messages] if isinstance(messages, Mapping) else list(messages)


def _text(method: str, content: object) -> str:
    if not isinstance(content, str):
        raise ConfigurationError("content", f"of {method} must be a text, not {type(content).__name__}")
    return content
