"""Which keys a page shows: all where they are few, else a page of them, those in trouble and the busiest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from .board import rank

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .board import Board, Row

__all__ = ["SIZE", "Shown", "View"]

SIZE: Final = 50
_LONGEST: Final = 100  # characters that are searched for
_DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class Shown:
    """What of the board is on one page.

    Attributes:
        rows: The keys on it.
        page: Which page it is, from 1.
        pages: How many there are.
        found: How many keys there are on all of them.
    """

    rows: list[Row]
    page: int
    pages: int
    found: int


@dataclass(frozen=True, slots=True)
class View:
    """What was asked for.

    Attributes:
        search: A part of the names or owners of keys.
        page: Which page, from 1.
    """

    search: str = ""
    page: int = 1

    @classmethod
    def of(cls, query: Mapping[str, str]) -> View:
        """What a query asks for; what it can't mean is left out."""
        page = query.get("page", "")
        plain = page.isascii() and page.isdecimal() and len(page) <= _DIGITS
        return cls(query.get("q", "").strip()[:_LONGEST], max(int(page), 1) if plain else 1)

    def query(self, page: int | None = None) -> str:
        """The query that asks for it, or for another page of it; an empty text for all."""
        page = self.page if page is None else page
        asked = {**({"q": self.search} if self.search else {}), **({"page": str(page)} if page > 1 else {})}
        return f"?{urlencode(asked)}" if asked else ""

    def choose(self, board: Board) -> Shown:
        """The keys that it is about."""
        rows = [row for row in board.rows.values() if self._finds(row)]
        if len(board.rows) > SIZE:  # few stay where they are
            rows.sort(key=rank)
        pages = max(-(-len(rows) // SIZE), 1)
        page = min(self.page, pages)
        return Shown(rows[(page - 1) * SIZE : page * SIZE], page, pages, len(rows))

    def _finds(self, row: Row) -> bool:
        sought = self.search.casefold()
        return not sought or sought in row.status.name.casefold() or sought in (row.status.owner or "").casefold()
