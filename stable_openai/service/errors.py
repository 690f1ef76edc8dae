"""What the chat service refuses, by the names of its first version's error table, and how both servers say it.

::

    ServiceError
    ├── InvalidArgument      INVALID_ARGUMENT     400  something is missing or wrong; names the field
    ├── Unauthenticated      UNAUTHENTICATED      401  a token is needed
    ├── ForeignOrigin        PERMISSION_DENIED    403  a page of the web asks a server that wants no token
    ├── SessionNotFound      NOT_FOUND            404  there is no such session (any more)
    ├── TooManySessions      RESOURCE_EXHAUSTED   429  the server has as many as it takes
    ├── CooldownException    RESOURCE_EXHAUSTED   429  too soon after the last request to the same key
    ├── TooManyRequests      RESOURCE_EXHAUSTED   429  the limits of the caller's token, or of the server, are used up
    └── ChatGPTError         UNAVAILABLE          503  the provider was asked, and failed
"""

from __future__ import annotations

import math
from typing import ClassVar

from stable_openai.errors import StableError

__all__ = [
    "ChatGPTError",
    "CooldownException",
    "ForeignOrigin",
    "InvalidArgument",
    "ServiceError",
    "SessionNotFound",
    "TooManyRequests",
    "TooManySessions",
    "Unauthenticated",
]


class ServiceError(StableError):
    """Something that a caller is told.

    Attributes:
        code: The name of its gRPC status.
        status: Its HTTP status.
        retry_after: Seconds after which it is worth trying again; None where nothing tells.
    """

    code: ClassVar[str] = "INTERNAL"
    status: ClassVar[int] = 500

    def __init__(self, problem: str, *, retry_after: float | None = None) -> None:
        super().__init__(problem)
        self.retry_after = retry_after

    @property
    def name(self) -> str:
        """Its name in the error table."""
        return type(self).__name__

    @property
    def told(self) -> str:
        """What a caller reads: the name and the problem."""
        return f"{self.name}: {self}"

    @property
    def retry_seconds(self) -> str | None:
        """``retry_after`` as a header has it, in whole seconds."""
        return None if self.retry_after is None else str(max(math.ceil(self.retry_after), 1))


class InvalidArgument(ServiceError):
    """Something is missing or wrong; the message names the field."""

    code, status = "INVALID_ARGUMENT", 400

    @property
    def told(self) -> str:
        """The problem alone, as the table has it."""
        return str(self)


class Unauthenticated(ServiceError):
    """The caller has shown no token that the server knows."""

    code, status = "UNAUTHENTICATED", 401

    def __init__(self) -> None:
        super().__init__("show one of the server's tokens: 'authorization: Bearer …'")


class ForeignOrigin(ServiceError):
    """A page of the web, or a name that only leads to this machine, asks a server that wants no token."""

    code, status = "PERMISSION_DENIED", 403


class SessionNotFound(ServiceError):
    """There is no such session, or not for this caller."""

    code, status = "NOT_FOUND", 404


class TooManySessions(ServiceError):
    """The server has as many sessions as it takes."""

    code, status = "RESOURCE_EXHAUSTED", 429

    def __init__(self, most: int) -> None:
        super().__init__(f"Too many sessions, max {most}: delete one, or come back when one has been idle for long")


class CooldownException(ServiceError):
    """The last request to the same key is not long enough ago."""

    code, status = "RESOURCE_EXHAUSTED", 429


class TooManyRequests(ServiceError):
    """The limits of the caller's token, or of the server, are used up."""

    code, status = "RESOURCE_EXHAUSTED", 429


class ChatGPTError(ServiceError):
    """The provider was asked, and failed."""

    code, status = "UNAVAILABLE", 503
