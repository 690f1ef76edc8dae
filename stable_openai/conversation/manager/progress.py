"""The progress of a list: a bar in the terminal, or a call to whoever wants to know."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

__all__ = ["Listener", "Tell", "bar", "progress_of"]

Listener: TypeAlias = Callable[[int, int], object]
Tell: TypeAlias = Callable[[int, int], object]


def progress_of(progress: bool | Listener, total: int) -> contextlib.AbstractContextManager[Tell]:  # noqa: FBT001  # as told
    """Who is told how many of so many have ended, and how many of these without an answer.

    Args:
        progress: Whether there is a bar, where one can be drawn; or what is called with (ended, total).
        total: How many there are.
    """
    if callable(progress):
        listen = progress
        return contextlib.nullcontext(lambda done, _failed: listen(done, total))
    console = _terminal() if progress and total else None
    return contextlib.nullcontext(_nobody) if console is None else bar(console, total)


def _nobody(done: int, failed: int) -> None:
    """Nobody is told."""


def _terminal() -> Console | None:
    """The terminal on stderr; None where that is none, or rich is not installed."""
    try:
        from rich.console import Console
    except ImportError:
        return None
    console = Console(stderr=True)
    return console if console.is_terminal and not console.is_dumb_terminal else None


@contextlib.contextmanager
def bar(console: Console, total: int) -> Iterator[Tell]:
    """Draw a bar, which stays when it is over."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    with Progress(*columns, *times, console=console) as drawn:
        task = drawn.add_task("answered", total=total)
        yield functools.partial(_draw, drawn.update, task)


def _draw(update: Callable[..., object], task: object, done: int, failed: int) -> None:
    update(task, completed=done, description=f"answered, {failed} failed" if failed else "answered")
