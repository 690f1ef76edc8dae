"""What goes into the engine and what comes out: requests and replies, without HTTP."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple, TypeAlias

JSON: TypeAlias = Any
"""What `json.dumps` takes."""

ANSWERING = ("chat/completions", "responses", "completions", "embeddings")
"""Paths, below the version, that cost a request and tokens."""


class Fate(Enum):
    """What becomes of the connection that carries a reply."""

    NORMAL = "normal"
    RESET = "reset"
    HANG = "hang"
    CUT = "cut"


class Malformed(NamedTuple):
    """What is wrong with a request, for a 400."""

    message: str
    param: str | None = None
    code: str | None = None


@dataclass(frozen=True)
class Request:
    """One call as the provider sees it.

    Attributes:
        key_secret: The credential sent; an empty string for none.
        model: Name of the model asked for.
        prompt: The text that is answered: the last user message, or the input.
        path: Path below the version, such as `chat/completions`.
        tokens: Tokens that the call counts for; None to estimate them from the prompt and the answer.
        prompt_tokens: Tokens of the whole prompt; None to estimate them from `prompt`.
        max_tokens: Tokens that each answer may have.
        n: Number of answers.
        stream: Whether events are asked for.
        include_usage: Whether the last event of a stream is to tell usage.
        inputs: Texts to embed.
        dimensions: Length of the embeddings; None for the provider's.
        base64: Whether embeddings are asked for as base64.
        malformed: What is wrong with the request, found when it was read.
        payload: The body as sent, for scripts.
    """

    key_secret: str = field(default="", repr=False)
    model: str = "gpt-4o-mini"
    prompt: str = ""
    path: str = "chat/completions"
    tokens: int | None = None
    prompt_tokens: int | None = None
    max_tokens: int | None = None
    n: int = 1
    stream: bool = False
    include_usage: bool = False
    inputs: tuple[str, ...] = ()
    dimensions: int | None = None
    base64: bool = False
    malformed: Malformed | None = None
    payload: JSON = field(default=None, repr=False)


class Event(NamedTuple):
    """One server-sent event: its name, if it has one, and its data."""

    name: str | None
    data: JSON

    def encode(self) -> bytes:
        """Give the bytes of the event, its blank line included."""
        data = self.data if isinstance(self.data, str) else json.dumps(self.data, separators=(",", ":"))
        head = "" if self.name is None else f"event: {self.name}\n"
        return f"{head}data: {data}\n\n".encode()


@dataclass(slots=True)
class Reply:
    """An answer of the provider, still without HTTP.

    Attributes:
        status: HTTP status.
        headers: Names in lower case.
        body: A JSON value, or a string that is sent as it is; unused where there are events.
        events: Events of a stream, or None.
        latency_s: Seconds until the reply (or its first event) is sent.
        gap_s: Seconds between events.
        fate: What becomes of the connection.
        outcome: One word for what happened; see `Tally.outcomes`.
        key: Name of the key that was used, or `unknown`.
        request_id: Id of the request.
        retry_after_s: Seconds to wait for room, where a limit rejected the request and waiting helps; told or not.
        tokens: Tokens that were counted.
    """

    status: int
    headers: dict[str, str]
    body: JSON = None
    events: tuple[Event, ...] | None = None
    latency_s: float = 0.0
    gap_s: float = 0.0
    fate: Fate = Fate.NORMAL
    outcome: str = "served"
    key: str = "unknown"
    request_id: str = ""
    retry_after_s: float | None = None
    tokens: int = 0

    @property
    def ok(self) -> bool:
        """Whether the request was served: a good answer, whole."""
        return self.outcome == "served"

    def content(self) -> bytes:
        """Give the bytes of the body."""
        if isinstance(self.body, str):
            return self.body.encode()
        return json.dumps(self.body, separators=(",", ":")).encode()
