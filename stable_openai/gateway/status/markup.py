"""Pieces of HTML as text."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from stable_openai.bulk.spelling import clean

if TYPE_CHECKING:
    from .board import Row

__all__ = ["form", "path_of", "piece", "text"]

_LONGEST: Final = 120
_TO_DOTS: Final = frozenset({".", ".."})  # what browsers take out of paths, quoted or not


def text(words: str, longest: int = _LONGEST) -> str:
    """Words as they may stand in HTML, between tags and in an attribute."""
    return escape(clean(words, longest))


def piece(tag: str, name: str, content: str, more: str = "") -> str:
    """An element that the script may be told to fill anew."""
    return f'<{tag} id="{name}"{f" {more}" if more else ""}>{content}</{tag}>'


def path_of(row: Row, what: str) -> str:
    """Where a key's button leads, escaped."""
    name = row.status.name
    return escape(f"/status/keys/{row.id if name in _TO_DOTS else quote(name, safe='')}/{what}")


def form(action: str, csrf: str, button: str, *, method: str = "post", more: str = "", label: str = "") -> str:
    """A form of one button.

    Args:
        action: Where it leads, escaped.
        csrf: What shows that it is ours; an empty text where it changes nothing.
        button: What the button is called, as HTML.
        method: ``get`` where it changes nothing.
        more: Further fields, as HTML.
        label: The button's attributes.
    """
    hidden = f'<input type="hidden" name="csrf" value="{escape(csrf)}"/>' if csrf else ""
    return f'<form method="{method}" action="{action}">{hidden}{more}<button{label}>{button}</button></form>'
