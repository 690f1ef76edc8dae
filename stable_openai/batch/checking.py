"""What is looked for in a body before anything is sent: what the provider would refuse, or could not answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .endpoints import CHAT, COMPLETIONS, MODERATIONS, RESPONSES, is_count, limit_names
from .problems import BadLine, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["check_body"]

_COUNTS: Final = ("n", "best_of")
_NOT_AT_ONCE: Final = ("stream", "background")


def check_body(url: str, body: Mapping[str, Any]) -> None:
    """Check what a body must have, for an address.

    Raises:
        BadLine: It lacks something, or something is wrong in it.
    """
    _check_model(url, body.get("model"))
    for name in _NOT_AT_ONCE:
        if body.get(name):
            raise BadLine(f"body.{name} must not be set: an answer has to be one JSON object")
    for name in (*limit_names(url), *_COUNTS):
        value, least = body.get(name), int(name in _COUNTS)  # old completions may be asked for nothing but an echo
        if not (value is None or is_count(value, least)):
            raise BadLine(f"body.{name} must be a whole number from {least} up, not {shown(value)}")
    if url == CHAT:
        _check_messages(body.get("messages"))
    elif url == RESPONSES:
        _check_response(body)
    else:
        _check_texts("prompt" if url == COMPLETIONS else "input", body)


def _check_model(url: str, model: object) -> None:
    if model is None:
        if url != MODERATIONS:
            raise BadLine("body.model is missing: name one there, or for all by --model")
    elif not isinstance(model, str) or not model:
        raise BadLine(f"body.model must be a model's name, not {shown(model)}")


def _check_messages(messages: object) -> None:
    if messages is None:
        raise BadLine("body.messages is missing")
    if not isinstance(messages, list):
        raise BadLine(f"body.messages must be a list of messages, not {shown(messages)}")
    if not messages:
        raise BadLine("body.messages is empty")
    for index, message in enumerate(messages):
        where = f"body.messages[{index}]"
        if not isinstance(message, dict):
            raise BadLine(f"{where} must be an object, not {shown(message)}")
        role, content = message.get("role"), message.get("content")
        if role is None:
            raise BadLine(f"{where}.role is missing")
        if not isinstance(role, str) or not role:
            raise BadLine(f"{where}.role must be a text, not {shown(role)}")
        if not (content is None or isinstance(content, (str, list))):
            raise BadLine(f"{where}.content must be a text or a list of parts, not {shown(content)}")


def _check_response(body: Mapping[str, Any]) -> None:
    """Its input may be in a prompt that is stored with OpenAI."""
    if body.get("input") is not None or not isinstance(body.get("prompt"), dict):
        _check_texts("input", body)


def _check_texts(name: str, body: Mapping[str, Any]) -> None:
    value = body.get(name)
    if value is None:
        raise BadLine(f"body.{name} is missing")
    if not isinstance(value, (str, list)):
        raise BadLine(f"body.{name} must be a text or a list, not {shown(value)}")
    if not value and name == "input":
        raise BadLine(f"body.{name} is empty")
