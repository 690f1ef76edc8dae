"""No body gives the client the secret of a key, should a provider send it back."""

from __future__ import annotations

import zlib
from typing import Final

from .headers import is_worth_hiding

__all__ = ["Leak", "Scrubber", "inflated"]

_WINDOW_BITS: Final = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
_STEP: Final = 1 << 20  # bytes that are inflated at once


class Leak(Exception):
    """A compressed body holds the secret: it can't be taken out there, so the answer ends here."""


class Scrubber:
    """Reads a body as it passes, and puts asterisks in the place of a secret: its length stays.

    A piece that ends as the secret begins is held back by so many bytes. The events of a stream end otherwise, as no
    secret has a line break in it.

    Args:
        secret: The secret; one that is too short to be any is not looked for.
        encoding: The body's ``Content-Encoding``.
    """

    __slots__ = ("_held", "_inflate", "_mask", "_secret", "_tail")

    def __init__(self, secret: str, encoding: str = "") -> None:
        self._secret = secret.encode() if is_worth_hiding(secret) else b""
        self._mask = b"*" * len(self._secret)
        self._held = b""
        self._tail = b""
        bits = _WINDOW_BITS.get(encoding.strip().lower()) if encoding else None
        self._inflate = None if bits is None or not self._secret else zlib.decompressobj(bits)

    def pass_on(self, piece: bytes) -> bytes:
        """A piece as it may be given to the client.

        Raises:
            Leak: What is compressed in it holds the secret.
        """
        if self._inflate is not None:
            self._look(piece)
            return piece
        secret = self._secret
        if not secret:
            return piece
        if self._held:
            piece, self._held = self._held + piece, b""
        if secret in piece:
            piece = piece.replace(secret, self._mask)
        begun = _begun(piece, secret)
        if begun:
            self._held = piece[-begun:]
            return piece[:-begun]
        return piece

    def rest(self) -> bytes:
        """What was held back to the end."""
        held, self._held = self._held, b""
        return held

    def _look(self, piece: bytes) -> None:
        inflate = self._inflate
        while piece and inflate is not None:
            try:
                plain = self._tail + inflate.decompress(piece, _STEP)
            except zlib.error:
                self._inflate = inflate = None  # the client won't be able to read it either
                return
            if self._secret in plain:
                raise Leak
            self._tail = plain[1 - len(self._secret) :]
            piece = inflate.unconsumed_tail


def _begun(piece: bytes, secret: bytes) -> int:
    """How many bytes at the end of a piece are the beginning of a secret."""
    first, start = secret[:1], max(len(piece) - len(secret) + 1, 0)
    at = piece.find(first, start)
    while at >= 0:
        if secret.startswith(piece[at:]):
            return len(piece) - at
        at = piece.find(first, at + 1)
    return 0


def inflated(body: bytes, encoding: str, most: int) -> bytes:
    """The beginning of a body as it is read: what was compressed, plain; what can't be read here, as it is."""
    bits = _WINDOW_BITS.get(encoding.strip().lower())
    if bits is None:
        return body
    try:
        return zlib.decompressobj(bits).decompress(body, most)
    except zlib.error:
        return body
