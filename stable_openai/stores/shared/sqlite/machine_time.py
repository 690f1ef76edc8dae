"""The time of a machine: one clock for all of its processes, which goes on over a restart.

The monotonic clock is the same for all processes of a machine, and nobody can set it; but it starts anew at each boot.
So the store keeps an anchor: which boot, and how far the store's time is ahead of that boot's monotonic clock. The
first process after a boot sets it such that the store's time is the wall clock's, or that of the last entry where the
wall clock is behind it; all others take it over. What follows from that:

* Setting the wall clock while processes run neither frees nor blocks a window.
* Over a restart, time has moved on by the wall clock, and never back.
* While a machine sleeps its monotonic clock may stand still: windows last longer then, never shorter.
* Where time would go back all the same (a virtual machine that was set back to an earlier state), it is anchored anew
  at the last entry, and goes on from there.

A boot has a name on Linux. Elsewhere it is known by its moment, which is only as good as the wall clock: where the two
clocks have drifted apart by more than a minute, it counts as another one.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    Execute = Callable[..., sqlite3.Cursor]

__all__ = ["GivenTime", "MachineTime", "StoreTime"]

_BOOT_NAME: Final = "/proc/sys/kernel/random/boot_id"
_TOLERANCE: Final = 60.0
_READ: Final = "SELECT boot, offset FROM clock"
_LATEST: Final = "SELECT at FROM log ORDER BY seq DESC LIMIT 1"
_WRITE: Final = "INSERT OR REPLACE INTO clock (id, boot, offset) VALUES (1, ?, ?)"


class StoreTime(Protocol):
    """The clock of a store in a file."""

    def now(self) -> float:
        """Seconds on the store's clock."""

    def take_over(self, execute: Execute) -> bool:
        """Go by the anchor that is stored; False where there is none that holds."""

    def anchor(self, execute: Execute, latest: float = 0.0) -> None:
        """Go by the anchor that is stored, or by a new one that is stored now. Only inside a write transaction.

        Args:
            execute: That of the connection.
            latest: A moment of the store's time that has been, beside those of its entries.
        """


class GivenTime:
    """Moments come from a function (tests)."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now

    def take_over(self, execute: Execute) -> bool:  # noqa: ARG002
        """There is nothing to anchor."""
        return True

    def anchor(self, execute: Execute, latest: float = 0.0) -> None:
        """There is nothing to anchor."""


class MachineTime:
    """Moments come from the machine's monotonic clock, anchored to its wall clock."""

    def __init__(self) -> None:
        self._offset = 0.0

    def now(self) -> float:
        """Seconds on the store's clock."""
        return time.monotonic() + self._offset

    def take_over(self, execute: Execute, latest: float = 0.0) -> bool:
        """Go by the anchor that is stored; False where there is none that holds."""
        stored = execute(_READ).fetchone()
        if stored is None or not _same_boot(stored[0], _this_boot()):
            return False
        self._offset = stored[1]
        return self.now() >= max(latest, _latest(execute))

    def anchor(self, execute: Execute, latest: float = 0.0) -> None:
        """Go by the anchor that is stored, or by a new one that is stored now. Only inside a write transaction."""
        if not self.take_over(execute, latest):
            start = max(time.time(), latest, _latest(execute))
            self._offset = start - time.monotonic()
            execute(_WRITE, (_this_boot(), self._offset))


def _latest(execute: Execute) -> float:
    row: Any = execute(_LATEST).fetchone()
    return 0.0 if row is None else float(row[0])


def _this_boot() -> str:
    try:
        with open(_BOOT_NAME, encoding="ascii") as file:  # noqa: PTH123  # a device rather than a document
            return file.read().strip()
    except OSError:
        return f"{time.time() - time.monotonic():.0f}"


def _same_boot(stored: str, this: str) -> bool:
    if stored == this:
        return True
    try:
        return abs(float(stored) - float(this)) < _TOLERANCE
    except ValueError:
        return False
