"""A session as text: JSON, Markdown, or JSONL in OpenAI's format for fine-tuning."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from stable_openai.conversation.archive import json_text
from stable_openai.conversation.chat import shown
from stable_openai.errors import ConfigurationError

from .messages import ChatMessage
from .responses import ChatResponse

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from .sessions import Pair

__all__ = ["Processor", "export", "format_of"]

Processor: TypeAlias = Callable[[ChatMessage, ChatResponse], Any]

logger: Final = logging.getLogger("stable_openai")
_SUFFIXES: Final = {".jsonl": "jsonl", ".md": "markdown", ".markdown": "markdown"}
_WHOLE: Final = frozenset({"stop", "tool_calls", "function_call"})


def format_of(given: str | None, path: str | os.PathLike[str] | None) -> str:
    """The format that is asked for, or that a file's name tells.

    Raises:
        ConfigurationError: There is no such format.
    """
    if given is None:
        return "json" if path is None else _SUFFIXES.get(Path(path).suffix.lower(), "json")
    if given not in _FORMATS:
        raise ConfigurationError("format", f"must be one of {', '.join(_FORMATS)}, not {given!r}")
    return given


def export(name: str, pairs: Sequence[Pair], form: str, processor: Processor | None, *, ascii_only: bool) -> str:
    """Write pairs as text.

    Args:
        name: The session's name.
        pairs: Its pairs.
        form: ``"json"``, ``"jsonl"`` or ``"markdown"``.
        processor: What makes an entry of a pair; None: as the format has it.
        ascii_only: Whether JSON escapes what is no ASCII, so that it can be written in any encoding.

    Raises:
        ConfigurationError: The processor can't be called, or has returned what the format can't hold.
    """
    if not (processor is None or _is_callable(processor)):
        raise ConfigurationError("processor", "must be callable with a ChatMessage and a ChatResponse")
    return _FORMATS[form](name, pairs, processor, ascii_only)


def _is_callable(processor: object) -> bool:
    return callable(processor)


def _json(_name: str, pairs: Sequence[Pair], processor: Processor | None, ascii_only: bool) -> str:  # noqa: FBT001  # one of _FORMATS
    return _dumped([(processor or _entry)(*pair) for pair in pairs], ascii_only=ascii_only, indent=4)


def _jsonl(name: str, pairs: Sequence[Pair], processor: Processor | None, ascii_only: bool) -> str:  # noqa: FBT001
    if processor is None:
        whole = [pair for pair in pairs if pair[1].finish_reason in _WHOLE and "refusal" not in pair[1].message]
        if len(whole) < len(pairs):
            logger.info("session %s: %d answers that are not whole are left out", name, len(pairs) - len(whole))
        pairs = whole
    return "".join(_dumped((processor or _example)(*pair), ascii_only=ascii_only) + "\n" for pair in pairs)


def _markdown(name: str, pairs: Sequence[Pair], processor: Processor | None, _ascii_only: bool) -> str:  # noqa: FBT001
    parts = [(processor or _section)(*pair) for pair in pairs]
    for index, part in enumerate(parts):
        if not isinstance(part, str):
            raise ConfigurationError(
                "processor", f"must return text for Markdown; of pair {index} it returned {type(part).__name__}"
            )
    numbered = [f"## {number}\n\n{part.strip()}\n" for number, part in enumerate(parts, 1)]
    return "\n".join([f"# {name}\n", *numbered])


_FORMATS: Final = {"json": _json, "jsonl": _jsonl, "markdown": _markdown}


def _entry(message: ChatMessage, response: ChatResponse) -> dict[str, Any]:
    """All that is known of a pair."""
    return {
        "messages": message.to_list(),
        "response": response.response.model_dump(mode="json", exclude_none=True),
        "key_name": response.key_name,
        "latency_s": round(response.latency_s, 3),
    }


def _example(message: ChatMessage, response: ChatResponse) -> dict[str, Any]:
    """An example of OpenAI's fine-tuning guide: the conversation, with the answer at its end."""
    return {"messages": [*message.to_list(), response.message]}


def _section(message: ChatMessage, response: ChatResponse) -> str:
    said = [f"**{each['role']}**\n\n{shown(each)}" for each in message]
    about = f"{response.model}, {response.finish_reason}, {response.token_usage()} tokens"
    return "\n\n".join([*said, f"**assistant** ({about})\n\n{shown(response.message)}"])


def _dumped(entry: object, *, ascii_only: bool, indent: int | None = None) -> str:
    try:
        return json.dumps(entry, indent=indent) if ascii_only else json_text(entry, indent=indent)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError("processor", f"must return what JSON can hold: {error}") from None
