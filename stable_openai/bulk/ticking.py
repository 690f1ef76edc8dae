"""What looks at a run now and then: draws its progress, notes how its keys stand, finds out how many should work."""

from __future__ import annotations

import logging
import threading
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Ticker"]

_log: Final = logging.getLogger("stable_openai")
_SHARE: Final = 20  # of the time, the looking may take one part


class Ticker:
    """Calls something every so often, in a thread of its own.

    Args:
        interval: Seconds between two looks; longer where a look takes long.
        look: What is called.
    """

    def __init__(self, interval: float, look: Callable[[], object]) -> None:
        self._interval = interval
        self._look = look
        self._last: SimpleQueue[Callable[[], object] | None] = SimpleQueue()  # the collector may put something in it
        self._thread = threading.Thread(target=self._run, name="stable_openai bulk", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; idempotent. A look that goes on is waited for, unless it is the one that asks."""
        self._last.put(None)
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def leave(self, last: Callable[[], object], patience: float = 0.0) -> None:
        """End, after this was done in the thread that looks.

        Args:
            last: What is to be done.
            patience: Seconds that it is waited for, where it is not that thread which asks.
        """
        if not self._thread.is_alive():  # it could not be begun
            self._call(last)
            return
        self._last.put(last)
        if patience and self._thread is not threading.current_thread():
            self._thread.join(patience)

    def _run(self) -> None:
        pause = self._interval
        while True:
            try:
                last = self._last.get(timeout=pause)
            except Empty:
                began = time.monotonic()
                self._call(self._look)
                pause = max(self._interval, _SHARE * (time.monotonic() - began))
            else:
                if last is not None:
                    self._call(last)
                return

    @staticmethod
    def _call(function: Callable[[], object]) -> None:
        try:
            function()
        except Exception:  # noqa: BLE001  # the next one may do better
            _log.exception("a look at the run has failed")
