"""Lines of a file with their numbers, in memory that the longest line bounds."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, BinaryIO, Final

from .problems import BadLine, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LONGEST", "decoded", "is_blank", "numbered"]

LONGEST: Final = 100_000_000  # bytes of a line; OpenAI's own limit is 200 MB for a whole file
_PIECE: Final = 1 << 20


def numbered(file: BinaryIO) -> Iterator[tuple[int, bytes | Problem]]:
    """Each line with its number from 1, its end included; a problem where it is too long, which is not held then."""
    number = 0
    while piece := file.readline(_PIECE):
        number += 1
        if number == 1:
            piece = piece.removeprefix(codecs.BOM_UTF8)
        yield number, (piece if piece.endswith(b"\n") else _rest(file, piece, number))


def _rest(file: BinaryIO, piece: bytes, number: int) -> bytes | Problem:
    """A line that did not end with its first piece: the file's last, or a long one."""
    pieces, length = [piece], len(piece)
    while not piece.endswith(b"\n") and (piece := file.readline(_PIECE)):
        length += len(piece)
        if length > LONGEST:
            pieces.clear()
        else:
            pieces.append(piece)
    if length > LONGEST:
        return Problem(
            number, f"is {length / 1e6:,.1f} MB long; the longest line that is taken has {LONGEST / 1e6:.0f}"
        )
    return b"".join(pieces)


def is_blank(line: bytes) -> bool:
    """Whether there is nothing in it."""
    return not line or line.isspace()


def decoded(line: bytes) -> str:
    """A line's text.

    Raises:
        BadLine: It is not UTF-8.
    """
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        column = len(line[: error.start].decode()) + 1
        raise BadLine(f"is not UTF-8: byte 0x{line[error.start]:02x} at column {column}") from None
