"""Which of openai's clients a parameter named ``client`` asks for."""

from __future__ import annotations

import inspect
import re
from typing import Any, Final

__all__ = ["client_kind"]

_NAMED: Final = re.compile(r"\b(Async)?(Azure)?OpenAI\b")
# Under their other names: openai.Client, openai.AsyncClient. The name alone may be httpx's.
_ALIAS: Final = re.compile(r"\bopenai\.(Async)?Client\b")
_SAYS_NOTHING: Final = (inspect.Parameter.empty, Any, object, "Any", "typing.Any", "object")


def client_kind(parameter: inspect.Parameter, kind: str, *, alone: bool) -> str | None:
    """The name of the client's class; None where the parameter is none of ours.

    Args:
        parameter: The parameter, with its annotation; one that says nothing of a client leaves it to the function's
            kind: a sync function gets the sync client.
        kind: The function's kind, as ``kind_of`` has it.
        alone: Whether nothing else of the function could be filled: then an annotation that says nothing is enough.
    """
    annotation = parameter.annotation
    if any(annotation is nothing or annotation == nothing for nothing in _SAYS_NOTHING):
        return ("AsyncOpenAI" if kind in {"coroutine", "async generator"} else "OpenAI") if alone else None
    text = annotation if isinstance(annotation, str) else _names_of(annotation)
    found = _NAMED.search(text)
    if found is not None:
        return found.group()
    alias = _ALIAS.search(text)
    return None if alias is None else f"{alias.group(1) or ''}OpenAI"


def _names_of(annotation: Any) -> str:
    """What an annotation is called: a class with those that it comes from, a union with its members."""
    if isinstance(annotation, type):
        return " ".join(kind.__name__ for kind in annotation.__mro__)
    return str(annotation)
