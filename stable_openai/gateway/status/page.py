"""The page of the keys, whole and in pieces."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Final

from stable_openai.bulk.spelling import spell_number

from .cells import HEADINGS, cells_of, marks_of, row_of
from .chart import chart_of
from .document import document
from .markup import form, piece, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .board import Board
    from .views import Shown, View

__all__ = ["Page", "pieces_of", "status_page"]

_REFRESH: Final = 30
_MANY: Final = 8  # keys, from which on a search is of use
_OUT: Final = ("cooling_down", "parked", "barred", "retired")


def status_page(  # what a page may be told
    board: Board, view: View, csrf: str, *, logged_in: str = "", again: bool = False, removed: str = ""
) -> str:
    """The whole page.

    Args:
        board: What it shows.
        view: Which of it.
        csrf: What its forms hold.
        logged_in: The name of the token that was shown, where there was one.
        again: Whether it loads itself again where there are no scripts.
        removed: The name of a key that was removed just before; one that is there still was not.
    """
    shown = view.choose(board)
    pieces = pieces_of(board, view, shown)
    figures = piece("dl", "figures", pieces["figures"], 'class="figures"')
    chart = piece("div", "minutes", pieces["minutes"])
    said = f"<p>{text(removed)} was removed.</p>" if removed and removed not in board.rows else ""
    main = (
        f'<div id="said" role="status" aria-live="polite">{said}</div>{figures}'
        f'<section aria-labelledby="rate"><h2 id="rate">Requests per minute</h2>{chart}</section>'
        f'<section aria-labelledby="list"><h2 id="list">Keys</h2>{_tools(board, view, pieces["found"])}'
        f"{_table(board, shown, csrf)}{piece('nav', 'pages', pieces['pages'], _PAGES)}</section>"
    )
    return document(
        "Status of the gateway",
        _header(view, csrf, logged_in, again=again),
        main,
        script=True,
        refresh=again * _REFRESH,
    )


_PAGES: Final = 'class="pages" aria-label="Pages of keys"'


def pieces_of(board: Board, view: View, shown: Shown) -> dict[str, str]:
    """What of the page changes besides the table, by its ids."""
    return {
        "figures": _figures(board),
        "minutes": chart_of(board.minutes),
        "found": _found(board, view, shown),
        "pages": _pages(view, shown),
    }


class Page:
    """One page that is kept up to date: knows what was sent to it, of the keys on it alone.

    Args:
        view: Which keys it shows.
        csrf: What its forms hold.
    """

    def __init__(self, view: View, csrf: str) -> None:
        self._view = view
        self._csrf = csrf
        self._order: list[str] = []
        self._marks: dict[str, object] = {}
        self._pieces: dict[str, str] = {}

    def differences(self, board: Board, said: Sequence[str]) -> dict[str, Any]:
        """What has changed since it was asked last. At first that is everything on the page, which may be old."""
        shown = self._view.choose(board)
        pieces = pieces_of(board, self._view, shown)
        changed = {name: html for name, html in pieces.items() if self._pieces.get(name) != html}
        marks: dict[str, object] = {}
        for row in shown.rows:
            ours = marks_of(row)
            marks.update(ours)
            if any(self._marks.get(name) != mark for name, mark in ours.items()):
                cells = cells_of(row, board.at)
                changed.update({name: cells[name] for name, mark in ours.items() if self._marks.get(name) != mark})
        order = [row.id for row in shown.rows]
        news: dict[str, Any] = {"now": board.at, "pieces": changed, "said": list(said)}
        if order != self._order:
            new = set(order).difference(self._order)
            news["order"] = order
            news["rows"] = {row.id: row_of(row, board.at, self._csrf) for row in shown.rows if row.id in new}
        self._order, self._marks, self._pieces = order, marks, pieces
        return news


# -- pieces


def _header(view: View, csrf: str, logged_in: str, *, again: bool) -> str:
    leave = ""
    if logged_in:
        leave = f'<span class="soft">Logged in as {text(logged_in)}</span>' + form(
            "/status/logout", csrf, "Log out", label=' class="plain"'
        )
    here = escape(f"/status{view.query()}")
    by_itself = f"{here}{'&amp;' if '?' in here else '?'}again=1"
    noscript = f'<noscript><a href="{by_itself}">Refresh every {_REFRESH} s</a></noscript>' if not again else ""
    return (
        '<a class="skip" href="#list">To the keys</a><h1>Status of the gateway</h1>'
        f'<nav aria-label="This page"><span id="live" class="soft"></span><a href="{here}">Refresh</a>{noscript}'
        f'<a href="/status.json">JSON</a>{leave}</nav>'
    )


def _figures(board: Board) -> str:
    totals = board.totals
    out = [f"{spell_number(totals[name])} {name.replace('_', ' ')}" for name in _OUT if totals.get(name)]
    shown = (
        ("Keys open", f"{spell_number(totals['open'])} of {spell_number(totals['keys'])}", ""),
        ("Out", spell_number(totals["keys"] - totals["open"]), ", ".join(out)),
        ("In flight", spell_number(totals["in_flight"]), ""),
        ("Waiting for a key", spell_number(totals["waiting"]), ""),
        ("Requests", spell_number(totals["requests"]), ""),
        ("Failed", spell_number(totals["failed"]), ""),
    )
    return "".join(
        f"<div><dt>{name}</dt><dd>{value}{f'<small>{more}</small>' if more else ''}</dd></div>"
        for name, value, more in shown
    )


def _tools(board: Board, view: View, found: str) -> str:
    search = ""
    if len(board.rows) > _MANY or view.search:
        search = (
            '<form role="search" method="get" action="/status"><div><label for="q">Name or owner</label>'
            f'<input type="search" id="q" name="q" maxlength="100" value="{text(view.search)}"/></div>'
            "<button>Find</button></form>"
        )
    return f'<div class="tools">{piece("p", "found", found, _SOFT)}{search}</div>'


_SOFT: Final = 'class="soft"'


def _found(board: Board, view: View, shown: Shown) -> str:
    keys = f"{spell_number(shown.found)} {'key' if shown.found == 1 else 'keys'}"
    whole = len(board.rows)
    if view.search:
        keys += f" of {spell_number(whole)} with “{text(view.search)}” in their names or owners"
    return f"{keys}, those in trouble and the busiest first" if shown.pages > 1 else keys


def _table(board: Board, shown: Shown, csrf: str) -> str:
    head = "".join(f'<th role="columnheader" scope="col">{heading}</th>' for heading in HEADINGS)
    rows = "".join(row_of(row, board.at, csrf) for row in shown.rows)
    none = "" if shown.rows else '<p class="soft">There is no such key.</p>'
    return (
        '<table role="table"><caption class="hidden">Each key: its state, what of its limits is used and left, and its '
        f'calls</caption><thead role="rowgroup"><tr role="row">{head}</tr></thead>'
        f'<tbody role="rowgroup" id="keys" data-now="{board.at}">{rows}</tbody></table>{none}'
    )


def _pages(view: View, shown: Shown) -> str:
    if shown.pages == 1:
        return ""
    here = f"<span>Page {shown.page} of {shown.pages}</span>"
    before = _link(view, shown.page - 1, "Previous") if shown.page > 1 else ""
    after = _link(view, shown.page + 1, "Next") if shown.page < shown.pages else ""
    return f"{before}{here}{after}"


def _link(view: View, page: int, words: str) -> str:
    return f'<a href="{escape(f"/status{view.query(page)}")}">{words}</a>'
