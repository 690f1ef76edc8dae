"""An answer of a provider's, read no further than it takes to know whether it is one."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

from stable_openai.exchange.events import watch_of
from stable_openai.exchange.exchange import is_object
from stable_openai.masking import mask
from stable_openai.pool.usage import tokens_used
from stable_openai.verdict import Answer, Reason

from .headers import is_worth_hiding
from .scrubbing import inflated

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp

    from stable_openai.exchange.events import EventWatch
    from stable_openai.pool.pool import KeyPool

__all__ = ["Reply", "without"]

_FINAL_FROM: Final = 200
_ERRORS_FROM: Final = 400  # statuses of errors (RFC 9110, 15.5 and 15.6)
_LOOKED_AT: Final = 512  # bytes at the start of a good answer in which an error would stand
_HELD: Final = 1 << 20  # bytes that are read before an answer is passed on
_AHEAD: Final = 1 << 16  # bytes of a stream that are held back for its first content
_HEAD: Final = 1 << 16  # bytes at the start of an answer in which the ids of what it is about stand
_PASSING: Final = 1 << 13  # as many, where they are looked at as they pass
_TAIL: Final = 4096  # bytes at the end of an answer in which its usage stands
_USAGE: Final = b'"usage"'
_NO_BODY: Final = (204, 304)
_JSON: Final = "application/json"


class Reply:
    """One answer.

    Args:
        response: Its head, and the way to its body.
        method: The request's method.

    Attributes:
        held: What of the body was read already.
        whole: Whether that is all of it.
        watch: What reads its events, where it is a stream of events.
    """

    __slots__ = (
        "_head", "_learner", "_tail", "content", "encoding", "held", "is_json", "method", "response", "status", "watch",
        "whole",
    )  # fmt: skip

    def __init__(self, response: aiohttp.ClientResponse, method: str) -> None:
        self.response = response
        self.content = response.content
        self.method = method
        self.status = response.status
        self.encoding = response.headers.get("Content-Encoding", "")
        self.is_json = response.headers.get("Content-Type", "").startswith(_JSON)
        self.held: list[bytes] = []
        self.whole = method == "HEAD" or response.status in _NO_BODY
        self.watch: EventWatch | None = None
        self._tail = self._head = b""
        self._learner: Callable[[bytes], bool] | None = None

    async def examine(self, pool: KeyPool, secret: str, look_ahead: float) -> Answer | None:
        """Read the beginning; returns the error that the answer is, or None for a good one.

        Args:
            pool: Whose rules judge a body that may be an error in spite of its status.
            secret: The key's: verdicts are logged, and hold the provider's words.
            look_ahead: Seconds that a stream may be held back until its content begins.
        """
        found = await self._examine(pool, look_ahead)
        return None if found is None else without(found, secret)

    async def _examine(self, pool: KeyPool, look_ahead: float) -> Answer | None:
        if self.status < _FINAL_FROM:
            raise ConnectionResetError("the provider has changed to another protocol")
        if self.status >= _ERRORS_FROM:
            await self._read(_HELD)
            return self._as_answer()
        if self.whole:
            return None
        if not self.is_json:
            self.watch = watch_of(self.response, self.response.url.path)
        if self.watch is not None:
            if look_ahead:
                await self._look_ahead(self.watch, look_ahead)
            return self.watch.error
        if not self.is_json:
            return None
        return await self._examine_object(pool)

    async def _examine_object(self, pool: KeyPool) -> Answer | None:
        await self._read(_LOOKED_AT)
        head = inflated(b"".join(self.held), self.encoding, _LOOKED_AT)
        if b'"error"' in head[:_LOOKED_AT]:
            await self._read(_HELD)
            answer = self._as_answer()
            if not is_object(answer.body) and pool.judge(answer).reason is not Reason.OK:
                return answer
        elif (self.response.content_length or _HELD) < _HELD:
            await self._read(_HELD)
        return None

    async def _read(self, most: int) -> None:
        """Read on until so much was read, or all."""
        size = sum(map(len, self.held))
        while not self.whole and size < most:
            piece = await self.content.readany()
            if piece:
                self.held.append(piece)
                size += len(piece)
            self.whole = not piece or self.content.at_eof()

    async def _look_ahead(self, watch: EventWatch, seconds: float) -> None:
        """Hold the stream back until it is known what it is, but not for long."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        size = 0
        while not watch.decided and size < _AHEAD:
            left = until - loop.time()
            if left <= 0:
                return
            try:
                piece = await asyncio.wait_for(self.content.readany(), left)
            except asyncio.TimeoutError:
                if loop.time() < until:
                    raise  # the provider's silence, not our patience
                return
            if not piece:
                watch.finish()
                self.whole = True
                return
            self.held.append(piece)
            size += len(piece)
            watch.feed(piece)

    def _as_answer(self) -> Answer:
        """What is judged: the body in plain, whatever it was compressed by."""
        return Answer(self.status, self.response.headers, inflated(b"".join(self.held), self.encoding, _HELD))

    def teach(self, learner: Callable[[bytes], bool]) -> None:
        """Show somebody the beginning of the body: what was read of it, and what passes until he has seen enough.

        Args:
            learner: Is called with the beginning, as far as there is one; returns whether that was enough.
        """
        if not self.is_json and self.watch is None:
            return
        self._head = inflated(b"".join(self.held), self.encoding, _HEAD)
        if not learner(self._head) and not self.whole and not self.encoding:
            self._learner = learner

    def see(self, piece: bytes) -> None:
        """Look at a piece that is passed on after what was held."""
        if self._learner is not None:
            self._head += piece
            if self._learner(self._head) or len(self._head) > _PASSING:
                self._learner, self._head = None, b""
        if self.watch is not None:
            self.watch.feed(piece)
        elif self.is_json:
            self._tail = (self._tail + piece)[-_TAIL:]

    def tokens(self) -> int | None:
        """What the answer says of its usage of tokens, once it was passed on."""
        if self.watch is not None:
            return self.watch.tokens
        if not self.is_json:
            return None
        if self.whole:
            return _usage_of(inflated(b"".join(self.held), self.encoding, _HELD))
        return None if self.encoding else _usage_of(self._tail)

    def close(self) -> None:
        """Give its connection up, unless it was read to the end."""
        self.response.close()


def without(answer: Answer, secret: str) -> Answer:
    """The same answer, whose body does not hold the secret."""
    body = answer.body
    if not is_worth_hiding(secret):
        return answer
    if isinstance(body, bytes):
        return Answer(answer.status, answer.headers, body.replace(secret.encode(), mask(secret).encode()))
    told = json.dumps(body)
    return (
        Answer(answer.status, answer.headers, json.loads(told.replace(secret, mask(secret))))
        if secret in told
        else answer
    )


def _usage_of(body: bytes) -> int | None:
    """The last ``usage`` in a body, or in the end of one: within a text its quotes would be escaped."""
    at = body.rfind(_USAGE)
    start = body.find(b"{", at)
    if at < 0 or start < 0:
        return None
    try:
        usage: Any = json.JSONDecoder().raw_decode(body[start:].decode("utf-8", "replace"))[0]
    except (ValueError, RecursionError):
        return None
    return tokens_used({"usage": usage})
