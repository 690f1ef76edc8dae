"""An answer on the screen as it comes: finished blocks of Markdown are printed for good, the last one is drawn anew."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from rich.live import Live
from rich.markdown import Markdown
from rich.segment import Segment
from rich.spinner import Spinner
from rich.text import Text

from stable_openai.cli.complaints import printable

from .blocks import last_part, split, split_all

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from rich.console import Console, ConsoleOptions, RenderResult

__all__ = ["Answer", "PlainAnswer", "without_echo"]

_MARGIN: Final = 2  # lines of the screen that stay free below what is drawn anew
_SOURCE_LINES: Final = 4  # lines of Markdown for one of the screen: paragraphs are written in short ones at times


class PlainAnswer:
    """An answer where nothing can be drawn: plain text, as it comes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._begun = False

    def __enter__(self) -> PlainAnswer:
        return self

    def __exit__(self, *failure: object) -> None:
        if self._begun:
            self._console.file.write("\n")
            self._console.file.flush()

    def note(self, text: str) -> None:
        """Say what is being waited for; here, nowhere."""

    def add(self, piece: str) -> None:
        """Take one piece."""
        self._begun = True
        self._console.file.write(printable(piece))
        self._console.file.flush()

    def draw(self) -> None:
        """Show what has come; here, that has been done."""


class Answer:
    """An answer on a terminal. ``add`` takes a piece, ``draw`` shows it; leaving the block prints all for good."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rest = ""  # what is not printed for good yet
        self._printed = False
        waiting = "dots" if console.encoding.lower().startswith("utf") else "line"
        self._spinner = Spinner(waiting, Text("waiting for the answer (Ctrl-C stops it)", style="dim"))
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Answer:
        self._live.start()
        self.draw()
        return self

    def __exit__(self, *failure: object) -> None:
        self._live.update("")
        self._live.stop()
        for block in split_all(self._rest):
            self._print(block)

    def note(self, text: str) -> None:
        """Say what is being waited for, until the first piece comes."""
        self._spinner.update(text=Text(f"waiting: {printable(text)} (Ctrl-C stops it)", style="dim"))

    def add(self, piece: str) -> None:
        """Take one piece."""
        self._rest += printable(piece).replace("\r", "")

    def draw(self) -> None:
        """Show what has come since."""
        blocks, self._rest = split(self._rest)
        for block in blocks:
            self._print(block)
        if self._rest or self._printed:
            self._live.update(_Block(self._rest, gap=self._printed, last=True), refresh=True)
        else:
            self._live.update(self._spinner, refresh=True)

    def _print(self, text: str) -> None:
        self._console.print(_Block(text, gap=self._printed), end="")
        self._printed = True


class _Block:
    """A block of Markdown, without the empty lines that some have around them; above it one, if so wished.

    Args:
        text: The Markdown.
        gap: Whether an empty line stands above.
        last: Whether to draw no more than the last lines, as many as the screen holds.
    """

    def __init__(self, text: str, *, gap: bool, last: bool = False) -> None:
        self._text = text
        self._gap = gap
        self._last = last

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = max(console.size.height - _MARGIN, 1)
        text = last_part(self._text, room * _SOURCE_LINES) if self._last else self._text
        lines = console.render_lines(Markdown(text), options.update(height=None), pad=False)
        while lines and _is_blank(lines[0]):
            del lines[0]
        while lines and _is_blank(lines[-1]):
            del lines[-1]
        if self._gap:
            lines.insert(0, [])
        for line in lines[-room:] if self._last else lines:
            yield from line
            yield Segment.line()


def _is_blank(line: list[Segment]) -> bool:
    return not any(segment.text.strip() for segment in line)


@contextlib.contextmanager
def without_echo(stream: TextIO) -> Iterator[None]:
    """Keep what is typed meanwhile from being written over the answer; it is not lost, but waits for the next line."""
    try:
        import termios
    except ImportError:  # Windows
        yield
        return
    if not stream.isatty():
        yield
        return
    descriptor = stream.fileno()
    before = termios.tcgetattr(descriptor)
    quiet = termios.tcgetattr(descriptor)
    quiet[3] &= ~termios.ECHO
    termios.tcsetattr(descriptor, termios.TCSANOW, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSANOW, before)
