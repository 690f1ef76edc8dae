"""What an object of any kind is to a verdict: an answer, a reason without an answer, or a plain result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from stable_openai.verdict._origin import module_of
from stable_openai.verdict.answer import Answer, Headers
from stable_openai.verdict.raised import answer_in, reason_of
from stable_openai.verdict.responses import error_in_parsed, is_parsed, is_response, read_response
from stable_openai.verdict.verdicts import Reason

_MAX_CHAIN: Final = 12


@dataclass(frozen=True, slots=True)
class Shape:
    """What was found in an object.

    Attributes:
        answer: the provider's answer, where there is one.
        reason: the reason, where there is no answer or it says nothing.
        is_error: the object is an error even where the answer's status is a success.
        message: words for people where there is no answer.
    """

    answer: Answer | None = None
    reason: Reason | None = None
    is_error: bool = False
    message: str = ""


RESULT: Final = Shape(reason=Reason.OK)


def shape_of(obj: object) -> Shape:  # noqa: PLR0911  # one return for each kind
    """Looks at an object of any kind; never raises, never blocks, consumes nothing."""
    if isinstance(obj, Answer):
        return Shape(obj)
    if isinstance(obj, BaseException):
        return _shape_of_exception(obj)
    if isinstance(obj, Mapping):
        return Shape(Answer(200, Headers(), obj, source=obj))
    if obj is None or isinstance(obj, (str, bytes, int, float, list, tuple, type)):
        return RESULT
    if is_parsed(obj):
        error = error_in_parsed(obj)
        return RESULT if error is None else Shape(Answer(200, Headers(), error, source=obj), is_error=True)
    if is_response(obj):
        answer = read_response(obj)
        return Shape(Answer(answer.status, answer.headers, answer.body, source=obj))
    return RESULT


def _shape_of_exception(exc: BaseException) -> Shape:
    for link in _chain(exc):
        answer = answer_in(link)
        if answer is not None:
            return Shape(answer, reason=_fallback(link), is_error=True, message=_words(link))
        reason = reason_of(link)
        if reason is not None:
            return Shape(reason=reason, is_error=True, message=_words(link))
    return Shape(reason=Reason.NOT_PROVIDER, is_error=True, message=_words(exc))


def _fallback(exc: BaseException) -> Reason | None:
    """What the class says of an answer that says nothing, such as a 200 that is not what was promised."""
    reason = reason_of(exc)
    return None if reason in {Reason.NOT_PROVIDER, Reason.CONNECTION_LOST} else reason


def _chain(exc: BaseException) -> Iterator[BaseException]:
    """The exception and what explicitly caused it, as far as the provider's error may be among them."""
    seen: set[int] = set()
    link: BaseException | None = exc
    while link is not None and id(link) not in seen and len(seen) < _MAX_CHAIN:
        # Cancellation and the like are nobody's error; our own errors have been judged where they arose.
        if not isinstance(link, Exception) or isinstance(link, (MemoryError, RecursionError)):
            inner = getattr(link, "exceptions", None)
            if not isinstance(inner, tuple):
                return
        if module_of(link).partition(".")[0] == "stable_openai":
            return
        seen.add(id(link))
        members = getattr(link, "exceptions", None)
        if isinstance(members, tuple) and len(members) == 1 and isinstance(members[0], BaseException):
            link = members[0]  # a task group wraps even a single error
            continue
        yield link
        link = link.__cause__


def _words(exc: BaseException) -> str:
    try:
        return f"{type(exc).__name__}: {exc}"[:2000]
    except Exception:  # noqa: BLE001  # a foreign __str__ may raise anything
        return type(exc).__name__
