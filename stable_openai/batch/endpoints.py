"""The addresses that a batch may ask, and how the bodies for each limit their answers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "CHAT",
    "COMPLETIONS",
    "EMBEDDINGS",
    "MODERATIONS",
    "RESPONSES",
    "URLS",
    "completed",
    "is_count",
    "limit_names",
    "limit_of",
    "url_of",
]

CHAT: Final = "/v1/chat/completions"
RESPONSES: Final = "/v1/responses"
EMBEDDINGS: Final = "/v1/embeddings"
COMPLETIONS: Final = "/v1/completions"
MODERATIONS: Final = "/v1/moderations"
URLS: Final = (CHAT, RESPONSES, EMBEDDINGS, COMPLETIONS, MODERATIONS)

_LIMITS: Final[Mapping[str, tuple[str, ...]]] = {
    CHAT: ("max_tokens", "max_completion_tokens"),
    RESPONSES: ("max_output_tokens",),
    COMPLETIONS: ("max_tokens",),
}
# OpenAI's reasoning models refuse max_tokens. All else has max_completion_tokens only if it is OpenAI's own: Mistral
# refuses it, and DeepSeek ignores it, so that the answer would not be limited at all; max_tokens is taken by all of
# these, and by OpenAI's other models. gpt-35-turbo is Azure's name for gpt-3.5-turbo.
_REASONING: Final = re.compile(r"(?:ft:|openai/)?(?:o[1-9]\d*|gpt-(?!35)(?:[5-9]|[1-9]\d))(?:[-.:@]|$)")


def url_of(given: object) -> str | None:
    """The address that a line names, in full; None where it is none of ours. Azure's files leave out the ``/v1``."""
    if isinstance(given, str):
        for url in URLS:
            if given in {url, url.removeprefix("/v1")}:
                return url
    return None


def limit_names(url: str) -> tuple[str, ...]:
    """The fields of a body by which it limits its answer, if there are any."""
    return _LIMITS.get(url, ())


def is_count(value: object, least: int = 1) -> bool:
    """Whether it is a whole number, from there up."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def limit_of(url: str, body: Mapping[str, Any]) -> int | None:
    """The tokens to which a body limits each of its answers; None where it does not."""
    limits = [body[name] for name in limit_names(url) if is_count(body.get(name), 0)]
    return max(limits) if limits else None


def completed(url: str, body: Mapping[str, Any], model: str | None, max_tokens: int | None) -> dict[str, Any]:
    """A body with what it lacks. What it says itself stands; null says nothing.

    Args:
        url: Where it is for.
        body: The body.
        model: The model to name; moderations have a default of their own, and stay without.
        max_tokens: The most tokens of an answer.
    """
    whole = dict(body)
    if whole.get("model") is None and model is not None and url != MODERATIONS:
        whole["model"] = model
    names = limit_names(url)
    if max_tokens is not None and names and all(whole.get(name) is None for name in names):
        reasons = url == CHAT and isinstance(whole.get("model"), str) and _REASONING.match(whole["model"])
        whole["max_completion_tokens" if reasons else names[0]] = max_tokens
    return whole
