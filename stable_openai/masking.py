"""Secrets: a string that hides itself, and the mask under which it is shown."""

from __future__ import annotations

from typing import Final

__all__ = ["Secret", "mask"]

_SHOWN: Final = 4
_LONG_ENOUGH: Final = 12


def mask(secret: str) -> str:
    """Return the form in which a secret may be shown: ``sk-…abcd``; short ones show nothing at all."""
    head = "sk-" if secret.startswith("sk-") else ""
    tail = str.__getitem__(secret, slice(-_SHOWN, None)) if len(secret) >= _LONG_ENOUGH else ""
    return f"{head}…{tail}"


class Secret(str):
    """A string whose ``repr`` is masked, so that a traceback with its locals shown does not give it away."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(mask(self))
