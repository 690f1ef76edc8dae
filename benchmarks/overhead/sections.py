"""The parts of the overhead: kinds of function, numbers of keys, threads, tasks, LiteLLM and the old package."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.environments import child_environment, is_there
from benchmarks.timing import LOOPS, Contender, Rounds, run_in_threads, take_turns

from .functions import EMPTY, KINDS
from .ours import Ours
from .peers import bare, decorated, in_process
from .remote import Remote

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Pace", "keys", "kinds", "routers", "tasks", "threads"]

TASKS = 1_000


@dataclass(frozen=True)
class Pace:
    """How long to look: rounds, and seconds for each contender in a round."""

    rounds: int = 11
    seconds: float = 0.02
    quick: bool = False


def kinds(pace: Pace) -> dict[str, Any]:
    """Each kind of function, with 10 keys, against all peers that take it."""
    found: dict[str, Any] = {}
    for kind in KINDS:
        peers, missing = in_process(kind, 10)
        contenders = [bare(kind), Ours(kind, 10).contender(), *peers]
        rounds = take_turns(contenders, rounds=pace.rounds, seconds=pace.seconds)
        found[kind] = {"rows": rounds.summary(), "missing": missing}
    return found


def keys(pace: Pace) -> dict[str, Any]:
    """1 to 10,000 keys, with tenacity beside."""
    counts = (10, 10_000) if pace.quick else (1, 10, 1_000, 10_000)
    found: dict[str, Any] = {}
    for kind in ("function",) if pace.quick else ("function", "coroutine"):
        contenders = [bare(kind), *(Ours(kind, count).contender(f"{count:,} keys") for count in counts)]
        tenacity = decorated("tenacity", kind)
        if tenacity is not None:
            contenders.append(Contender("tenacity", lambda calls, f=tenacity, k=kind: LOOPS[k](f, calls)))
        rounds = take_turns(contenders, rounds=pace.rounds, seconds=pace.seconds)
        rows = rounds.summary()
        for count in counts:
            rows[f"{count:,} keys"]["of_10_keys"] = round(rounds.ratio(f"{count:,} keys", "10 keys"), 3)
        found[kind] = {"rows": rows}
    return found


def threads(pace: Pace) -> dict[str, Any]:
    """1, 8 and 64 threads that call one function: calls a second, together."""
    ours = Ours("function", 1_000)  # so many keys only that the pool need not be made anew
    functions: dict[str, Callable[[int], Any]] = {"bare": lambda _: EMPTY["function"], "stable_openai": ours.function}
    for name in ("tenacity",) if pace.quick else ("wrapt", "tenacity", "stamina", "backoff"):
        function = decorated(name, "function")
        if function is not None:
            functions[name] = lambda _, function=function: function
    contenders = [
        Contender(
            f"{name}/{count}",
            lambda calls, get=get, count=count: run_in_threads(get(calls), calls, count),
            most=ours.capacity if name == "stable_openai" else 20_000_000,
        )
        for name, get in functions.items()
        for count in (1, 8, 64)
    ]
    # Long enough that 64 threads get many turns each: the interpreter switches every 5 ms. And so in fewer rounds.
    rounds = take_turns(contenders, rounds=min(pace.rounds, 3 if pace.quick else 7), seconds=5 * pace.seconds)
    found: dict[str, Any] = {}
    for contender in contenders:
        name, count = contender.name.split("/")
        found.setdefault(name, {})[count] = round(1e9 / rounds.median(contender.name))
    for name, rates in found.items():
        for count in (8, 64):
            pairs = zip(rounds.times[f"{name}/1"], rounds.times[f"{name}/{count}"], strict=True)
            rates[f"{count} to 1"] = round(statistics.median(alone / shared for alone, shared in pairs), 3)
    return found


def tasks(pace: Pace) -> dict[str, Any]:
    """1,000 tasks that call one coroutine function, giving way to one another between calls."""

    def runner(get: Callable[[int], Any]) -> Callable[[int], float]:
        def run(calls: int) -> float:
            return asyncio.run(_in_tasks(get(calls), max(1, calls // TASKS)))

        return run

    ours = Ours("coroutine", 1_000)
    functions: dict[str, Callable[[int], Any]] = {"bare": lambda _: EMPTY["coroutine"], "stable_openai": ours.function}
    for name in ("tenacity", "stamina", "backoff"):
        function = decorated(name, "coroutine")
        if function is not None:
            functions[name] = lambda _, function=function: function
    each = 2 if pace.quick else 10
    rounds = Rounds({name: [] for name in functions})
    for _ in range(pace.rounds):
        for name, get in functions.items():
            took = runner(get)(each * TASKS)
            rounds.times[name].append(took / (each * TASKS) * 1e9)
    return rounds.summary()


async def _in_tasks(function: Callable[[], Any], each: int) -> float:
    async def work() -> None:
        for _ in range(each):
            await function()
            await asyncio.sleep(0)

    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(TASKS)))
    return time.perf_counter() - started


def routers(pace: Pace, old_python: str | None, python: str) -> dict[str, Any]:
    """The old package and LiteLLM's Router, each in a process of its own, beside ours and tenacity."""
    found: dict[str, Any] = {}
    for count in (10,) if pace.quick else (10, 1_000, 10_000):
        contenders = [bare("function"), Ours("function", count).contender()]
        tenacity = decorated("tenacity", "function")
        if tenacity is not None:
            contenders.append(Contender("tenacity", lambda calls, f=tenacity: LOOPS["function"](f, calls)))
        remotes, missing = _remotes(count, old_python, python)
        for name, remote in remotes.items():
            contenders.append(Contender(name, remote.runner("peer")))
            contenders.append(Contender(f"{name}: without it", remote.runner("bare")))
        try:
            for remote in remotes.values():
                remote.wait()
            rounds = take_turns(contenders, rounds=min(pace.rounds, 9), seconds=pace.seconds)
        finally:
            for remote in remotes.values():
                remote.close()
        rows = rounds.summary()
        for name in remotes:
            rows[name]["added_ns"] = round(rounds.added(name, f"{name}: without it"), 1)
            rows[name]["of_ours"] = round(rows[name]["added_ns"] / rows["stable_openai"]["added_ns"], 1)
            rows[name]["whole_of_ours"] = round(rows[name]["ns"] / rows["stable_openai"]["added_ns"], 1)
            rows[name]["times_bare"] = round(rows[name]["added_ns"] / rows["bare"]["ns"], 1)
            del rows[f"{name}: without it"]
        found[f"{count:,} keys"] = {"rows": rows, "missing": missing}
    return found


def _remotes(count: int, old_python: str | None, python: str) -> tuple[dict[str, Remote], list[str]]:
    remotes, missing = {}, []
    if old_python is None:
        missing.append("stable-openai 0.1.1")
    else:
        remotes["stable-openai 0.1.1"] = Remote(old_python, "old", count, child_environment(ours=False))
    if not is_there("litellm"):
        missing.append("LiteLLM Router")
    elif count <= 1_000:  # it takes minutes to set up ten thousand
        remotes["LiteLLM Router"] = Remote(python, "litellm", count, {**os.environ})
    return remotes, missing
