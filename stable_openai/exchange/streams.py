"""The body of a response that is still coming, settled when it is over: exhausted, broken, closed or forgotten."""

from __future__ import annotations

import contextlib
import functools
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from .events import EventWatch
    from .exchange import Exchange
    from .observing import Observation

__all__ = ["WatchedAsyncStream", "WatchedStream", "watched", "watched_async"]


class _Watched:
    """What both kinds have in common."""

    _exchange: Exchange | Observation | None = None

    def __init__(self, response: Any, watch: EventWatch | None) -> None:
        self._response = response
        self._watch = watch
        self._inner = response.stream
        self._held: list[bytes] = []

    def _see(self, piece: bytes) -> None:
        if self._watch is not None:
            self._watch.feed(piece)
            if self._watch.error is not None:
                self._end()  # at once: not every client closes a stream that has told of an error

    def _seen(self) -> None:
        if self._watch is not None:
            self._watch.finish()

    def pass_on(self, exchange: Exchange | Observation) -> None:
        """Take the place of the response's own stream, and with it the settlement."""
        self._exchange = exchange
        self._response.stream = self

    def _end(self, error: BaseException | None = None) -> None:
        exchange, self._exchange = self._exchange, None
        if isinstance(error, GeneratorExit) or (self._watch is not None and self._watch.error is not None):
            error = None  # closed, as one may; or over already, by an error event
        # While the interpreter ends nothing can be counted on, and nobody waits for the key any more.
        if exchange is not None and not sys.is_finalizing():
            exchange.ended_late(self._response, self._watch, error)

    def __del__(self) -> None:
        self._end()


class WatchedStream(_Watched):
    """For ``for``. What was read ahead comes first."""

    _pieces: Iterator[bytes]

    def begin(self, *, ahead: bool) -> None:
        """Begin; ``ahead``: read until content begins, an error event comes, or the stream is over."""
        self._pieces = iter(self._inner)
        watch = self._watch if ahead else None
        while watch is not None and not watch.decided:
            piece = next(self._pieces, None)
            if piece is None:
                watch.finish()
                return
            self._held.append(piece)
            watch.feed(piece)

    def put_by(self) -> None:
        """Close the connection and keep what was read: it may turn out to be the last answer that there is."""
        self._inner.close()
        self._pieces = iter(())
        self._response.stream = self

    def __iter__(self) -> Iterator[bytes]:
        try:
            held, self._held = self._held, []
            yield from held
            for piece in self._pieces:
                self._see(piece)
                yield piece
            self._seen()
        except BaseException as error:
            self._end(error)
            raise
        self._end()

    def close(self) -> None:
        """Close the connection; as far as it was read, it counts as a success."""
        try:
            self._inner.close()
        finally:
            self._end()


class WatchedAsyncStream(_Watched):
    """For ``async for``."""

    _pieces: AsyncIterator[bytes]

    async def begin(self, *, ahead: bool) -> None:
        """Begin; ``ahead``: read until content begins, an error event comes, or the stream is over."""
        self._pieces = aiter(self._inner)
        watch = self._watch if ahead else None
        while watch is not None and not watch.decided:
            piece = await anext(self._pieces, None)
            if piece is None:
                watch.finish()
                return
            self._held.append(piece)
            watch.feed(piece)

    async def put_by(self) -> None:
        """Close the connection and keep what was read: it may turn out to be the last answer that there is."""
        await self._inner.aclose()
        self._pieces = _nothing()
        self._response.stream = self

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        # No async generator: one that is left half-way is closed by a task, some time after everything else.
        if self._held:
            return self._held.pop(0)
        try:
            piece = await anext(self._pieces)
        except StopAsyncIteration:
            self._seen()
            self._end()
            raise
        except BaseException as error:
            self._end(error)
            raise
        self._see(piece)
        return piece

    async def aclose(self) -> None:
        """Close the connection; as far as it was read, it counts as a success."""
        try:
            await self._inner.aclose()
            close = getattr(self._pieces, "aclose", None)
            if close is not None:
                with contextlib.suppress(RuntimeError):  # another task waits for a piece, and ends it
                    await close()
        finally:
            self._end()


async def _nothing() -> AsyncIterator[bytes]:
    nothing: tuple[bytes, ...] = ()
    for piece in nothing:
        yield piece


def watched(response: Any, watch: EventWatch | None) -> WatchedStream:
    """Make what can take the place of a response's own stream."""
    stream: WatchedStream = _kind(WatchedStream, response.stream.__class__, "SyncByteStream")(response, watch)
    return stream


def watched_async(response: Any, watch: EventWatch | None) -> WatchedAsyncStream:
    """Make what can take the place of an async response's own stream."""
    stream: WatchedAsyncStream = _kind(WatchedAsyncStream, response.stream.__class__, "AsyncByteStream")(
        response, watch
    )
    return stream


@functools.cache
def _kind(ours: type, theirs: type, base: str) -> Any:
    """Our class as a subclass of the base that httpx, or httpx2, demands: whichever this response is of."""
    bases = tuple(found for found in theirs.__mro__ if found.__name__ == base)
    return type(ours.__name__, (ours, *bases), {})
