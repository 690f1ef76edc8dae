"""A progress bar for where there is no tqdm: one line on stderr, drawn over and over."""

from __future__ import annotations

import shutil
import sys
import time
from collections import deque
from typing import Final

__all__ = ["PlainBar"]

_RECENT_S: Final = 15.0  # the time of which the rate is shown
_WIDTH: Final = 20
_FULL: Final = "#"
_EMPTY: Final = "."


class PlainBar:
    """Takes the calls of tqdm's that a run makes.

    Args:
        total: How many there are; None where that is not known.
        unit: What stands behind their number.
        desc: What stands before it.
    """

    def __init__(self, total: int | None = None, unit: str = "", desc: str = "") -> None:
        self.total = total
        self.n = 0
        self._unit = unit
        self._desc = desc
        self._note = ""
        self._length = 0
        self._began = time.monotonic()
        self._seen: deque[tuple[float, int]] = deque([(self._began, 0)])

    def update(self, count: int = 1) -> None:
        """So many more have ended."""
        self.n += count

    def set_postfix_str(self, note: str = "", *, refresh: bool = True) -> None:
        """Have this shown behind it."""
        self._note = note
        if refresh:
            self.refresh()

    def refresh(self) -> None:
        """Draw it."""
        now = time.monotonic()
        self._seen.append((now, self.n))
        while len(self._seen) > 2 and now - self._seen[1][0] > _RECENT_S:  # noqa: PLR2004  # a rate is of two moments
            self._seen.popleft()
        self._write(self._text(now))

    def close(self) -> None:
        """Leave it as it is."""
        self._write(self._text(time.monotonic()), "\n")

    def _text(self, now: float) -> str:
        then, before = self._seen[0]
        rate = (self.n - before) / (now - then) if now > then else 0.0
        whole = int(now - self._began)
        told = f"[{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}, {rate:.1f}{self._unit}/s"
        told += f", {self._note}]" if self._note else "]"
        if not self.total:
            return f"{self._desc}: {self.n:,} {told}"
        share = min(self.n / self.total, 1.0)
        full = int(share * _WIDTH)
        return f"{share:4.0%} {_FULL * full}{_EMPTY * (_WIDTH - full)} {self.n:,}/{self.total:,} {told}"

    def _write(self, text: str, end: str = "") -> None:
        out = sys.stderr
        if out is None:
            return
        text = text[: max(shutil.get_terminal_size().columns - 1, 1)]
        out.write(f"\r{text.ljust(self._length)}{end}")
        out.flush()
        self._length = len(text)
