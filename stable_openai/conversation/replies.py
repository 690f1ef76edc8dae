"""What a model has answered: a text, with everything else that came with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .content import Message

__all__ = ["Partial", "Reply", "reply_of"]


class Reply(str):
    """The text of an answer, a ``str`` like any other; what else came with it is in the attributes.

    Attributes:
        response: openai's whole answer (``ChatCompletion``); None for a stream.
        message: The message as it stands in the history.
        tool_calls: The tools that the model wants called, as mappings; answer each with ``tool_msg(id, result)``.
        parsed: What a ``response_format`` of pydantic made of it, or None.
    """

    __slots__ = ("message", "parsed", "response")

    response: Any
    message: Message
    parsed: Any

    def __new__(cls, message: Message, response: Any = None, parsed: Any = None) -> Reply:
        made = super().__new__(cls, _text_of(message.get("content")) or message.get("refusal") or "")
        made.message, made.response, made.parsed = message, response, parsed
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return Reply, (self.message, self.response, self.parsed)

    @property
    def tool_calls(self) -> list[dict[str, Any]]:
        """The tools that the model wants called."""
        return list(self.message.get("tool_calls") or ())


def _text_of(content: Any) -> str:
    if not isinstance(content, list):
        return str(content or "")
    return "".join(str(part["text"]) for part in content if "text" in part)  # some providers send parts


def reply_of(response: Any) -> Reply:
    """Read openai's answer.

    Raises:
        ValueError: It has no choice, so that nothing was said.
    """
    choices = getattr(response, "choices", None)
    answer = choices[0].message if choices else None
    if answer is None:
        raise ValueError("the answer has no choices: nothing was said")
    message: Message = {"role": "assistant", "content": answer.content}
    for name in ("refusal", "function_call"):
        value = getattr(answer, name, None)
        if value:
            message[name] = _plain(value)
    if getattr(answer, "audio", None):
        message["audio"] = {"id": _plain(answer.audio)["id"]}  # all that the API takes back
    if getattr(answer, "tool_calls", None):
        message["tool_calls"] = [_call(call) for call in answer.tool_calls]
    elif message["content"] is None and len(message) == len(("role", "content")):
        message["content"] = ""
    return Reply(message, response, getattr(answer, "parsed", None))


def _plain(value: Any) -> Any:
    return value.model_dump(exclude_none=True) if hasattr(value, "model_dump") else value


def _call(call: Any) -> dict[str, Any]:
    plain: dict[str, Any] = _plain(call)
    function = plain.get("function")
    if isinstance(function, dict):
        function.pop("parsed_arguments", None)  # what openai's parser adds is not taken back by the API
    return plain


class Partial:
    """An answer that is still coming, put together of its pieces."""

    def __init__(self) -> None:
        self.text = ""
        self._refusal = ""
        self._calls: dict[int, dict[str, Any]] = {}
        self._function: dict[str, str] | None = None
        self.finished = False

    def add(self, chunk: Any) -> str:
        """Take one chunk; returns the text that is new."""
        for choice in getattr(chunk, "choices", None) or ():
            if choice.index:
                continue  # the first choice is the conversation's
            if choice.finish_reason:
                self.finished = True
            delta = choice.delta
            if delta is None:
                continue
            for call in getattr(delta, "tool_calls", None) or ():
                self._add_call(call)
            function = getattr(delta, "function_call", None)
            if function is not None:  # how tools were called at first
                self._function = self._function or {"name": "", "arguments": ""}
                _append(self._function, function)
            self._refusal += getattr(delta, "refusal", None) or ""
            piece = delta.content or ""
            self.text += piece
            return str(piece)
        return ""

    def _add_call(self, piece: Any) -> None:
        call = self._calls.setdefault(
            piece.index, {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
        )
        call["id"] = piece.id or call["id"]
        call.update(getattr(piece, "model_extra", None) or {})  # some providers want their own fields back
        if piece.function is not None:
            _append(call["function"], piece.function)

    def check(self) -> None:
        """The stream has come to its end: so must the answer have.

        Raises:
            ConnectionError: It broke off in the middle, without a reason to finish.
        """
        if not self.finished:
            raise ConnectionError("the stream broke off before the answer was finished")

    def reply(self) -> Reply:
        """The whole answer."""
        message: Message = {"role": "assistant", "content": self.text}
        if self._refusal:
            message["refusal"] = self._refusal
        if self._calls:
            message["tool_calls"] = [self._calls[index] for index in sorted(self._calls)]
            message["content"] = self.text or None
        elif self._function:
            message["function_call"] = self._function
            message["content"] = self.text or None
        return Reply(message)


def _append(function: dict[str, str], piece: Any) -> None:
    function["name"] += piece.name or ""
    function["arguments"] += piece.arguments or ""
