"""What a caller is told where the provider failed: in one line, without a secret."""

from __future__ import annotations

from typing import Final

from stable_openai.errors import NoKeyAvailable
from stable_openai.masking import mask

from .errors import ChatGPTError

__all__ = ["failure_of"]

_LONGEST: Final = 300
_SEEN: Final = 8  # characters: a shorter "key" may stand in any word
_WORDS: Final = {
    "quota_exhausted": "out of quota",
    "invalid_key": "the key was refused",
    "key_disabled": "the key or its account is closed",
    "permission_denied": "the key may not do this",
    "model_unavailable_for_key": "the model is not there for this key",
    "region_blocked": "not served in this region",
    "server_error": "the provider has trouble",
    "overloaded": "the provider is overloaded",
    "timeout": "the provider did not answer in time",
    "connection_lost": "the connection to the provider failed",
    "bad_request": "the provider refused the request",
    "context_length": "the conversation is longer than the model takes",
    "content_filter": "the provider's content filter stopped it",
    "not_found": "the provider knows no such address or model",
}


def failure_of(error: Exception, secret: str | None) -> ChatGPTError:
    """Say what went wrong.

    Args:
        error: What was raised while the provider was asked.
        secret: The key that the session brought; None where the server's pool was used, of which nothing is told.
    """
    from stable_openai.verdict import judge

    told = error.__cause__ if isinstance(error, NoKeyAvailable) and error.__cause__ is not None else error
    verdict = judge(told)
    words = "over the rate limit" if verdict.is_rate_limit else _WORDS.get(verdict.reason.value, "")
    if not words and isinstance(error, NoKeyAvailable):
        words = "no key is free for as long as the request may wait"
    said = ""
    if secret is not None and verdict.reason.value != "not_provider":
        said = verdict.message.removeprefix(f"{type(told).__name__}: ")
        if len(secret) >= _SEEN:
            said = said.replace(secret, mask(secret))
    line = " ".join(": ".join(part for part in (words or "it gave no answer", said) if part).split())
    line = line.encode("utf-8", "replace").decode()
    wait = error.retry_after if isinstance(error, NoKeyAvailable) else verdict.wait_s
    return ChatGPTError(line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…", retry_after=wait)
