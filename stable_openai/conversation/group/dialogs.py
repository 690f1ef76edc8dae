"""What roles say to each other, and the error of an answer that is none of it."""

from __future__ import annotations

from typing import Any, NamedTuple

from stable_openai.errors import StableError

__all__ = ["Dialog", "Line", "MalformedAnswer"]


class Line(NamedTuple):
    """Who speaks to whom."""

    speaker: str
    audiences: tuple[str, ...]


class MalformedAnswer(StableError, ValueError):
    """The model's answer, and the one after it was told so, are not what was asked for.

    Attributes:
        answer: What it has answered.
    """

    def __init__(self, problem: str, answer: str) -> None:
        super().__init__(f"the model's answer can't be used: {problem}")
        self.answer = answer


class Dialog(NamedTuple):
    """What one role has said to others."""

    speaker: str
    audiences: tuple[str, ...]
    remark: str

    def as_json(self) -> dict[str, Any]:
        """As it stands in an answer: a single listener by name alone, several in a list."""
        heard = self.audiences[0] if len(self.audiences) == 1 else list(self.audiences)
        return {"speaker": self.speaker, "audiences": heard, "remark": self.remark}
