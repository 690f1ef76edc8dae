"""A process that loads what it needs, says so, and then does what it is told, once: JSON by lines."""

from __future__ import annotations

import contextlib
import json
import subprocess
from typing import TYPE_CHECKING, Any

from benchmarks.environments import child_environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Self

__all__ = ["Child"]


class Child:
    """It is there for as long as the ``with`` block lasts. Several that are made at once load at once.

    Args:
        command: What starts it.
        first: What it is told before it loads; None: nothing.
        ours: Whether this package is on its path.
    """

    def __init__(self, command: Sequence[str], *, first: object = None, ours: bool = True) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=child_environment(ours=ours),
        )  # fmt: skip
        assert self._process.stdin is not None
        if first is not None:
            with contextlib.suppress(BrokenPipeError):  # ``do`` tells why it has ended
                self._process.stdin.write(json.dumps(first) + "\n")
                self._process.stdin.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_failure: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def wait(self) -> None:
        """Wait until it has loaded, or ended."""
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def do(self, spec: object) -> dict[str, Any]:
        """Tell it what to do, and wait for what comes of it; of one that fails, its last words under ``failed``."""
        said, complaint = self._process.communicate(json.dumps(spec) + "\n")
        if self._process.returncode or not said:
            return {"failed": (complaint.strip().splitlines() or ["it ended without a word"])[-1]}
        found: dict[str, Any] = json.loads(said)
        return found
