"""One item on its way: what it is, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from stable_openai.errors import NoKeyAvailable, RequestTooLarge, StableError
from stable_openai.verdict import Reason, Verdict, judge

__all__ = ["NO_KEY", "Entry", "FailedBefore", "Result", "StopRun", "can_succeed", "reason_of"]

NO_KEY: Final = "no_key"
_TOO_LARGE: Final = "request_too_large"
# What the same request meets again, whenever and under whichever key it is sent.
_FINAL: Final = frozenset({Reason.BAD_REQUEST, Reason.CONTEXT_LENGTH, Reason.CONTENT_FILTER, Reason.NOT_FOUND})


class FailedBefore(StableError):
    """An earlier run has found that this item can't succeed: it was not asked again.

    Attributes:
        reason: Why, in one of the verdict's words.
    """

    def __init__(self, reason: str, problem: str) -> None:
        super().__init__(f"{reason}: {problem} (from an earlier run; retry_failed='all' asks again)")
        self.reason = reason


class StopRun(BaseException):
    """Raised by a function in place of beginning its item: nothing more is begun, and what is under way ends well.

    Args:
        error: What the run is to end with, for whoever iterates.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(slots=True)
class Entry:
    """An item that is to be worked on.

    Attributes:
        index: Its place in the input, from 0.
        id: What the checkpoint knows it by; None without one.
        item: What the function is called with.
        began: When it was first begun, on the monotonic clock; 0 before that.
    """

    index: int
    id: str | None
    item: Any
    began: float = 0.0


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an item.

    Attributes:
        index: Its place in the input, from 0.
        id: What the checkpoint knows it by; None without one.
        item: What the function was called with.
        value: What it has returned; None where it has raised.
        error: What it has raised; None where it has returned.
        reason: Of the error: a verdict's word such as ``"bad_request"``, ``"no_key"``, ``"request_too_large"``, or for
            an exception that is no provider's the name of its class; an empty text without one.
        seconds: How long it took, waits for keys included.
        resumed: Whether it was in the checkpoint already, and nothing was called.
    """

    index: int
    id: str | None
    item: Any
    value: Any = None
    error: Exception | None = None
    reason: str = ""
    seconds: float = 0.0
    resumed: bool = False

    @property
    def ok(self) -> bool:
        """Whether there is a value."""
        return self.error is None

    def get(self) -> Any:
        """The value.

        Raises:
            Exception: What the function has raised.
        """
        if self.error is not None:
            raise self.error
        return self.value


def reason_of(error: Exception) -> tuple[str, Verdict]:
    """Why an item failed, in a word, and the verdict on it."""
    known = getattr(error, "verdict", None)
    verdict = known if isinstance(known, Verdict) else judge(error)
    if isinstance(error, FailedBefore):
        return error.reason, verdict
    if isinstance(error, NoKeyAvailable):
        return NO_KEY, verdict
    if isinstance(error, RequestTooLarge):
        return _TOO_LARGE, verdict
    if verdict.reason is Reason.NOT_PROVIDER:
        return type(error).__name__, verdict
    return verdict.reason.value, verdict


def can_succeed(verdict: Verdict) -> bool:
    """Whether asking the same again, another day or with a mended function, may come to something."""
    return verdict.reason not in _FINAL
