"""Server-sent events read as they pass: whether content has begun, an error event, the usage of tokens."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from stable_openai.pool.usage import tokens_used
from stable_openai.verdict import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["EventWatch", "watch_of"]

# An empty line ends an event; lines end in CR LF, LF or CR (WHATWG HTML, 9.2.6).
_EMPTY_LINE: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2}")
_LONGEST_END: Final = 4  # bytes of an empty line, with the line's end before it
_LARGEST_EVENT: Final = 4 << 20  # bytes; beyond, a stream is passed on unread
# What answers by a stream that an error event ends.
_ANSWERS: Final = (
    "/completions", "/responses", "/messages", "/images/generations", "/images/edits", "/audio/speech",
    "/audio/transcriptions",
)  # fmt: skip
# Events that come before anything of the answer, by the type that OpenAI's Responses API (and others) give them.
_PREAMBLE: Final = frozenset({
    "response.created", "response.in_progress", "response.queued", "response.output_item.added",
    "response.content_part.added", "response.reasoning_summary_part.added", "keepalive", "ping", "message_start",
    "content_block_start",
})  # fmt: skip
_NAMES: Final = frozenset({"role", "index", "finish_reason", "logprobs", "content_filter_results"})
_WINDOW_BITS: Final = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


class EventWatch:
    """Reads the events of one stream, fed in pieces as they arrive; keeps only what is not finished.

    Args:
        encoding: The ``Content-Encoding`` of what is fed; one that can't be read here passes unread.

    Attributes:
        begun: Whether content has come, so that the stream can't be had from elsewhere any more.
        error: The error event that came, or None.
        tokens: What the stream's ``usage`` said, or None.
    """

    __slots__ = ("_inflate", "_pending", "begun", "error", "tokens")

    _pending: bytearray | None

    def __init__(self, encoding: str = "") -> None:
        self.begun = False
        self.error: Answer | None = None
        self.tokens: int | None = None
        self._pending = bytearray()
        self._inflate: Callable[[bytes], bytes] | None = None
        encoding = encoding.strip().lower()
        if encoding in _WINDOW_BITS:
            self._inflate = zlib.decompressobj(_WINDOW_BITS[encoding]).decompress
        elif encoding not in {"", "identity"}:
            self._stop()

    @property
    def decided(self) -> bool:
        """Whether it is known that the answer has begun, or that it has failed."""
        return self.begun or self.error is not None

    def feed(self, piece: bytes) -> None:
        """Read a piece of the body."""
        if self._pending is None:
            return
        if self._inflate is not None:
            try:
                piece = self._inflate(piece)
            except zlib.error:
                self._stop()
                return
        pending = self._pending
        looked_at = max(len(pending) - _LONGEST_END + 1, 0)  # a large event comes in many pieces: each is searched once
        pending += piece
        start = 0
        for found in _EMPTY_LINE.finditer(pending, looked_at):
            self._look(bytes(pending[start : found.start()]))
            start = found.end()
        self._pending = pending = pending[start:]
        if len(pending) > _LARGEST_EVENT:
            self._stop()

    def finish(self) -> None:
        """Read what stands at the end without an empty line after it, as openai's clients do."""
        pending, self._pending = self._pending, None
        if pending:
            self._look(bytes(pending))

    def _look(self, event: bytes) -> None:
        # Once it has begun, an event is looked into only where it may hold something to know.
        if not self.begun or b'"error"' in event or b'"usage"' in event or b"event: error" in event:
            self._read(event)

    def _stop(self) -> None:
        self.begun, self._pending = True, None

    def _read(self, event: bytes) -> None:
        name, lines = "", []
        for line in event.splitlines():
            field, _, value = line.partition(b":")
            if field == b"data":
                lines.append(value.removeprefix(b" "))
            elif field == b"event":
                name = value.strip().decode("utf-8", "replace")
        data = b"\n".join(lines)
        if not data:
            return
        try:
            parsed = json.loads(data)
        except ValueError:
            self.begun = True  # [DONE], or nothing that we know
            return
        if not isinstance(parsed, Mapping):
            self.begun = True
            return
        error = _error_in(name, parsed)
        if error is not None:
            self.error = self.error or Answer(None, {}, error)
            return
        used = tokens_used(parsed)
        if used is None:
            used = tokens_used(parsed.get("response"))
        self.tokens = self.tokens if used is None else used
        self.begun = self.begun or used is not None or not _is_preamble(name, parsed)


def watch_of(response: Any, url: str) -> EventWatch | None:
    """What reads the events of a response as they pass, where it is a stream of events.

    Args:
        response: The response.
        url: What it answers.
    """
    headers = response.headers
    if not urlsplit(url).path.rstrip("/").endswith(_ANSWERS):
        return None  # elsewhere, an event called an error may be one among others, as in the sessions of agents
    if not headers.get("content-type", "").lower().startswith("text/event-stream"):
        return None
    return EventWatch(headers.get("content-encoding", ""))


def _error_in(name: str, event: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The error that an event tells of, in the form of an error's body."""
    error = event.get("error")
    if error and isinstance(error, (Mapping, str)):
        return event
    kind = event.get("type") or name
    if kind == "error":
        return {"error": {key: value for key, value in event.items() if key in {"code", "message", "param"}}}
    response = event.get("response")
    if kind == "response.failed" and isinstance(response, Mapping) and isinstance(response.get("error"), Mapping):
        return {"error": response["error"]}
    return None


def _is_preamble(name: str, event: Mapping[str, Any]) -> bool:
    """Whether an event comes before anything of the answer: a role, an empty choice, a response that is created."""
    kind = event.get("type") or name
    if kind:
        return kind in _PREAMBLE
    choices = event.get("choices")
    return isinstance(choices, list) and not any(_has_content(choice) for choice in choices)


def _has_content(choice: Any) -> bool:
    if not isinstance(choice, Mapping) or choice.get("finish_reason") or choice.get("text"):
        return True
    delta = choice.get("delta")
    return isinstance(delta, Mapping) and any(value for part, value in delta.items() if part not in _NAMES)
