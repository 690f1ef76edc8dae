"""Measure what a gateway costs, beside LiteLLM's proxy: ``python -m benchmarks.gateway [--quick] [--out FILE]``.

One provider that answers at once; before it each gateway with one worker, ten keys and limits. Each in turn, round by
round: how many requests it answers at 50 connections that never rest, and what a request takes at 50 connections and a
rate that none of them is full at; then a reader that hardly reads, and a thousand streams at once. All processes share
the machine's cores, so what a worker could do with a core of its own is told by the processor's time that each request
takes of it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.environments import versions
from benchmarks.gateway import crowds, rates, slow
from benchmarks.gateway.servers import (
    DIRECT,
    OURS,
    THEIRS,
    TOKEN,
    Server,
    free_port,
    litellm_command,
    many_files,
    ours_command,
    upstream_command,
)
from benchmarks.gateway.streams import Stream

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Plan", "main", "measure", "planned", "show", "started"]

_SPARE: Final = 300  # files that a server has open besides
_FLOOD: Final = Stream(events=3_300, size=62_500)  # 206 MB


@dataclass(frozen=True)
class Plan:
    """How much of everything.

    Args:
        pace: Rounds, their seconds, and requests a second where nobody is to be full.
        slow: The stream that is hardly read.
        crowd: The streams at once.
        theirs: Whether LiteLLM's proxy takes part.
    """

    pace: rates.Pace
    slow: slow.Slow
    crowd: crowds.Size
    theirs: bool = True


def planned(*, quick: bool) -> Plan:
    """Of streams, as many as this machine lets a process have open; fewer to begin with."""
    most = min(1_000, (many_files() - _SPARE) // 2)
    if quick:
        return Plan(
            rates.Pace(1, 0.6, 100.0),
            slow.Slow(_FLOOD, 0.5, 0.2, 2e6, 0.3),
            crowds.Size(Stream(6, 100, 1.2), min(most, 300), (50,), 0.8, 5.0),
            theirs=False,  # it takes as long to start as all of this does without it
        )
    return Plan(
        rates.Pace(3, 1.0, 100.0),
        slow.Slow(_FLOOD, 2.0, 0.5, 2e6, 1.0),
        crowds.Size(Stream(36, 100, 5.0), most, (50, most), 2.5, 9.0),
    )


def measure(plan: Plan) -> dict[str, Any]:
    """Run it all."""
    os.environ[TOKEN] = f"sk-{secrets.token_hex(32)}"
    about = {"versions": versions(), "cores": os.cpu_count(), "connections": rates.CONNECTIONS, **asdict(plan.pace)}
    found: dict[str, Any] = {"about": {**about, "slow_reader": asdict(plan.slow), "streams": asdict(plan.crowd)}}
    names = (DIRECT, OURS, THEIRS) if plan.theirs else (DIRECT, OURS)
    with started(*names) as (ports, pids):
        found["rows"] = rates.measure(ports, pids, plan.pace)
        found["slow_reader"] = slow.measure((DIRECT, OURS), ports, pids, plan.slow)  # before there is memory to spare
        found["streams"] = crowds.measure(ports, pids, plan.crowd)
    if THEIRS in ports:  # started anew: it does not end with its reader, nor for a while with those who gave it up
        with started(DIRECT, THEIRS) as (ports, pids):
            found["slow_reader"] |= slow.measure((THEIRS,), ports, pids, plan.slow)
    return found


@contextlib.contextmanager
def started(*names: str) -> Iterator[tuple[dict[str, int], dict[str, int]]]:
    """Run servers until the block ends; yields the ports and the processes of those that there are."""
    ports = {name: free_port() for name in names}
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        commands = {name: _command(name, ports, folder) for name in names}
        servers = {name: stack.enter_context(Server(told, ports[name])) for name, told in commands.items() if told}
        for name, server in list(servers.items()):
            try:
                server.wait()
            except OSError as error:
                if name != THEIRS:
                    raise
                print(f"{THEIRS}: {error}", file=sys.stderr)
                del servers[name]
        ports = {name: ports[name] for name in servers}
        crowds.warm_up(ports)
        yield ports, {name: server.pid for name, server in servers.items()}


def _command(name: str, ports: dict[str, int], folder: str) -> list[str] | None:
    if name == DIRECT:
        return upstream_command(ports[name])
    if name == OURS:
        return ours_command(ports[name], ports[DIRECT])
    return litellm_command(ports[name], ports[DIRECT], folder)


def show(found: dict[str, Any], plan: Plan) -> None:
    """Print the tables."""
    rates.show(found["rows"])
    if not plan.theirs:
        print(f"  {THEIRS}: left out with --quick")
    elif THEIRS not in found["rows"]:
        print(f"  {THEIRS}: not installed here (pip install 'litellm[proxy]' into the peers' environment)")
    print()
    slow.show(found["slow_reader"], plan.slow)
    print()
    crowds.show(found["streams"], plan.crowd.stream)


def main() -> None:
    """Run it all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway", description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    options = parser.parse_args()
    plan = planned(quick=options.quick)
    found = measure(plan)
    show(found, plan)
    if options.out is not None:
        options.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
