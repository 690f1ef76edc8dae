"""Processes that do the same at the same time: a line of JSON to each, and a line of JSON from each."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from benchmarks.environments import child_environment

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Processes"]


class Processes:
    """They are there for as long as the ``with`` block lasts.

    Args:
        module: What each runs.
        specs: What each is told first; each answers when it is ready.
    """

    def __init__(self, module: str, specs: Sequence[dict[str, Any]]) -> None:
        self._module = module
        self._specs = specs
        self._running: list[subprocess.Popen[str]] = []

    def ask(self, what: object) -> list[Any]:
        """Say the same to all, and hear what each answers."""
        for process in self._running:
            self._say(process, what)
        return [self._hear(process) for process in self._running]

    @staticmethod
    def _say(process: subprocess.Popen[str], what: object) -> None:
        assert process.stdin is not None
        process.stdin.write(json.dumps(what) + "\n")
        process.stdin.flush()

    @staticmethod
    def _hear(process: subprocess.Popen[str]) -> Any:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise OSError("one of the processes has ended")
        return json.loads(line)

    def __enter__(self) -> Processes:
        with contextlib.ExitStack() as undone:
            undone.callback(self._end)
            for spec in self._specs:
                process = subprocess.Popen(
                    [sys.executable, "-m", self._module],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=child_environment(),
                )  # fmt: skip
                self._running.append(process)
                self._say(process, spec)
            for process in self._running:
                self._hear(process)
            undone.pop_all()
        return self

    def __exit__(self, *failure: object) -> None:
        self._end()

    def _end(self) -> None:
        """End them in order: what they are told is over."""
        for process in self._running:
            assert process.stdin is not None
            with contextlib.suppress(OSError):
                process.stdin.close()
        for process in self._running:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stdout is not None
            process.stdout.close()
