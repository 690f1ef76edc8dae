"""Pieces of HTML and SVG as text."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from stable_openai.bulk.spelling import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["WIDTH", "figure", "section", "table", "text", "ticks"]

WIDTH: Final = 600  # of each picture, in its own units


def text(words: str, longest: int = 100) -> str:
    """Words as they may stand in HTML, between tags and in an attribute."""
    return escape(clean(words, longest))


def section(name: str, title: str, note: str, content: str) -> str:
    """A section of the page under a heading.

    Args:
        name: By which it is known within the page.
        title: Its heading.
        note: What there is to say of it, as HTML.
        content: The rest, as HTML.
    """
    said = f"<p>{note}</p>" if note else ""
    return f'<section aria-labelledby="{name}"><h2 id="{name}">{text(title)}</h2>{said}{content}</section>'


def figure(name: str, height: int, title: str, told: str, content: str) -> str:
    """A picture, as wide as its place.

    Args:
        name: By which it is known within the page.
        height: In pixels.
        title: What it shows.
        told: What is to be seen, for those who don't see it.
        content: SVG.
    """
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" height="{height}" preserveAspectRatio="none" role="img" '
        f'aria-labelledby="{name}-t {name}-d"><title id="{name}-t">{text(title)}</title>'
        f'<desc id="{name}-d">{text(told, 400)}</desc>{content}</svg>'
    )


def ticks(marks: Iterable[tuple[float, str]]) -> str:
    """Words below a picture: where they stand, as a share of its width, and what they are."""
    spans = (f'<span style="left:{share:.2%}">{text(words)}</span>' for share, words in marks)
    return f'<div class="ticks" aria-hidden="true">{"".join(spans)}</div>'


def table(caption: str, headings: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int]) -> str:
    """A table, whose first column names its rows.

    Args:
        caption: What it shows.
        headings: Of its columns.
        rows: Its cells, as HTML.
        numbers: Which columns are figures.
    """
    figures = set(numbers)

    def kind(column: int) -> str:
        return ' class="n"' if column in figures else ""

    head = "".join(f'<th scope="col"{kind(column)}>{text(word)}</th>' for column, word in enumerate(headings))
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{kind(column)}>{cell}</td>" if column else f'<th scope="row">{cell}</th>'
            for column, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="wide" role="region" aria-label="{text(caption)}" tabindex="0"><table>'
        f"<caption>{text(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
