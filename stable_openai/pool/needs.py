"""What a call will need, in tokens, before it is sent: its prompt and its answers together.

How providers reckon, to keep their limits of tokens by the minute: OpenAI's guide to rate limits takes the larger of
``max_tokens`` and of what the request's characters come to; Azure's guide to quotas, and OpenAI's cookbook
(``api_request_parallel_processor.py``), add the prompt to ``max_tokens`` for each answer. The sum is never less than
the larger one, so it is reserved; the answer's ``usage`` corrects it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from .tokens import text_tokens, tokens_together

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ANSWER", "message_tokens", "tokens_needed"]

ANSWER: Final = 256  # what an answer is taken to need where the call does not limit it
_PER_MESSAGE: Final = 4  # role and separators, as OpenAI's cookbook counts chat messages
_PER_IMAGE: Final = 765  # OpenAI's vision guide: 85, and 170 for each of the 4 tiles of 512 pixels of a large image
_TEXTS: Final = ("messages", "prompt", "input", "text", "question", "instructions")
_SCHEMAS: Final = ("tools", "functions", "response_format")  # what a model is given to read besides
_SAID: Final = ("content", "arguments", "output", "summary")  # of a message, or of an item of the Responses API
_CALLS: Final = ("tool_calls", "function_call")
_ANSWER_LIMITS: Final = ("max_completion_tokens", "max_output_tokens", "max_tokens")
_ANSWERS: Final = ("n", "best_of")
_ANSWERLESS: Final = ("/embeddings", "/moderations")
_HEAD: Final = 100  # characters in which a data URL says what it is


def tokens_needed(arguments: Mapping[str, Any], model: str | None = None, url: str = "") -> int:
    """Tokens that a call with these arguments will need: those of what is said, counted, and the most of its answers.

    Args:
        arguments: The call's arguments by name, such as ``messages``, ``prompt``, ``input``, ``tools``, ``max_tokens``
            and ``n``; those that are unknown count nothing.
        model: The model, whose tokenizer counts.
        url: The address or its path, where it is known: embeddings have no answer.
    """
    prompt = _Prompt()
    for name in _TEXTS:
        prompt.add(arguments.get(name))
    for name in _SCHEMAS:
        prompt.add_json(arguments.get(name))
    answers = 0 if _is_answerless(arguments, model, url) else _answer_tokens(arguments)
    return prompt.tokens + tokens_together(prompt.texts, model) + answers


def message_tokens(message: Mapping[str, Any], model: str | None = None) -> int:
    """Tokens of a message: its texts, its tool calls, and what roles and separators take."""
    prompt = _Prompt()
    prompt.add_message(message)
    return prompt.tokens + sum(text_tokens(text, model) for text in prompt.texts)


class _Prompt:
    """What is said, taken apart.

    Attributes:
        texts: What is to be counted.
        tokens: Those of anything else.
    """

    __slots__ = ("texts", "tokens")

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.tokens = 0

    def add(self, value: object) -> None:
        """Add a text, messages, items, or what is tokens already; anything else counts nothing."""
        if isinstance(value, str):
            self._add_text(value)
        elif isinstance(value, Mapping):
            if "content" in value:
                self.add_message(value)
            else:
                self.add_json(value)
        elif _are_ids(value):
            self.tokens += len(value)  # type: ignore[arg-type]  # a list, then
        elif isinstance(value, (list, tuple)):
            for item in value:
                self._add_item(item)

    def _add_item(self, item: object) -> None:
        if isinstance(item, str):
            self._add_text(item)
        elif _are_ids(item):
            self.tokens += len(item)  # type: ignore[arg-type]  # a list, then
        elif not isinstance(item, (list, tuple)):
            self.add_message(item)

    def add_message(self, message: object) -> None:
        """Add a message or an item, as a mapping or as openai's own object."""
        self.tokens += _PER_MESSAGE
        for name in _SAID:
            said = _field(message, name)
            for part in [said] if isinstance(said, str) else said if isinstance(said, (list, tuple)) else ():
                self._add_part(part)
        for name in _CALLS:
            self.add_json(_field(message, name))

    def _add_part(self, part: object) -> None:
        text = part if isinstance(part, str) else _field(part, "text")
        if text is None:
            text = _field(part, "refusal")
        if isinstance(text, str):
            self._add_text(text)
        else:
            self.tokens += _PER_IMAGE

    def _add_text(self, text: str) -> None:
        if text.startswith("data:") and ";base64," in text[:_HEAD]:  # RFC 2397: no text to the model
            self.tokens += _PER_IMAGE
        else:
            self.texts.append(text)

    def add_json(self, value: object) -> None:
        """Add what a model is given as JSON, more or less: a mapping or a list."""
        if value and isinstance(value, (Mapping, list, tuple)):
            try:
                self.texts.append(json.dumps(value, ensure_ascii=False, default=_fields_of))
            except (TypeError, ValueError, RecursionError):
                return  # it is none, and the provider will say so


def _field(holder: object, name: str) -> Any:
    return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)


def _fields_of(thing: object) -> object:
    """The fields of one of openai's objects; of another one there is nothing to count."""
    if isinstance(thing, Mapping):
        return dict(thing)
    return vars(thing) if hasattr(type(thing), "model_dump") and hasattr(thing, "__dict__") else None


def _are_ids(value: object) -> bool:
    """Whether these are the numbers of tokens, which count themselves."""
    return isinstance(value, (list, tuple)) and bool(value) and type(value[0]) is int


def _is_answerless(arguments: Mapping[str, Any], model: str | None, url: str) -> bool:
    """Whether a call has no answer: embeddings, by the address, the model's name or the shape of their input."""
    if url.partition("?")[0].rstrip("/").endswith(_ANSWERLESS) or "embed" in (model or ""):
        return True
    given = arguments.get("input")
    listed = isinstance(given, (list, tuple)) and bool(given) and isinstance(given[0], (str, int, list))
    return listed and not any(arguments.get(name) for name in ("messages", "prompt", *_ANSWER_LIMITS))


def _answer_tokens(arguments: Mapping[str, Any]) -> int:
    limit = next(_counts(arguments, _ANSWER_LIMITS), ANSWER)
    prompts = arguments.get("prompt")  # of several, each has its answers
    number = len(prompts) if isinstance(prompts, (list, tuple)) and not _are_ids(prompts) else 1
    return limit * max(_counts(arguments, _ANSWERS), default=1) * max(number, 1)


def _counts(arguments: Mapping[str, Any], names: Iterable[str]) -> Any:
    """Those of these arguments that are numbers from 1 up."""
    return (arguments[name] for name in names if type(arguments.get(name)) is int and arguments[name] > 0)
