"""Peers in a process of their own: the old stable-openai (the same import name) and LiteLLM (threads of its own).

They are told how many calls to make, make them, and tell the seconds; between their turns they sleep.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Remote"]

_PATIENCE_S: Final = 60.0


class Remote:
    """A peer in another process.

    Args:
        python: Its interpreter.
        what: ``old`` or ``litellm``.
        keys: How many keys it has.
        environment: Its environment variables.
    """

    def __init__(self, python: str, what: str, keys: int, environment: dict[str, str]) -> None:
        # By path, so that the old package's process finds the old package and not ours.
        command = [python, str(Path(__file__)), what, str(keys)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )

    def wait(self) -> None:
        """Wait until it has loaded, while others do so, too.

        Raises:
            OSError: It could not be started; the message is its own.
        """
        if self._ask({"call": "ready"}) is None:
            error = self._process.stderr.read() if self._process.stderr is not None else ""
            self.close()
            raise OSError(error.strip().splitlines()[-1] if error.strip() else "it ended at once")

    def runner(self, call: str) -> Callable[[int], float]:
        """What times so many calls of ``bare`` or ``peer``."""

        def run(calls: int) -> float:
            took = self._ask({"call": call, "calls": calls})
            if took is None:
                raise OSError("a peer's process has ended")
            return took

        return run

    def _ask(self, message: dict[str, Any]) -> float | None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        return json.loads(line) if line else None

    def close(self) -> None:
        """End it: the old package has a thread that never ends by itself."""
        self._process.kill()
        self._process.wait(_PATIENCE_S)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


# -- in the other process


def _empty(api_key: str = "") -> int:  # noqa: ARG001
    return 1  # the old package takes None and other false values for a failure in one of its versions


def _old(keys: list[str]) -> dict[str, Callable[[], Any]]:
    import stable_openai

    stable_openai.KeyManager(keys)
    return {"bare": _empty, "peer": stable_openai.stable(_empty)}


def _litellm(keys: list[str]) -> dict[str, Callable[[], Any]]:
    import litellm

    litellm.suppress_debug_info = True
    deployments = [
        {"model_name": "m", "litellm_params": {"model": "openai/m", "api_key": key, "rpm": 100_000}} for key in keys
    ]
    router = litellm.Router(model_list=deployments)
    messages = [{"role": "user", "content": "hello"}]
    return {
        # what LiteLLM does for one mocked answer without its Router, so that the Router's own part can be told
        "bare": lambda: litellm.completion(model="openai/m", messages=messages, mock_response="hi", api_key="k"),
        "peer": lambda: router.completion(model="m", messages=messages, mock_response="hi"),
    }


def _main() -> None:
    import time

    makers = {"old": _old, "litellm": _litellm}
    out = sys.stdout
    sys.stdout = sys.stderr  # what the peer prints is no answer
    calls = makers[sys.argv[1]]([f"sk-benchmark-{number:06d}" for number in range(int(sys.argv[2]))])
    for line in sys.stdin:
        message = json.loads(line)
        took = 0.0
        if message["call"] in calls:
            function = calls[message["call"]]
            started = time.process_time()  # background threads included
            for _ in range(message["calls"]):
                function()
            took = time.process_time() - started
        print(json.dumps(took), file=out, flush=True)


if __name__ == "__main__":
    sys.path.pop(0)  # this directory holds a module `peers`, and the like
    _main()
