"""Tells, once per process, of an openai client that retries by itself inside of a decorated function.

It spends two more requests, and a second or more, on the key that has just refused. The pool learns of it late, and
counts one request where there were three.
"""

from __future__ import annotations

import inspect
import threading
import warnings
from typing import Any, Final

__all__ = ["HiddenRetriesWarning", "warn_of_hidden_retries"]

_COUNT: Final = "x-stainless-retry-count"
_MOST_LINKS: Final = 50
_TEXT: Final = (
    "the openai client in this function has retried by itself, on the same key, before @stable could take another. "
    "Give it max_retries=0; or call stable_openai.share_connections() once, which does that for every client; or let "
    "the function take a parameter `client` instead of `api_key`"
)


class HiddenRetriesWarning(UserWarning):
    """A decorated function's own openai client retries by itself; the message names the cure."""


_once: Final = threading.Lock()  # taken by whoever says it


def warn_of_hidden_retries(error: BaseException) -> None:
    """Warn, where an exception shows that its client had retried before it gave up.

    Args:
        error: What a decorated function has raised; those of other libraries than openai pass unseen.
    """
    if _once.locked() or not _is_of_openai(error) or not _was_retried(error):
        return
    if _once.acquire(blocking=False):
        warnings.warn(_TEXT, HiddenRetriesWarning, stacklevel=_levels_up())


def _is_of_openai(error: BaseException) -> bool:
    return type(error).__module__.partition(".")[0] == "openai"


def _was_retried(error: BaseException) -> bool:
    request = _request_of(error)
    if request is None:
        return False
    try:
        count = request.headers.get(_COUNT)
        return _earlier_attempt(error, request) if count is None else int(count) > 0
    except Exception:  # noqa: BLE001  # what others have put there may be anything
        return False


def _request_of(error: BaseException) -> Any:
    """The request that an exception of openai's or httpx's belongs to."""
    try:
        return getattr(error, "request", None)
    except Exception:  # noqa: BLE001  # httpx raises where none was set
        return None


def _earlier_attempt(error: BaseException, request: Any) -> bool:
    """Whether another request to the same address had failed before, as openai's first versions with retries do it.

    Those send no count. But they try again within the handler of what went wrong, so that the earlier failure is in the
    context of the later. Beyond another exception of openai's it is the caller who tried again.
    """
    link = error.__context__
    for _ in range(_MOST_LINKS):
        if link is None or _is_of_openai(link):
            return False
        other = _request_of(link)
        if other is not None and other is not request and other.url == request.url:
            return True
        link = link.__context__
    return False


def _levels_up() -> int:
    """How far up the stack the first frame outside of this package is: whoever called the decorated function."""
    package = __name__.partition(".")[0]
    frame = inspect.currentframe()
    frame = None if frame is None else frame.f_back
    level = 1
    while frame is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] in {package, "wrapt"}:
        frame, level = frame.f_back, level + 1
    return level
