"""The gateway's own errors, in the shape that OpenAI's clients read."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Final

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stable_openai.errors import NoKeyAvailable, RequestTooLarge
    from stable_openai.serving import TokenLimited

__all__ = ["Refused"]

_LATER: Final = 60  # seconds after which to look again where nothing is known
_NO_RETRY: Final = {"x-should-retry": "false"}  # openai's clients would wait for that long, twice, in silence


class Refused(Exception):  # it is an answer rather than an error
    """Ends a request with an error of the gateway's own.

    Args:
        status: The HTTP status.
        code: The error's ``code``, for programs.
        message: What is wrong and what to do, for people; never a secret.
        headers: Further headers.
        closes: Whether the connection can't be used any more, as a part of the request was not read.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        closes: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers or {}
        self.closes = closes

    def response(self) -> web.Response:
        """The answer."""
        error = {"message": str(self), "type": _kind_of(self.status), "param": None, "code": self.code}
        made = web.Response(
            status=self.status,
            headers={"Content-Type": "application/json", **self.headers},
            body=json.dumps({"error": error}).encode(),
        )
        if self.closes:
            made.force_close()
        return made

    @classmethod
    def without_key(cls, error: NoKeyAvailable) -> Refused:
        """No key is free in time. Which ones there are, and why each is out, is not for the client."""
        what = f"for the model {error.model}" if error.model else "for this request"
        if error.retry_after is None:
            told = f"No API key of this gateway can serve {what[4:]}, and none is expected back by itself"
            headers = {**_later(_LATER), **_NO_RETRY}
            return cls(503, "no_key_available", f"{told}: its operator has to look.", headers=headers)
        seconds = math.ceil(error.retry_after) or 1
        told = f"No API key of this gateway is free {what}: the next one is expected in {seconds} s."
        return cls(429, "no_key_available", told, headers=_later(seconds))

    @classmethod
    def too_large(cls, error: RequestTooLarge) -> Refused:
        """No key's limits ever allow so many tokens."""
        told = f"The request needs {error.tokens} tokens, and no key's limit allows more than {error.largest} at once."
        return cls(413, "request_too_large", told)

    @classmethod
    def by_token(cls, error: TokenLimited) -> Refused:
        """The limits of the client's own token."""
        status, code = (413, "request_too_large") if error.retry_after is None else (429, "rate_limit_exceeded")
        return cls(status, code, f"{error}.".capitalize(), headers=error.headers)


def _later(seconds: int) -> dict[str, str]:
    return {"Retry-After": str(seconds)}


def _kind_of(status: int) -> str:
    """The error's ``type``, as OpenAI has them."""
    if status == web.HTTPTooManyRequests.status_code:
        return "rate_limit_error"
    return "server_error" if status >= web.HTTPInternalServerError.status_code else "invalid_request_error"
