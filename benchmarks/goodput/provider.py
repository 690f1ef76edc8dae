"""The simulated provider in a process of its own, so that client and provider share no interpreter."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from benchmarks.environments import child_environment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stable_openai.simulator import SimKey

__all__ = ["Host"]


class Host:
    """A simulator in another process, for as long as its ``with`` block lasts.

    Args:
        settings: Its settings, as ``Simulator`` takes them.
        keys: Its keys.
    """

    def __init__(self, settings: dict[str, Any], keys: Iterable[SimKey]) -> None:
        told = [{"secret": key.secret, "name": key.name, "state": key.state, "rpm": key.rpm} for key in keys]
        self._told = {"settings": settings, "keys": told}
        self.base_url = ""

    def __enter__(self) -> Host:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.goodput.provider"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=child_environment(),
        )
        self.base_url = self._ask(self._told)
        return self

    def stats(self, minute: float) -> dict[str, Any]:
        """What it saw: see ``_summary``."""
        return self._ask({"minute": minute})

    def _ask(self, message: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise OSError("the simulator has ended")
        return json.loads(line)

    def __exit__(self, *_error: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


# -- in the other process


def _summary(simulator: Any, minute: float) -> dict[str, Any]:
    """Tallies, and how many rejections a key met in its minutes after the first in which it met one."""
    stats = simulator.stats()
    limits = ("rpm", "rpd", "tpm", "tpd", "concurrency")
    first: dict[str, float] = {}
    later: dict[tuple[str, int], int] = {}
    for arrival in stats.arrivals:
        if arrival.outcome in limits:
            began = first.setdefault(arrival.key, arrival.at)
            number = int((arrival.at - began) / minute)
            if number:
                later[arrival.key, number] = later.get((arrival.key, number), 0) + 1
    return {
        "attempts": stats.total.attempts,
        "served": stats.total.served,
        "rate_limited": stats.total.rate_limited,
        "outcomes": stats.total.outcomes,
        "most_in_a_later_window": max(later.values(), default=0),
    }


def _main() -> None:
    from stable_openai.simulator import SimKey, Simulator

    told = json.loads(sys.stdin.readline())
    keys = [SimKey(key.pop("secret"), **key) for key in told["keys"]]
    settings = told["settings"]
    if isinstance(settings.get("latency_s"), list):
        settings["latency_s"] = tuple(settings["latency_s"])
    with Simulator(keys, **settings) as simulator:
        print(json.dumps(simulator.base_url), flush=True)
        for line in sys.stdin:
            print(json.dumps(_summary(simulator, json.loads(line)["minute"])), flush=True)


if __name__ == "__main__":
    _main()
