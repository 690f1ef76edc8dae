"""What a line of a checkpoint looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from stable_openai.errors import ConfigurationError

from .hiding import hider_of
from .items import can_succeed, reason_of
from .values import NotPlain, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .items import Entry

__all__ = ["Form", "ValueForm"]


class Form(Protocol):
    """Makes lines of results, and finds in a line what it is about."""

    def answered(self, entry: Entry, value: Any) -> Mapping[str, Any]:
        """The line of a value, for the output."""

    def failed(self, entry: Entry, error: Exception) -> Mapping[str, Any]:
        """The line of a failure, for the file of failures. It has a field ``retriable``, as no answer's line has."""

    def id_of(self, line: Mapping[str, Any]) -> str | None:
        """Whose line it is; None where it is none of this form."""

    def value_of(self, line: Mapping[str, Any]) -> Any:
        """The value in a line of the output."""

    def is_final(self, line: Mapping[str, Any]) -> bool:
        """Whether a failure can't turn into a success by asking again."""

    def story_of(self, line: Mapping[str, Any]) -> tuple[str, str]:
        """Why an item failed: in a word, and in a sentence."""

    def starts(self, beginning: str) -> bool:
        """Whether a line may begin so, which is cut off."""


class ValueForm:
    """``{"id": …, "value": …}``, and for failures ``{"id": …, "reason": …, "error": …, "retriable": …}``.

    Args:
        encode: Makes something that JSON has a form for of a value; default: pydantic models, dataclasses and the like
            are understood.
        decode: Makes a value of what the checkpoint holds.
        hide: Hides what may be a secret in a text; default: what looks like one.
    """

    def __init__(
        self,
        encode: Callable[[Any], Any] | None = None,
        decode: Callable[[Any], Any] | None = None,
        hide: Callable[[str], str] | None = None,
    ) -> None:
        self._encode = encode
        self._decode = decode
        self._hide = hide or hider_of(None)

    def answered(self, entry: Entry, value: Any) -> Mapping[str, Any]:
        """The line of a value, for the output.

        Raises:
            ConfigurationError: The value has no form in JSON.
        """
        made = value if self._encode is None else self._encode(value)
        try:
            made = plain(made)
        except (NotPlain, ValueError, RecursionError) as error:
            raise ConfigurationError(
                "checkpoint",
                f"the function's value can't be kept: {error}. Return text, numbers, lists, dicts, dataclasses or "
                "pydantic models, or give encode=",
            ) from None
        return {"id": entry.id, "value": made}

    def failed(self, entry: Entry, error: Exception) -> Mapping[str, Any]:
        """The line of a failure, for the file of failures, without secrets."""
        reason, verdict = reason_of(error)
        line: dict[str, Any] = {"id": entry.id, "reason": reason, "error": self._hide(verdict.message)}
        status = getattr(error, "status_code", None)
        if isinstance(status, int):
            line["status"] = status
        return {**line, "retriable": can_succeed(verdict)}

    def id_of(self, line: Mapping[str, Any]) -> str | None:
        """Whose line it is; None where it is none of this form."""
        name = line.get("id")
        return name if isinstance(name, str) and ("value" in line or "reason" in line) else None

    def value_of(self, line: Mapping[str, Any]) -> Any:
        """The value in a line of the output."""
        return line["value"] if self._decode is None else self._decode(line["value"])

    def is_final(self, line: Mapping[str, Any]) -> bool:
        """Whether a failure can't turn into a success by asking again."""
        return line.get("retriable") is False

    def story_of(self, line: Mapping[str, Any]) -> tuple[str, str]:
        """Why an item failed: in a word, and in a sentence."""
        return str(line.get("reason", "")), str(line.get("error", ""))

    def starts(self, beginning: str) -> bool:
        """Whether a line may begin so, which is cut off."""
        head = '{"id":"'
        return beginning.startswith(head) or head.startswith(beginning)
