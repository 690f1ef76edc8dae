"""Lines of OpenAI's Batch API as a checkpoint's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from stable_openai.bulk.items import can_succeed, reason_of

from .output import error_text, failure_line

if TYPE_CHECKING:
    from stable_openai.bulk.items import Entry

__all__ = ["BatchForm"]

_HEADS: Final = ('{"id":"batch_req_', '{"id": "batch_req_')
_DEPTH: Final = 20


class BatchForm:
    """What ``bulk.forms.Form`` asks for.

    Args:
        clean: Hides what looks like a secret in a text: providers repeat keys in their errors.
    """

    def __init__(self, clean: Callable[[str], str]) -> None:
        self._clean = clean

    def answered(self, entry: Entry, value: Any) -> Mapping[str, Any]:  # noqa: ARG002  # as a form has it
        """The line of an answer, which the sender has made."""
        line: Mapping[str, Any] = value
        return line

    def failed(self, entry: Entry, error: Exception) -> Mapping[str, Any]:
        """The line of a failure."""
        reason, verdict = reason_of(error)
        assert entry.id is not None  # noqa: S101  # with a checkpoint, each has one
        status = getattr(error, "status_code", None)
        return failure_line(
            entry.id,
            status=status if isinstance(status, int) else None,
            request_id=getattr(error, "request_id", None),
            body=self._cleaned(getattr(error, "body", None), _DEPTH),
            code=reason,
            message=self._clean(verdict.message),
            reason=reason,
            retriable=can_succeed(verdict),
        )

    def _cleaned(self, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            return self._clean(value)
        if not depth:
            return None
        if isinstance(value, Mapping):
            return {name: self._cleaned(part, depth - 1) for name, part in value.items()}
        return [self._cleaned(part, depth - 1) for part in value] if isinstance(value, list) else value

    def id_of(self, line: Mapping[str, Any]) -> str | None:
        """Whose line it is; None where it is none of the Batch API's."""
        name = line.get("custom_id")
        return name if isinstance(name, str) and "response" in line else None

    def value_of(self, line: Mapping[str, Any]) -> Any:
        """The line itself."""
        return line

    def is_final(self, line: Mapping[str, Any]) -> bool:
        """Whether a failure can't turn into a success by asking again."""
        return line.get("retriable") is False

    def story_of(self, line: Mapping[str, Any]) -> tuple[str, str]:
        """Why a request failed: in a word, and in a sentence."""
        return str(line.get("reason", "")), error_text(line)

    def starts(self, beginning: str) -> bool:
        """Whether a line may begin so, which is cut off."""
        return any(beginning.startswith(head) or head.startswith(beginning) for head in _HEADS)
