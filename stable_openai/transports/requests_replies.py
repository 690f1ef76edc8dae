"""Responses of requests in the shape that an exchange asks for, and back."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

from requests import RequestException, Response
from requests.utils import rewind_body
from urllib3 import HTTPResponse

from stable_openai.exchange import Ended, send
from stable_openai.exchange.streams import WatchedStream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stable_openai.exchange import Exchange

__all__ = ["drive"]

_PIECE: Final = 1 << 16  # bytes that are read at once, at most
_EVENTS: Final = "text/event-stream"


def drive(exchange: Exchange, request: Any, transmit: Callable[[Any], Response], *, stream: bool) -> Response:
    """Send a prepared request over the keys of an exchange.

    Args:
        exchange: What decides.
        request: The request, without a credential.
        transmit: What really sends one, and returns the response with its body unread.
        stream: Whether the caller wants to read the body himself.

    Raises:
        StableError: No key could be had, and there is no answer of the provider's.
    """

    def transmit_once(outgoing: Any) -> _Reply:
        if isinstance(outgoing._body_position, int):  # noqa: SLF001  # where requests itself notes it for redirects
            rewind_body(outgoing)
        try:
            reply = _Reply(transmit(outgoing))
            if reply.is_read_here(stream=stream):
                reply.read()
        except RequestException as error:
            error.request = request  # without the key
            raise
        return reply

    try:
        return send(exchange, request, transmit_once).given_back(request, stream=stream)  # type: ignore[no-any-return]
    except Ended as ended:
        error = ended.error
    raise error


class _Reply:
    """A response as an exchange sees it."""

    def __init__(self, response: Response) -> None:
        self.http_response: Response | None = response  # where the verdict looks for the real one
        self.status_code = response.status_code
        self.headers = response.headers.copy()
        self.headers.pop("Content-Encoding", None)  # what passes here is decoded
        self.stream: Any = _Pieces(response, is_events=self._is_events)
        self.is_closed = False

    @property
    def _is_events(self) -> bool:
        return bool(self.headers.get("Content-Type", "").startswith(_EVENTS))

    @property
    def _real(self) -> Response:
        assert self.http_response is not None  # noqa: S101  # it is let go at the end
        return self.http_response

    def is_read_here(self, *, stream: bool) -> bool:
        """Whether the body is read before the caller gets it; JSON is: it may hold an error, and tells the usage."""
        kind = self.headers.get("Content-Type", "").partition(";")[0]
        return not self._is_events and (not stream or "json" in kind)

    def read(self) -> None:
        if not self.is_closed:
            try:
                self._content = self._real.content or b""
            except BaseException:
                self.close()
                raise
            self.is_closed = True

    def close(self) -> None:
        self._real.close()

    def given_back(self, request: Any, *, stream: bool) -> Response:
        """The response as the caller gets it."""
        response, self.http_response = self._real, None  # no reference back: an answer that is dropped ends at once
        response.request = request
        watched, self.stream = self.stream, None
        if isinstance(watched, WatchedStream):
            response.raw = _Body(watched, response.raw)
        elif stream and self.is_closed:
            response.raw = _anew(response)
        return response


def _anew(response: Response) -> HTTPResponse:
    """``response.raw`` for those who read that, although the body was read here."""
    raw = response.raw
    headers = raw.headers.copy()
    headers.discard("Content-Encoding")
    return HTTPResponse(
        body=io.BytesIO(response.content or b""),
        headers=headers,
        status=raw.status,
        reason=raw.reason,
        version=raw.version,
        preload_content=False,
        original_response=getattr(raw, "_original_response", None),
    )


class _Pieces:
    """The body of a response in pieces as they arrive, decoded; what breaks it is told in requests' own exceptions."""

    def __init__(self, response: Response, *, is_events: bool) -> None:
        self._raw = response.raw
        self._is_events = is_events

    def __iter__(self) -> Iterator[bytes]:
        shell = Response()  # it has the exceptions, and marks itself as consumed
        shell.raw = self
        pieces: Iterator[bytes] = shell.iter_content(_PIECE)
        return pieces

    def stream(self, amount: int, decode_content: bool = True) -> Iterator[bytes]:  # noqa: FBT001, FBT002  # as urllib3 has it
        raw = self._raw
        if getattr(raw, "chunked", False):
            yield from raw.stream(amount, decode_content=decode_content)
        elif hasattr(raw, "read1"):
            while piece := raw.read1(amount, decode_content=decode_content):
                yield piece
        else:  # an older urllib3 waits for as much as it is told: for events, that is one byte
            yield from raw.stream(1 if self._is_events else amount, decode_content=decode_content)

    def close(self) -> None:
        self._raw.close()
        self._raw.release_conn()


class _Body(io.RawIOBase):
    """``response.raw`` of an answer that is still coming. What was read ahead comes first; all of it is decoded."""

    def __init__(self, stream: WatchedStream, raw: Any) -> None:
        self._raw = raw
        self._watched = stream
        self._pieces = iter(stream)
        self._piece = b""
        self._taken = 0  # of the piece

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def _take(self, amount: int | None) -> bytes:
        """What comes next, ``amount`` bytes at most; nothing at the end."""
        if self._taken >= len(self._piece):
            self._piece, self._taken = b"" if self.closed else next(self._pieces, b""), 0
        end = len(self._piece) if amount is None else self._taken + amount
        taken = self._piece[self._taken : end]
        self._taken = end
        return taken

    def stream(self, amt: int | None = _PIECE, decode_content: bool | None = None) -> Iterator[bytes]:  # noqa: ARG002, FBT001  # as urllib3 has it
        """As urllib3 has it."""
        while piece := self._take(amt):
            yield piece

    def read(self, amt: int | None = -1, decode_content: bool | None = None, cache_content: bool = False) -> bytes:  # noqa: ARG002, FBT001, FBT002  # as urllib3 has it
        """As urllib3 has it: waits for as much as it is told, or for the end."""
        if amt is None or amt < 0:
            return b"".join(self.stream())
        pieces, missing = [], amt
        while missing and (piece := self._take(missing)):
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._take(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        """Close the connection; as far as it was read, the answer counts as a success."""
        if not self.closed:
            super().close()
            self._watched.close()
