"""Our errors as openai's, so that code that catches openai's catches them too."""

from __future__ import annotations

import openai

from stable_openai.errors import NoKeyAvailable, PoolClosed, RequestTooLarge, StoreError
from stable_openai.failover.notes import add_note
from stable_openai.failover.portable import meet_openai

__all__ = ["as_client_error"]

meet_openai()  # what its clients raise is to survive pickling, whichever way it takes


class NoKeyAvailableForClient(NoKeyAvailable, openai.OpenAIError):
    """No key is eligible; ``retry_after`` says when to come back, in seconds."""


class RequestTooLargeForClient(RequestTooLarge, openai.OpenAIError):
    """The request needs more tokens than any key's limit ever allows."""


class PoolClosedForClient(PoolClosed, openai.OpenAIError):
    """The client's pool was closed."""


class StoreErrorForClient(StoreError, openai.OpenAIError):
    """The store of the client's pool is lost, or refuses."""


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
    elif isinstance(error, StoreError):
        made = StoreErrorForClient(*error.args)
    else:
        return error
    made.__cause__ = error.__cause__
    for note in getattr(error, "__notes__", ()):
        add_note(made, note)
    return made
