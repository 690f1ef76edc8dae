"""The demo on a terminal: a progress bar, a live table of the keys, the last events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from stable_openai.pool.table import describe

from .journal import lines_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stable_openai import KeyStatus, WindowStatus

    from .crawl import Crawl
    from .journal import Entry

__all__ = ["Screen"]

_EVENTS: Final = 4
_WIDE: Final = 100  # columns; with fewer, bars are short and states are cut
# Colour only repeats what the words say; blue, yellow and magenta stay apart for colour-blind eyes.
_COLOURS: Final = {"open": "blue", "cooling down": "yellow", "parked": "magenta", "barred": "magenta", "retired": "red"}


class Screen:
    """Draws the demo, in place, as often as ``show`` is called."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        self._told = 0
        self._last: list[str] = []

    def __enter__(self) -> Screen:
        self._live.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        """Write a line above what is drawn."""
        self._console.print(text, markup=False, soft_wrap=True)

    def show(self, crawl: Crawl, statuses: Sequence[KeyStatus], entries: Sequence[Entry]) -> None:
        """Draw everything anew."""
        self._last += [f"{crawl.seconds:5.1f} s  {line}" for line in lines_of(entries[self._told :])]
        self._told = len(entries)
        del self._last[:-_EVENTS]
        events = Text("\n".join(self._last + [""] * (_EVENTS - len(self._last))), style="dim", no_wrap=True)
        events.overflow = "ellipsis"
        self._live.update(
            Group("", _progress(crawl), "", key_table(statuses, self._console.width), events), refresh=True
        )


def _progress(crawl: Crawl) -> Table:
    answered, total = len(crawl.answers), len(crawl.prompts)
    failed = f", {len(crawl.failures)} failed" if crawl.failures else ""
    rate = answered / crawl.seconds if crawl.seconds else 0.0
    row = Table.grid(padding=(0, 1), expand=True)
    row.add_column(ratio=1)
    row.add_column(no_wrap=True)
    row.add_row(
        ProgressBar(total=max(total, 1), completed=answered, complete_style="blue", finished_style="blue"),
        f"{answered}/{total} answered{failed}   {crawl.seconds:4.1f} s   {rate:.0f} req/s",
    )
    return row


def key_table(statuses: Sequence[KeyStatus], width: int) -> Table:
    """All keys, one a row, for a terminal of so many columns."""
    wide = width >= _WIDE
    table = Table(box=None, pad_edge=False, padding=(0, 2 if wide else 1, 0, 0), header_style="bold", expand=False)
    for heading in ("key", "secret"):
        table.add_column(heading, no_wrap=True)
    table.add_column("state", no_wrap=True, overflow="ellipsis", min_width=22, max_width=None if wide else 22)
    for heading in ("calls", "failed", "running"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("window", no_wrap=True)
    for status in statuses:
        windows = [window for lane in status.lanes for window in lane.windows]
        fullest = max(windows, key=lambda window: window.used / window.limit, default=None)
        table.add_row(
            status.name,
            status.masked,
            _state(status, fullest),
            str(status.uses),
            str(status.failed),
            str(status.in_flight),
            "" if fullest is None else _bar(fullest, 12 if wide else 6),
        )
    return table


def _state(status: KeyStatus, fullest: WindowStatus | None) -> Text:
    state = describe(status)
    if state != "open":
        standing = next((name for name in _COLOURS if state.startswith(name)), "open")
        return Text(state.replace("_", " "), style=_COLOURS[standing])
    if fullest is not None and not fullest.left:
        return Text("open, window is full", style="dim")
    return Text(state, style=_COLOURS["open"])


def _bar(window: WindowStatus, length: int) -> Text:
    full = round(length * min(window.used / window.limit, 1.0))
    text = Text("━" * full, style="blue")
    text.append("━" * (length - full), style="bright_black")
    text.append(f" {window.used}/{window.limit}")
    return text
