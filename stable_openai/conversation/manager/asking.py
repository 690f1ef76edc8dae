"""Asking a model for one answer, under a key of the pool."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from stable_openai.conversation.clients import ChatClients
from stable_openai.errors import ConfigurationError
from stable_openai.masking import Secret, mask

from .responses import ChatResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stable_openai.pool.pool import KeyPool

    from .messages import ChatMessage
    from .setup import ChatSetup

__all__ = ["Asker"]

_BEARER: Final = "Bearer "


class Asker:
    """What one ``send`` asks with: its client and its options stay as they were when it began. Safe in threads.

    Args:
        pool: Where keys come from.
        setup: The settings.
        options: What ``chat.completions.create`` takes, for this ``send``.

    Raises:
        ConfigurationError: There is no such parameter.
    """

    def __init__(self, pool: KeyPool, setup: ChatSetup, options: Mapping[str, Any]) -> None:
        self._pool = pool
        self._options = _with_schema(setup.request_options(options))
        self._client = ChatClients(pool, setup.client_options(), None).sync

    def ask(self, message: ChatMessage) -> ChatResponse:
        """Get the answer to a prompt.

        Raises:
            ConfigurationError: The prompt is empty.
            Exception: The provider's, or ``NoKeyAvailable``, as the client raises it.
        """
        if not len(message):
            raise ConfigurationError("message", "is empty: push_user(…) something before it is sent")
        began = time.monotonic()
        # The raw response knows the request that it answers, and with it the key.
        raw = self._client.chat.completions.with_raw_response.create(messages=message.to_list(), **self._options)  # type: ignore[arg-type]  # what it takes is checked by the provider
        answer = raw.parse()
        latency_s = time.monotonic() - began
        secret = Secret(raw.http_request.headers.get("Authorization", "").removeprefix(_BEARER))
        return ChatResponse(answer, self._name_of(secret), mask(secret), latency_s)

    def _name_of(self, secret: str) -> str:
        try:
            return self._pool.name_of(secret)
        except KeyError:  # it has left the pool meanwhile
            return mask(secret)


def _with_schema(options: dict[str, Any]) -> dict[str, Any]:
    """The options with a pydantic model as ``response_format`` made the schema that it stands for."""
    if isinstance(options.get("response_format"), type):
        from openai.lib._parsing import type_to_response_format_param

        options["response_format"] = type_to_response_format_param(options["response_format"])
    return options
