"""What servers call themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["sign"]

_NAME: Final = "stable-openai"


async def sign(_http: Any, response: web.StreamResponse) -> None:
    """For ``on_response_prepare``: name the server, without the versions of what it is made of."""
    response.headers["Server"] = _NAME
