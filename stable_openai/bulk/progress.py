"""The progress of a run: a bar of tqdm's, or of whatever takes the same calls."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, Final, Protocol

from .capacity import Capacity
from .plain_bar import PlainBar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stable_openai.stores.snapshots import KeyStatus

    from .tally import Tally

__all__ = ["Progress", "progress_of"]

_NEVER: Final = float("inf")
_HOUR: Final = 3_600
_MINUTE: Final = 60
_FORMAT: Final = "{desc}: {n_fmt}{unit} [{elapsed}, {rate_fmt}{postfix}]"
_FORMAT_OF: Final = "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}, {rate_fmt}{postfix}]"


class Progress(Protocol):
    """What is shown while a run goes on."""

    def show(self, tally: Tally, statuses: Sequence[KeyStatus]) -> None:
        """Show how far it is."""

    def close(self) -> None:
        """It is over."""


class Bar:
    """A bar of tqdm's, or of a class that takes the same calls.

    Args:
        make: The class, or a function that makes one.
        total: How many items there are; None where that is not known.
    """

    def __init__(self, make: Callable[..., Any], total: int | None) -> None:
        options: dict[str, Any] = {"total": total, "unit": " items", "desc": "items"}
        self._bar = make(**options)
        if type(self._bar).__module__.startswith("tqdm"):
            self._bar.bar_format = _FORMAT if total is None else _FORMAT_OF
        self._shown = 0

    def show(self, tally: Tally, statuses: Sequence[KeyStatus]) -> None:
        """Show how far it is."""
        done = tally.done
        note = note_of(tally, statuses)
        if tally.total is not None and getattr(self._bar, "total", tally.total) != tally.total:
            self._bar.total = tally.total
        postfix = getattr(self._bar, "set_postfix_str", None)
        if postfix is not None and note:
            postfix(note, refresh=False)
        self._bar.update(done - self._shown)
        self._shown = done
        refresh = getattr(self._bar, "refresh", None)
        if refresh is not None:
            refresh()

    def close(self) -> None:
        """It is over; the bar stays as it is."""
        self._bar.close()


def progress_of(wanted: Any, total: int | None) -> Progress | None:
    """Who shows the progress.

    Args:
        wanted: Whether there is a bar, of tqdm's where that is installed; None: where stderr is a terminal. Or tqdm, a
            class like it, a ``Progress``.
        total: How many items there are; None where that is not known.
    """
    if wanted is None:
        wanted = _is_terminal(sys.stderr)
    if wanted is False:
        return None
    if wanted is True:
        return Bar(_bar_that_is_there(), total)
    if hasattr(wanted, "show"):
        shown: Progress = wanted
        return shown
    return Bar(wanted, total)


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):  # there is none, or it was closed
        return False


def _bar_that_is_there() -> Callable[..., Any]:
    try:
        found: Callable[..., Any] = importlib.import_module("tqdm.auto").tqdm
    except ImportError:  # openai brought it along until its version 3
        return PlainBar
    return found


def note_of(tally: Tally, statuses: Sequence[KeyStatus]) -> str:
    """What stands behind the bar: what is left, and how the keys are doing."""
    parts = []
    left = tally.seconds_left(statuses)
    if left is not None and left < _NEVER and tally.left():
        parts.append(f"{in_words(left)} left")
    if statuses:
        capacity = Capacity.of(statuses)
        parts.append(f"{capacity.up} keys up")
        if capacity.resting:
            parts.append(f"{capacity.resting} cooling")
        if capacity.out:
            parts.append(f"{capacity.out} out")
    failed = sum(tally.failed.values())
    if failed:
        parts.append(f"{failed:,} failed")
    return ", ".join(parts)


def in_words(seconds: float) -> str:
    """A time as people say it: ``1:02:03``, ``2:03``."""
    whole = round(seconds)
    if whole >= _HOUR:
        return f"{whole // _HOUR}:{whole % _HOUR // _MINUTE:02}:{whole % _MINUTE:02}"
    return f"{whole // _MINUTE}:{whole % _MINUTE:02}"
