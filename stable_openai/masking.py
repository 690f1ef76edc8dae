"""Secrets: a string that hides itself, and the mask under which it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["Secret", "hide", "mask"]

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


def hide(value: Any) -> Any:
    """The same keys with each plain secret made a ``Secret``: for local variables that a traceback may show.

    Args:
        value: A secret, a mapping with a field ``secret``, or a list, tuple or set of these; all else comes back as it
            is.
    """
    if type(value) is str:
        return Secret(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [hide(entry) for entry in value]
    if isinstance(value, Mapping) and type(value.get("secret")) is str:
        return {**value, "secret": Secret(value["secret"])}
    return value
