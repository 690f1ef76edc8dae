"""Our errors as openai's, so that code that catches openai's catches them too."""

from __future__ import annotations

import openai

from stable_openai.errors import NoKeyAvailable, PoolClosed, RequestTooLarge
from stable_openai.failover.notes import add_note

__all__ = ["as_client_error"]


class NoKeyAvailableForClient(NoKeyAvailable, openai.OpenAIError):
    """No key is eligible; ``retry_after`` says when to come back, in seconds."""


class RequestTooLargeForClient(RequestTooLarge, openai.OpenAIError):
    """The request needs more tokens than any key's limit ever allows."""


class PoolClosedForClient(PoolClosed, openai.OpenAIError):
    """The client's pool was closed."""


def as_client_error(error: Exception) -> Exception:
    """The same error as a subclass of ``openai.OpenAIError`` too."""
    made: Exception
    if isinstance(error, NoKeyAvailable):
        made = NoKeyAvailableForClient(
            str(error), retry_after=error.retry_after, reasons=error.reasons, model=error.model
        )
    elif isinstance(error, RequestTooLarge):
        made = RequestTooLargeForClient(error.tokens, error.largest)
    elif isinstance(error, PoolClosed):
        made = PoolClosedForClient(*error.args)
    else:
        return error
    made.__cause__ = error.__cause__
    for note in getattr(error, "__notes__", ()):
        add_note(made, note)
    return made
