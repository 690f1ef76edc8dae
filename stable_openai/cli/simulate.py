"""``stable-openai simulate``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from .terminal import is_live

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["command"]

_ALGORITHMS: Final = ("sliding", "bucket")
_STYLES: Final = ("openai", "azure", "groq", "gemini", "plain")
_DEFAULT_KEYS: Final = 3
_LOG_LENGTH: Final = 10_000  # the count is told each second, and a snapshot costs what the log holds
_HIGHEST_PORT: Final = 65_535

_RATES: Final = {
    "server_error_rate": ("--server-errors", "requests that get a 500"),
    "overloaded_rate": ("--overloaded", "requests that get a 503"),
    "reset_rate": ("--resets", "requests whose connection is reset"),
    "hang_rate": ("--hangs", "requests that get no answer at all"),
    "garbage_rate": ("--garbage", "requests that get a 200 whose body is HTML"),
    "cut_stream_rate": ("--cut-streams", "streams that end half-way"),
    "stream_error_rate": ("--stream-errors", "streams with an error event in them"),
}


_COUNT: Final = click.IntRange(1)
_SECONDS: Final = click.FloatRange(0.01)


def _rates(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command an option for each rate."""
    for name, (option, what) in reversed(_RATES.items()):
        share = click.FloatRange(0.0, 1.0)
        add = click.option(option, name, type=share, metavar="SHARE", help=f"Share of {what}.")
        function = add(function)
    return function


@click.command("simulate", short_help="Run a provider on this machine to rehearse against.")
@click.option("--port", type=click.IntRange(0, _HIGHEST_PORT), help="Port to listen on.  [default: a free one]")
@click.option("--keys", "count", type=click.IntRange(1, 10_000), metavar="N", help="So many made-up keys, all alike.")
@click.option("--key", "secrets", multiple=True, metavar="SECRET", help="A key of this secret; may be repeated.")
@click.option("--demo-keys", "like_demo", is_flag=True, help="The demo's keys: dead, unpaid, slow and limited ones.")
@click.option("--rpm", type=_COUNT, metavar="N", help="Requests per minute of each key.")
@click.option("--rpd", type=_COUNT, metavar="N", help="Requests per day of each key.")
@click.option("--tpm", type=_COUNT, metavar="N", help="Tokens per minute of each key.")
@click.option("--tpd", type=_COUNT, metavar="N", help="Tokens per day of each key.")
@click.option("--max-concurrency", type=_COUNT, metavar="N", help="Requests in flight at once, of each key.")
@click.option("--minute", type=_SECONDS, metavar="SECONDS", help="What a minute lasts.  [default: 60]")
@click.option("--day", type=_SECONDS, metavar="SECONDS", help="What a day lasts.  [default: 1440 minutes]")
@click.option("--algorithm", type=click.Choice(_ALGORITHMS), help="How limits are counted.  [default: sliding]")
@click.option("--style", type=click.Choice(_STYLES), help="Whose errors and headers to imitate.  [default: openai]")
@click.option("--latency", "latency_s", type=click.FloatRange(0.0), metavar="SECONDS", help="Until an answer.")
@_rates
@click.option("--seed", type=int, help="Seed of the keys and of all chance.  [default: 0]")
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A TOML file of settings, [[keys]] and [[owners]]; options given here win over it.",
)
def command(
    config: Path | None, count: int | None, secrets: tuple[str, ...], *, like_demo: bool, **options: Any
) -> None:
    """Run a provider on this machine that behaves as real OpenAI-compatible ones do, until Ctrl-C.

    It serves chat completions, responses, embeddings and models, with streaming; it enforces limits, and it fails where
    it is told to. Rehearse a crawl on it before you spend money. Its answers repeat the prompt.

    \b
    Examples:
      stable-openai simulate
      stable-openai simulate --keys 5 --rpm 60 --minute 10 --port 8080
      stable-openai simulate --demo-keys --server-errors 0.02 --latency 0.3
      stable-openai simulate --key sk-mine-1 --key sk-mine-2 --tpm 90000 --algorithm bucket
      stable-openai simulate --config sim.toml

    \b
    A sim.toml:
      minute = 10.0
      server_error_rate = 0.01
      [[keys]]
      secret = "sk-sim-1"
      rpm = 60
      [[keys]]
      secret = "sk-sim-2"
      state = "unpaid"
    """
    from stable_openai.simulator import Simulator

    from .watch import Watch

    given = {name: value for name, value in options.items() if value is not None}
    try:
        simulator = Simulator(**_settings(config, count, secrets, like_demo=like_demo, given=given))
    except (TypeError, ValueError) as error:
        raise click.UsageError(str(error)) from error
    watch = Watch(simulator, live=is_live(sys.stdout))
    try:
        simulator.serve_forever(watch.start)
    except OSError as error:
        raise click.ClickException(f"the port can't be listened on: {error.strerror or error}") from error
    finally:
        watch.stop()
    watch.sum_up()


def _settings(
    config: Path | None, count: int | None, secrets: tuple[str, ...], *, like_demo: bool, given: dict[str, Any]
) -> dict[str, Any]:
    """What ``Simulator`` takes, of the file and the options."""
    from stable_openai.simulator import SimKey, demo_keys, equal_keys, settings_from_toml
    from stable_openai.simulator.settings import LIMIT_FIELDS

    settings: dict[str, Any] = {"log_length": _LOG_LENGTH}
    if config is not None:
        settings |= settings_from_toml(config)
    limits = {name: given.pop(name) for name in LIMIT_FIELDS if name in given}
    settings |= given
    seed = settings.get("seed", 0)
    if sum((count is not None, bool(secrets), like_demo)) > 1:
        raise click.UsageError("give one of --keys, --key and --demo-keys")
    if limits and (like_demo or (settings.get("keys") and count is None and not secrets)):
        whose = "--demo-keys have their own" if like_demo else "those of the file's keys stand in the file"
        raise click.UsageError(f"--{next(iter(limits)).replace('_', '-')} is for --keys and --key; {whose}")
    if like_demo:
        settings["keys"] = demo_keys(seed)
    elif secrets:
        settings["keys"] = [SimKey(secret, **limits) for secret in secrets]
    elif count is not None or not settings.get("keys"):
        settings["keys"] = equal_keys(count or _DEFAULT_KEYS, seed, **limits)
    return settings
