"""``ChatResponse``: what a model has answered, and what is known of how it came."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from stable_openai.conversation.replies import reply_of
from stable_openai.errors import ConfigurationError

if TYPE_CHECKING:
    from openai.types import CompletionUsage
    from openai.types.chat import ChatCompletion
    from openai.types.chat.chat_completion import Choice

    from stable_openai.conversation.content import Message

__all__ = ["ChatResponse"]

_KINDS = ("total_tokens", "prompt_tokens", "completion_tokens")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ChatResponse:
    """An answer. It pickles, and holds no secret.

    Attributes:
        response: openai's whole answer.
        key_name: The name of the key that was answered.
        masked_key: That key's secret as it may be shown, such as ``sk-…abcd``.
        latency_s: Seconds from ``send``'s turn for this message to its answer, waits for a key and retries included.
    """

    response: ChatCompletion
    key_name: str = ""
    masked_key: str = ""
    latency_s: float = 0.0
    _message: Message = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_message", reply_of(self.response).message)  # which raises where nothing was said

    def get_msg(self, choice: int = 0) -> str:
        """The text of the answer; an empty one where the model only calls tools.

        Args:
            choice: Which of several (``n=…``), from 0.

        Raises:
            IndexError: There is no such choice.
        """
        message = self.get_choice(choice).message
        return message.content or message.refusal or ""

    def get_choice(self, choice: int = 0) -> Choice:
        """One of the answers, as openai has it.

        Raises:
            IndexError: There is no such choice.
        """
        if not 0 <= choice < self.choice_num():
            raise IndexError(f"there is no choice {choice}: there are {self.choice_num()}, from 0")
        return self.response.choices[choice]

    def choice_num(self) -> int:
        """How many answers there are: 1, unless ``n`` asked for more."""
        return len(self.response.choices)

    def token_usage(self, kind: Literal["total_tokens", "prompt_tokens", "completion_tokens"] = "total_tokens") -> int:
        """Tokens as the provider has counted them; 0 where it does not tell.

        Raises:
            ConfigurationError: There is no such kind.
        """
        if kind not in _KINDS:
            raise ConfigurationError("kind", f"must be one of {', '.join(_KINDS)}, not {kind!r}")
        return getattr(self.usage, kind, None) or 0

    @property
    def message(self) -> Message:
        """The answer as a message, its tool calls included: ``msg.push_msg(response.message)`` goes on from there."""
        return copy.deepcopy(self._message)

    @property
    def tool_calls(self) -> list[dict[str, Any]]:
        """The tools that the model wants called; answer each with ``msg.push_tool(id, result)``."""
        return list(self.message.get("tool_calls") or ())

    @property
    def usage(self) -> CompletionUsage | None:
        """The tokens that the provider has counted."""
        return self.response.usage

    @property
    def model(self) -> str:
        """The model that answered, by the name that the provider gives it."""
        return self.response.model

    @property
    def finish_reason(self) -> str:
        """Why the answer ended: ``"stop"``, ``"length"``, ``"tool_calls"``, ``"content_filter"``."""
        return self.response.choices[0].finish_reason

    @property
    def id(self) -> str:
        """The provider's id of the answer."""
        return self.response.id

    @property
    def created(self) -> int:
        """When the answer was made: seconds since 1970."""
        return self.response.created

    def __str__(self) -> str:
        return self.get_msg()

    def __repr__(self) -> str:
        by = f" by {self.key_name}" if self.key_name else ""
        return f"<ChatResponse of {self.model}{by}: {self.finish_reason}, {self.token_usage()} tokens>"
