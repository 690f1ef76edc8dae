"""Giving an answer to the client as it comes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp import HttpVersion11, web

from .scrubbing import Leak, Scrubber

if TYPE_CHECKING:
    from multidict import CIMultiDict

    from .replies import Reply

__all__ = ["ClientLeft", "relay"]

_BAD_GATEWAY: Final = 502


class ClientLeft(BaseException):
    """The client has gone: that tells nothing about the key."""


async def relay(
    http: web.Request, reply: Reply, headers: CIMultiDict[str], secret: str
) -> tuple[web.StreamResponse, int, Exception | None]:
    """Give an answer to the client, piece by piece; what is whole already goes out in one.

    Args:
        http: The request.
        reply: The answer.
        headers: Its headers, as the client is to have them.
        secret: The key's.

    Returns:
        What aiohttp is to be given, the bytes of the body, and what has broken the answer off.

    Raises:
        ClientLeft: The client does not take it any more.
    """
    scrubber = Scrubber(secret, reply.encoding)
    try:
        held = [scrubber.pass_on(piece) for piece in reply.held]
    except Leak as leak:
        return web.Response(status=_BAD_GATEWAY), 0, leak
    if reply.whole and held:
        body = b"".join([*held, scrubber.rest()])
        return web.Response(status=reply.status, headers=headers, body=body), len(body), None
    response = web.StreamResponse(status=reply.status, headers=headers)
    size, broken = 0, None
    try:
        await response.prepare(http)
        for piece in held:
            await response.write(piece)
            size += len(piece)
    except ConnectionError:
        raise ClientLeft from None
    while not reply.whole and broken is None:
        try:
            piece = await reply.content.readany()
            reply.see(piece)
            out = scrubber.pass_on(piece) if piece else scrubber.rest()
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError, Leak) as error:
            broken = error
            break
        if out:
            try:
                await response.write(out)
            except ConnectionError:
                raise ClientLeft from None
            size += len(out)
        if not piece:
            break
    if broken is not None:
        _cut(http)
    return response, size, broken


def _cut(http: web.Request) -> None:
    """End the connection so that the client can see that the answer is not whole."""
    transport = http.transport
    if transport is None:
        return
    if http.version < HttpVersion11:
        transport.abort()  # there, an end of the connection may be the end of the body
    else:
        transport.close()
