"""The memory of a server's processes while something goes on, as ``/proc`` tells it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from benchmarks.gateway.servers import processes_of, resident

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Watched"]

_GAP_S: Final = 0.05
_MIB: Final = 1 << 20


class Watched:
    """Looks at a server's resident memory from the block's beginning to its end, 20 times a second.

    Args:
        pid: The server's process; its children count as well.
    """

    def __init__(self, pid: int) -> None:
        self._pids = processes_of(pid)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._before = self._most = 0

    def __enter__(self) -> Self:
        self._before = self._most = resident(self._pids)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(_GAP_S):
            self._most = max(self._most, resident(self._pids))

    def found(self) -> dict[str, float]:
        """What was resident before and at most, in MiB; empty where nothing tells it."""
        if not self._before:
            return {}
        return {"idle_mib": round(self._before / _MIB, 1), "peak_mib": round(self._most / _MIB, 1)}
