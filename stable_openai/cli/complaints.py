"""What went wrong, in one line for people: no traceback, no secret."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Final

import click

from stable_openai.errors import StableError
from stable_openai.masking import mask

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["complaint", "complaints", "printable"]

_LONGEST: Final = 400  # characters of a line that is to be read at a glance
# Control characters other than tab and line feed: a model's answer, or a provider's, is not to steer the terminal.
# And those that turn the order of what is shown around (Unicode's bidirectional controls).
_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_WORDS: Final = {
    "quota_exhausted": "out of money, or of quota",
    "invalid_key": "the key was refused",
    "key_disabled": "the key or its account is closed",
    "permission_denied": "the key may not do this",
    "model_unavailable_for_key": "the model is not there for this key (see --model, /model)",
    "region_blocked": "not served in this region",
    "server_error": "the provider has trouble",
    "overloaded": "the provider is overloaded",
    "timeout": "the provider did not answer in time",
    "connection_lost": "the connection failed",
    "bad_request": "the provider refused the request",
    "context_length": "the conversation is longer than the model takes (see /rollback, /new)",
    "content_filter": "the provider's content filter stopped it",
    "not_found": "the provider knows no such address or model (see --base-url, --model)",
}


def complaint(error: BaseException, secrets: Iterable[str] = ()) -> str:
    """An error in one line.

    Args:
        error: What was raised.
        secrets: Keys that the line must not show, whatever a provider writes into its messages.
    """
    if isinstance(error, StableError):
        text = str(error)
    elif isinstance(error, OSError) and not isinstance(error, ConnectionError) and error.strerror:
        text = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    else:
        text = _verdict_on(error)
    for secret in secrets:
        text = text.replace(secret, mask(secret))
    line = " ".join(printable(text).split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def _verdict_on(error: BaseException) -> str:
    from stable_openai.verdict import judge

    verdict = judge(error)
    reason = verdict.reason.value
    words = "over the rate limit" if verdict.is_rate_limit else _WORDS.get(reason, "")
    said = verdict.message.removeprefix(f"{type(error).__name__}: ")
    cause = error.__cause__
    if reason == "connection_lost" and cause is not None and str(cause):
        said = str(cause)
    if not words:
        return f"{type(error).__name__}: {said}"
    return f"{words}: {said}" if said else words


def printable(text: str) -> str:
    """A text without the characters that would steer a terminal; tabs and line breaks stay."""
    return _CONTROL.sub("", text.replace("\r\n", "\n"))


@contextlib.contextmanager
def complaints(secrets: Iterable[str] = ()) -> Iterator[None]:
    """End the command with one line where something that users can mend goes wrong."""
    try:
        yield
    except BrokenPipeError:
        raise  # whoever read the output has left: click knows what to do
    except (StableError, OSError) as error:
        raise click.ClickException(complaint(error, secrets)) from None
