"""What ends a request to the status page with a page, or JSON, that says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Denied"]


class Denied(Exception):  # it is an answer rather than an error
    """Ends a request.

    Args:
        status: The HTTP status.
        title: What is wrong, in a few words.
        told: What to do.
        headers: Further headers.
        closes: Whether the connection can't be used any more, as a part of the request was not read.
    """

    def __init__(
        self,
        status: int,
        title: str,
        told: str,
        *,
        headers: Mapping[str, str] | None = None,
        closes: bool = False,
    ) -> None:
        super().__init__(told)
        self.status = status
        self.title = title
        self.headers = dict(headers or {})
        self.closes = closes
