"""The demo as plain lines, for files, pipes and terminals that can't be drawn on: no control characters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TextIO

import click

from stable_openai.pool.table import table_of

from .journal import lines_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stable_openai import KeyStatus

    from .crawl import Crawl
    from .journal import Entry

__all__ = ["PlainView"]

_EVERY_S: Final = 2.0


class PlainView:
    """Writes events as they come, a line of progress every so often, and the table of the keys at the end."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._told = 0
        self._next_at = _EVERY_S

    def __enter__(self) -> PlainView:
        return self

    def __exit__(self, *failure: object) -> None:
        """Nothing has to be tidied up."""

    def say(self, text: str) -> None:
        """Write a line."""
        click.echo(text, file=self._stream, color=False)

    def show(self, crawl: Crawl, statuses: Sequence[KeyStatus], entries: Sequence[Entry]) -> None:
        """Write what is new."""
        over = crawl.ended is not None
        seconds = crawl.seconds
        for line in lines_of(entries[self._told :]):
            self.say(f"{seconds:5.1f} s  {line}")
        self._told = len(entries)
        if seconds >= self._next_at or over:
            self._next_at = seconds + _EVERY_S
            answered = len(crawl.answers)
            failed = f", {len(crawl.failures)} failed" if crawl.failures else ""
            self.say(
                f"{seconds:5.1f} s  {answered}/{len(crawl.prompts)} answered{failed}, "
                f"{answered / seconds if seconds else 0:.0f} req/s"
            )
        if over:
            self.say(f"\n{table_of(statuses)}\n")
