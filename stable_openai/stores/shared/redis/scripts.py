"""The scripts that run inside the server, packed for the wire."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from .wire import packed

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["RIGHTS", "Script"]

RIGHTS: Final = "+eval +evalsha +get +hmget +hset +lindex +lrange +ltrim +publish +rpush +set +subscribe +time"
"""What an ACL user needs, beside the keys and the channel."""


@cache
def _source(name: str) -> bytes:
    return files(__package__).joinpath(f"{name}.lua").read_bytes()


class Script:
    """One script, with the keys that it is run on.

    Args:
        name: That of the file ``<name>.lua``.
        keys: All keys that it reads or writes.
    """

    __slots__ = ("_by_sum", "_in_full", "_length")

    def __init__(self, name: str, keys: Sequence[str]) -> None:
        source = _source(name)
        total = hashlib.sha1(source, usedforsecurity=False).hexdigest().encode()
        numbered = [b"%d" % len(keys), *(key.encode() for key in keys)]
        self._by_sum = packed([b"EVALSHA", total, *numbered])
        self._in_full = packed([b"EVAL", source, *numbered])
        self._length = 2 + len(numbered)

    def command(self, arguments: Sequence[bytes], *, in_full: bool = False) -> bytes:
        """Pack a call.

        Args:
            arguments: What the script finds in ``ARGV``.
            in_full: Send the script itself, as the server has not seen it yet; it will know it from then on.
        """
        head = self._in_full if in_full else self._by_sum
        return b"*%d\r\n%b%b" % (self._length + len(arguments), head, packed(arguments))
