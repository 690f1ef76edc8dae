"""``stable-openai demo``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from stable_openai.cli.terminal import is_live

if TYPE_CHECKING:
    from .plain import PlainView
    from .rehearsal import Rehearsal
    from .screen import Screen
    from .summary import Summary

__all__ = ["command"]

_STRATEGIES: Final = ("round-robin", "random", "least-used", "rest-time", "weighted", "fill-first")
_PICTURES: Final = (".png", ".svg", ".pdf")


def _check_picture(_ctx: click.Context, _option: click.Parameter, path: Path | None) -> Path | None:
    """Refuse before the crawl what could not be written after it."""
    if path is None:
        return None
    if path.suffix.lower() not in _PICTURES:
        raise click.BadParameter(f"its name must end in {', '.join(_PICTURES)}")
    if not path.absolute().parent.is_dir():
        raise click.BadParameter(f"there is no directory {str(path.absolute().parent)!r}")
    import matplotlib.figure  # noqa: F401  # where it is missing, better now than after the crawl

    return path


@click.command("demo", short_help="Watch a crawl go through six keys, good and bad.")
@click.option("-n", "--requests", type=click.IntRange(1, 1_000_000), default=1200, show_default=True, help="Requests.")
@click.option(
    "-t", "--threads", type=click.IntRange(1, 1000), default=20, show_default=True, help="Threads (or tasks) at once."
)
@click.option("--async", "use_tasks", is_flag=True, help="Use tasks and AsyncOpenAI instead of threads.")
@click.option(
    "--minute",
    type=click.FloatRange(0.2, 60.0),
    default=4.0,
    show_default=True,
    help="Seconds that the simulator's minute lasts, so that minutes of limits pass in seconds.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the keys, the prompts and all chance.")
@click.option(
    "--strategy",
    type=click.Choice(_STRATEGIES),
    default="round-robin",
    show_default=True,
    help="The order among keys that are ready.",
)
@click.option(
    "--errors",
    "error_rate",
    type=click.FloatRange(0.0, 1.0),
    default=0.0,
    show_default=True,
    help="Share of requests that the simulator answers with a 500.",
)
@click.option(
    "--max-wait",
    type=click.FloatRange(0.0),
    default=120.0,
    show_default=True,
    help="The longest that a call waits for a key, in seconds.",
)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    callback=_check_picture,
    help="Draw what each key did when into this file (.png, .svg, .pdf).",
)
@click.option("--json", "as_json", is_flag=True, help="Write the summary as one JSON object; the rest goes to stderr.")
def command(
    requests: int,
    threads: int,
    *,
    use_tasks: bool,
    minute: float,
    seed: int,
    strategy: str,
    error_rate: float,
    max_wait: float,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Run a crawl with the real openai client, over real HTTP, against a simulated provider on this machine.

    It goes through a pool of six keys: one is dead, one unpaid, one slow, and three have different limits. The pool is
    told the limits; that two keys are no good it finds out. Nothing leaves this machine and nothing costs money.

    The exit code is 0 only if every request was answered, else 1; 130 after Ctrl-C.

    \b
    Examples:
      stable-openai demo
      stable-openai demo --async --threads 200
      stable-openai demo --requests 3000 --minute 10 --plot timeline.png
      stable-openai demo --errors 0.05 --seed 7
      stable-openai demo --json > summary.json
    """
    try:
        from .rehearsal import Plan, Rehearsal

        rehearsal = Rehearsal(Plan(requests, threads, minute, seed, use_tasks, max_wait, error_rate, strategy))
        with _view(to_stderr=as_json) as view:
            summary = rehearsal.run(view)
        if as_json:
            click.echo(json.dumps(summary.as_dict()))
        else:
            click.echo("\n".join(summary.lines()))
        if plot is not None:
            _draw(rehearsal, summary, plot)
            click.echo(f"  timeline       {plot}", err=as_json)
    except KeyboardInterrupt:  # before the crawl, or a second one, which does not wait for anything
        sys.exit(130)
    sys.exit(summary.exit_code)


def _view(*, to_stderr: bool) -> Screen | PlainView:
    stream = sys.stderr if to_stderr else sys.stdout
    if is_live(stream):
        from .screen import Screen

        return Screen(stream)
    from .plain import PlainView

    return PlainView(stream)


def _draw(rehearsal: Rehearsal, summary: Summary, path: Path) -> None:
    from .timeline import Timeline, draw

    title = (
        f"{summary.answered} of {summary.requests} requests answered in {summary.seconds:.1f} s "
        f"(best possible {summary.best_seconds:.1f} s) by {summary.workers} {summary.uses}, seed {summary.seed}"
    )
    began = rehearsal.began
    timeline = Timeline(
        title=title,
        keys=rehearsal.keys,
        arrivals=rehearsal.stats.arrivals,
        entries=rehearsal.journal.entries,
        minute=summary.minute,
        start=began,
        end=began + summary.seconds,
    )
    draw(timeline, path)
