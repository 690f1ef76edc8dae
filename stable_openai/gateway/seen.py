"""What is noted of a request, and the access log: one JSON object a line, without bodies, queries or secrets."""

from __future__ import annotations

import json
import logging
import secrets
import time
from typing import Any, Final

from aiohttp import web

from stable_openai.verdict._masking import mask_secrets

__all__ = ["LEFT", "Seen", "log_access", "size_of"]

LEFT: Final = 499  # what servers write in their logs where the client has gone
_logger = logging.getLogger("stable_openai.access")
_LONGEST: Final = 500  # characters of a path
# What routes are called in metrics: a path's own name would let clients make up any number of them.
_EXACT: Final = frozenset({
    "/v1/audio/speech", "/v1/audio/transcriptions", "/v1/audio/translations", "/v1/batches", "/v1/chat/completions",
    "/v1/completions", "/v1/embeddings", "/v1/files", "/v1/images/edits", "/v1/images/generations", "/v1/models",
    "/v1/moderations", "/v1/responses", "/v1/uploads",
})  # fmt: skip
_BENEATH: Final = frozenset({"batches", "files", "fine_tuning", "models", "responses", "uploads", "vector_stores"})


class Seen:
    """What is noted of one request.

    Attributes:
        id: Its name, by which the client can ask about it.
        token: The name of the token that it showed, or an empty text.
        key: The name of the key that it was sent under last, or an empty text.
        attempts: How often it was sent.
        sent: Bytes of the answer's body.
        received: Bytes of its own.
        status: The status of its answer; 0 as long as there is none.
    """

    __slots__ = ("attempts", "began", "http", "id", "key", "received", "sent", "status", "token")

    def __init__(self, http: web.Request) -> None:
        self.http = http
        self.id = f"req_{secrets.token_hex(12)}"
        self.began = time.perf_counter()
        self.token = self.key = ""
        self.attempts = self.sent = self.received = self.status = 0

    @property
    def route(self) -> str:
        """What it is counted under."""
        path = self.http.rel_url.raw_path
        if path in _EXACT:
            return path
        parts = path.split("/", 3)
        return f"/v1/{parts[2]}/…" if len(parts) > 3 and parts[2] in _BENEATH else "other"  # noqa: PLR2004  # "", v1, its name, the rest

    @property
    def seconds(self) -> float:
        """How long it has taken."""
        return time.perf_counter() - self.began


def log_access(seen: Seen) -> None:
    """Write the line of a request that is over."""
    if not _logger.isEnabledFor(logging.INFO):
        return
    line: dict[str, Any] = {
        "id": seen.id,
        "method": seen.http.method,
        "path": mask_secrets(seen.http.rel_url.raw_path[:_LONGEST]),
        "status": seen.status,
        "token": seen.token,
        "key": seen.key,
        "attempts": seen.attempts,
        "received": seen.received,
        "sent": seen.sent,
        "ms": round(seen.seconds * 1000, 3),
    }
    _logger.info("%s", json.dumps(line))


def size_of(response: web.StreamResponse) -> int:
    """Bytes of an answer's body."""
    if isinstance(response, web.Response) and isinstance(response.body, bytes):
        return len(response.body)
    return response.body_length if response.prepared else 0
