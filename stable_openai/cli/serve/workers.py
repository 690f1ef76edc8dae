"""Several processes of the gateway at one address: the system shares connections out among them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Workers", "is_worker"]

_MARK: Final = "STABLE_OPENAI_WORKER"
_YOUNG: Final = 5.0  # seconds: one that ends earlier has not begun well
_TRIES: Final = 3  # of those in a row, and all is given up


class Workers:
    """Starts workers, starts another one where one dies, and ends them all on a signal.

    Args:
        count: How many.
        arguments: The command's own arguments, which each of them gets.
    """

    def __init__(self, count: int, arguments: Sequence[str]) -> None:
        self._count = count
        self._command = [sys.executable, "-m", "stable_openai", *arguments]
        self._running: dict[int, tuple[subprocess.Popen[bytes], float]] = {}
        self._stopping = False
        self._failures = 0

    def run(self) -> int:
        """Keep them running until a signal comes, and give the exit code."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)
        for _ in range(self._count):
            self._start()
        while self._running:
            pid, status = os.wait()
            if pid in self._running:
                self._ended(pid, os.waitstatus_to_exitcode(status))
        return 1 if self._failures >= _TRIES else 0

    def _start(self) -> None:
        worker = subprocess.Popen(  # noqa: S603  # this very program
            self._command, env={**os.environ, _MARK: "1"}, start_new_session=True
        )
        self._running[worker.pid] = (worker, time.monotonic())

    def _ended(self, pid: int, code: int) -> None:
        worker, began = self._running.pop(pid)
        worker.returncode = code  # it was waited for here
        if self._stopping:
            return
        self._failures = self._failures + 1 if time.monotonic() - began < _YOUNG else 0
        if self._failures >= _TRIES:
            click.echo("the workers don't stay up: giving up", err=True)
            self._stop()
            return
        click.echo(f"worker {pid} has ended ({code}): starting another one", err=True)
        self._start()

    def _stop(self, *_signal: Any) -> None:
        again, self._stopping = self._stopping, True
        for worker, _ in tuple(self._running.values()):
            worker.send_signal(signal.SIGKILL if again else signal.SIGTERM)


def is_worker() -> bool:
    """Whether this process is one of them."""
    return bool(os.environ.get(_MARK))
