"""What ``stable-openai simulate`` says: where the simulator is, how many requests it sees, what it saw in all."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import click

from stable_openai.simulator.settings import LIMIT_FIELDS

if TYPE_CHECKING:
    from rich.live import Live

    from stable_openai.simulator import SimKey, Simulator, Stats

__all__ = ["Watch"]

_DRAW_EVERY_S: Final = 0.5
_WRITE_EVERY_S: Final = 5.0


class Watch:
    """Counts a simulator's requests before the user's eyes, in a thread of its own.

    Args:
        simulator: The simulator.
        live: Whether one line is drawn over and over, or a new one is written every so often.
    """

    def __init__(self, simulator: Simulator, *, live: bool) -> None:
        self._simulator = simulator
        self._live = _make_live() if live else None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stable-openai-watch", daemon=True)

    def start(self) -> None:
        """Greet and begin; called when the simulator listens."""
        provider, base_url = self._simulator.provider, self._simulator.base_url
        keys = provider.keys
        width = max(len(key.secret) for key in keys)
        lines = [
            f"A simulated provider listens on {base_url} (Ctrl-C stops it).",
            f"A minute lasts {provider.settings.minute:g} s. Its keys, which open nothing elsewhere:",
            "",
            *(f"  {key.secret:<{width}}  {_describe(key)}" for key in keys),
            "",
            f"export OPENAI_BASE_URL={base_url} OPENAI_API_KEYS={','.join(key.secret for key in keys)}",
            "",
        ]
        click.echo("\n".join(lines))
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def sum_up(self) -> None:
        """Say what was seen, key by key."""
        stats = self._simulator.stats()
        click.echo(f"Stopped after {_count(stats)}.")
        for name, tally in stats.keys.items():
            if tally.attempts:
                outcomes = sorted(tally.outcomes.items(), key=lambda outcome: -outcome[1])
                click.echo(f"  {name}: {', '.join(f'{times} {outcome}' for outcome, times in outcomes)}")

    def _run(self) -> None:
        if self._live is not None:
            with self._live as live:
                while not self._over.wait(_DRAW_EVERY_S):
                    live.update(_count(self._simulator.stats()), refresh=True)
            return
        told = 0
        while not self._over.wait(_WRITE_EVERY_S):
            stats = self._simulator.stats()
            if stats.total.attempts != told:
                told = stats.total.attempts
                click.echo(_count(stats))


def _make_live() -> Live:
    from rich.console import Console
    from rich.live import Live

    return Live(console=Console(highlight=False), auto_refresh=False, transient=True)


def _count(stats: Stats) -> str:
    total = stats.total
    others = total.attempts - total.served - total.rate_limited
    return (
        f"{total.attempts} requests: {total.served} served, {total.rate_limited} over a limit, "
        f"{others} refused or failed"
    )


def _describe(key: SimKey) -> str:
    state = [] if key.state == "ok" else [key.state]
    slow = [] if key.latency_s is None else [f"answers in {key.latency_s} s"]
    limits = [f"{getattr(key, name)} {name}" for name in LIMIT_FIELDS if getattr(key, name) is not None]
    return ", ".join([*state, *slow, *limits]) or "no limits"
