"""A crowd: processes of threads with real clients, over one shared pool, against a simulated provider.

As a program it is one of the processes: told by JSON on its first line of stdin, it says when it is ready, begins when
it is told to, and writes on stdout what came of it.
"""

from __future__ import annotations

import collections
import json
import os
import sys
import threading
import time
from bisect import bisect_left
from dataclasses import asdict, dataclass
from typing import Any, Final

import stable_openai
from stable_openai import KeyPool
from stable_openai.simulator import Simulator, Stats, equal_keys
from stable_openai.stores.protocol import Grant
from stable_openai.stores.shared.store import SharedStore

from .processes import Processes

__all__ = ["Crowd", "Found"]

_PATIENCE_S: Final = 300.0  # for a key; nobody gives up earlier


@dataclass(frozen=True)
class Found:
    """What came of a crowd.

    Attributes:
        answered: The prompts that were answered rightly.
        errors: What else happened, by kind.
        grants: The key and the moment of the store's time of each grant, in no order.
        stats: What the provider saw.
        waits_s: How long each call took, the wait for a key included, in seconds.
        cpu_s: The processor time of all processes of the crowd.
        seconds: How long it went on.
    """

    answered: list[str]
    errors: dict[str, int]
    grants: list[tuple[str, float]]
    stats: Stats
    waits_s: list[float]
    cpu_s: float
    seconds: float

    def most_in_a_window(self, minute: float, key: str | None = None) -> int:
        """The most grants of a key (None: of any one) within a minute, by the store's time."""
        by_key: dict[str, list[float]] = {}
        for name, at in sorted(self.grants):
            if key in (None, name):
                by_key.setdefault(name, []).append(at)
        return max(
            (bisect_left(times, at + minute) - place for times in by_key.values() for place, at in enumerate(times)),
            default=0,
        )


@dataclass(frozen=True)
class Crowd:
    """So many processes of so many threads.

    Attributes:
        store: The URL of the store.
        processes: How many.
        threads: Of each.
        keys: How many.
        rpm: Of each.
        minute: How many seconds the provider's minute lasts.
        minutes: How many of them new calls are begun in.
    """

    store: str
    processes: int = 8
    threads: int = 8
    keys: int = 20
    rpm: int = 30
    minute: float = 10.0
    minutes: float = 3.0

    def secrets(self) -> list[str]:
        """Those of its keys."""
        return [key.secret for key in equal_keys(self.keys)]

    def people(self) -> Processes:
        """Its processes, for a ``with`` block; other crowds of the same number may use them too."""
        return Processes("benchmarks.stores.crowd", [{"name": number} for number in range(self.processes)])

    def run(self, people: Processes) -> Found:
        """Let it crawl."""
        keys = equal_keys(self.keys, rpm=self.rpm)
        with Simulator(keys, minute=self.minute, log_length=1_000_000) as simulator:
            people.ask({**asdict(self), "base_url": simulator.base_url, "secrets": self.secrets()})
            started = time.monotonic()
            told = people.ask("go")
            seconds = time.monotonic() - started
            stats = simulator.stats()
        errors = sum((collections.Counter(one["errors"]) for one in told), collections.Counter())
        return Found(
            [prompt for one in told for prompt in one["answered"]],
            dict(errors),
            [(key, at) for one in told for key, at in one["grants"]],
            stats,
            sorted(wait for one in told for wait in one["waits_s"]),
            sum(one["cpu_s"] for one in told),
            seconds,
        )

    def goodput(self, stats: Stats) -> float:
        """What was let in after the first minute, against what the limits allow."""
        begin = stats.arrivals[0].at + self.minute
        end = begin + (self.minutes - 1) * self.minute
        within = sum(arrival.accepted and begin <= arrival.at < end for arrival in stats.arrivals)
        return within / (self.keys * self.rpm * (self.minutes - 1))


# -- in the other process


class _NotedStore(SharedStore):
    """A shared store that notes each grant."""

    grants: Final[list[tuple[str, float]]] = []

    def _granted(self, op: Any, ask: Any, result: Any) -> Any:
        found = super()._granted(op, ask, result)
        if isinstance(found, Grant):
            self.grants.append((found.name, result.state.at))
        return found


class _Member:
    """One process in one crowd."""

    def __init__(self, name: int, spec: dict[str, Any], pool: KeyPool) -> None:
        self._name = name
        self._spec = spec
        self._client = stable_openai.OpenAI(pool=pool, base_url=spec["base_url"])
        self._gate = threading.Event()
        self._until = 0.0
        self._answered: list[str] = []
        self._waits: list[float] = []
        self._errors: collections.Counter[str] = collections.Counter()
        self._threads = [threading.Thread(target=self._work, args=[number]) for number in range(spec["threads"])]
        for thread in self._threads:
            thread.start()

    def crawl(self) -> dict[str, Any]:
        """Begin, and tell what came of it."""
        cpu, self._until = time.process_time(), time.monotonic() + self._spec["minutes"] * self._spec["minute"]
        self._gate.set()
        for thread in self._threads:
            thread.join()
        cpu = time.process_time() - cpu
        self._client.close()
        told = {"answered": self._answered, "errors": self._errors, "waits_s": self._waits, "cpu_s": cpu}
        return {**told, "grants": _NotedStore.grants}

    def _work(self, thread: int) -> None:
        self._gate.wait()
        turn = 0
        while time.monotonic() < self._until:
            prompt = f"{self._name}-{thread}-{turn}"
            turn += 1
            began = time.monotonic()
            try:
                answer = self._client.chat.completions.create(
                    model="gpt-4o", messages=[{"role": "user", "content": prompt}]
                )
                if answer.choices[0].message.content == f"You said: {prompt}":
                    self._answered.append(prompt)
                else:
                    self._errors["wrong answer"] += 1
            except Exception as error:  # noqa: BLE001  # whatever it is, the call is lost
                self._errors[f"{type(error).__name__}: {error}"[:200]] += 1
            self._waits.append(round(time.monotonic() - began, 4))


def _main() -> None:
    from stable_openai.stores.shared import store

    store.SharedStore = _NotedStore  # type: ignore[misc]
    name = json.loads(sys.stdin.readline())["name"]
    _say("ready")
    for line in sys.stdin:
        spec = json.loads(line)
        _NotedStore.grants.clear()
        options = {"rpm": spec["rpm"], "minute": spec["minute"], "store": spec["store"], "max_wait": _PATIENCE_S}
        with KeyPool(spec["secrets"], **options) as pool:
            member = _Member(name, spec, pool)
            _say("ready")
            sys.stdin.readline()
            found = member.crawl()
        _say(found)
    os._exit(0)  # all is said and closed; taking what openai has loaded apart takes seconds


def _say(what: object) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    _main()
