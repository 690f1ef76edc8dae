"""What a request asks for: its body, read within bounds, and what matters of it for choosing a key."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from aiohttp import hdrs, http_exceptions, web

from stable_openai.pool.needs import tokens_needed

from .errors import Refused
from .ids import ids_in_body, read_target
from .scrubbing import inflated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .options import GatewayOptions

__all__ = ["Asked", "Place", "Room", "asked_of", "read_body"]

_ROOT: Final = "/v1"
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_LARGE: Final = 1 << 20  # bytes of JSON, from which on it is read in a thread
_FIELD: Final = b'name="model"'
_LONGEST_NAME: Final = 256
_BLANKS: Final = 64  # bytes in which a body of JSON begins


class Asked(NamedTuple):
    """What matters of a request.

    Attributes:
        model: The model that it is for.
        tokens: The tokens that it will need.
        affinity: What it says that it belongs to.
        ids: The ids that it names of what belongs to one account, the most telling first.
        kept: Whether what it is about is kept for one account.
    """

    model: str | None = None
    tokens: int = 0
    affinity: str | None = None
    ids: tuple[str, ...] = ()
    kept: bool = False


class Room:
    """Bytes of bodies that are kept at once.

    Args:
        most: How many there may be.
    """

    def __init__(self, most: int) -> None:
        self._left = most

    @contextlib.contextmanager
    def place(self) -> Iterator[Place]:
        """A place that grows with a body, and is given back at the end if not before."""
        place = Place(self)
        try:
            yield place
        finally:
            place.leave()

    def take(self, size: int) -> bool:
        """Take so many bytes, if they are left."""
        if size > self._left:
            return False
        self._left -= size
        return True

    def give_back(self, size: int) -> None:
        """So many bytes are free again."""
        self._left += size


class Place:
    """What one request takes of the room."""

    __slots__ = ("_room", "taken")

    def __init__(self, room: Room) -> None:
        self._room = room
        self.taken = 0

    def grow(self, size: int) -> None:
        """Take so much more.

        Raises:
            Refused: There is no more.
        """
        if not self._room.take(size):
            told = "The gateway has no room for another body now: try again in a second."
            raise Refused(503, "overloaded", told, headers={"Retry-After": "1"}, closes=True)
        self.taken += size

    def leave(self) -> None:
        """Give it back."""
        taken, self.taken = self.taken, 0
        self._room.give_back(taken)


async def read_body(http: web.Request, options: GatewayOptions, place: Place) -> bytes:
    """The body of a request as it came.

    Raises:
        Refused: It is too large, takes too long, or breaks the rules of its coding.
    """
    content = http.content
    if content.is_eof() and content.total_bytes <= options.max_body:  # it came with the head
        body = content.read_nowait()
        place.grow(len(body))
        return body
    if (http.content_length or 0) > options.max_body:
        raise _too_large(options)
    if http.headers.get(hdrs.EXPECT, "").lower() == "100-continue":
        await http.writer.write(_CONTINUE)
        http.writer.output_size = 0
    try:
        return await asyncio.wait_for(_read(http, options.max_body, place), options.body_timeout)
    except asyncio.TimeoutError:
        told = f"The body did not come within {options.body_timeout:g} s."
        refused = Refused(408, "request_timeout", told, closes=True)
    except _TooMuch:
        refused = _too_large(options)
    except (http_exceptions.HttpProcessingError, web.RequestPayloadError):
        refused = Refused(400, "bad_request", "The body breaks the rules of HTTP.", closes=True)
    raise refused


class _TooMuch(Exception):
    """Never leaves this file."""


async def _read(http: web.Request, most: int, place: Place) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while piece := await http.content.readany():
        size += len(piece)
        if size > most:
            raise _TooMuch
        place.grow(len(piece))
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _too_large(options: GatewayOptions) -> Refused:
    told = f"The body is larger than the {options.max_body} bytes that this gateway accepts."
    return Refused(413, "request_too_large", told, closes=True)


async def asked_of(http: web.Request, body: bytes, *, counts_tokens: bool, most: int) -> Asked:
    """What a request asks for.

    Args:
        http: The request.
        body: Its body.
        counts_tokens: Whether tokens are worth estimating.
        most: Bytes that a compressed body may come to.
    """
    ids, kept, named = read_target(http.rel_url.raw_path_qs[len(_ROOT) :])
    if not body:
        return Asked(named, ids=ids, kept=kept)
    kind = http.headers.get(hdrs.CONTENT_TYPE, "")
    if kind.startswith("multipart/"):
        return Asked(_model_in_form(body), ids=ids, kept=kept)
    encoding = http.headers.get(hdrs.CONTENT_ENCODING, "")
    if len(body) > _LARGE or encoding:
        asked = await asyncio.to_thread(_asked, body, encoding, http.path, counts_tokens, most)
    else:
        asked = _asked(body, encoding, http.path, counts_tokens, most)
    return asked._replace(ids=tuple(dict.fromkeys((*ids, *asked.ids))), kept=True) if kept or ids else asked


def _asked(body: bytes, encoding: str, path: str, counts_tokens: bool, most: int) -> Asked:  # noqa: FBT001  # for a thread
    if encoding:
        body = inflated(body, encoding, most)
    if body[:_BLANKS].lstrip()[:1] != b"{":
        return Asked()
    try:
        fields: Any = json.loads(body)
    except (ValueError, RecursionError):
        return Asked()  # the provider will say so
    if not isinstance(fields, Mapping):
        return Asked()
    model = fields.get("model")
    model = model if isinstance(model, str) and model else None
    affinity = fields.get("prompt_cache_key")  # by which OpenAI itself finds the prompt's cache
    tokens = tokens_needed(fields, model, path) if counts_tokens else 0
    return Asked(model, tokens, affinity if isinstance(affinity, str) else None, ids_in_body(fields, body))


def _model_in_form(body: bytes) -> str | None:
    """The field ``model`` of a multipart form, as uploads of sound have it."""
    at = body.find(_FIELD)
    start = body.find(b"\r\n\r\n", at) + 4 if at >= 0 else -1
    end = body.find(b"\r\n", start, start + _LONGEST_NAME) if start > at + 3 else -1
    if end < 0:
        return None
    try:
        return body[start:end].decode("ascii").strip() or None
    except UnicodeDecodeError:
        return None
