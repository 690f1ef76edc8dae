"""What SIGHUP has a server read again, without a stop: its keys and its certificate."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from typing import TYPE_CHECKING, Final

import click

from stable_openai.cli.complaints import complaint
from stable_openai.cli.opening import keys_for_looking
from stable_openai.errors import ConfigurationError, StableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from stable_openai.keys import Key
    from stable_openai.pool.pool import KeyPool
    from stable_openai.serving import Tls

__all__ = ["on_hangup", "read_certificate", "read_keys"]

_HANGUP: Final[int | None] = getattr(signal, "SIGHUP", None)  # Windows has none


@contextlib.contextmanager
def on_hangup(act: Callable[[], object], end: Callable[[], object]) -> Iterator[None]:
    """Have SIGHUP call something in the loop.

    Args:
        act: What to call where somebody has sent it.
        end: What to call where it tells that the terminal was closed.
    """
    if _HANGUP is None:
        yield
        return
    had_terminal = sys.stderr.isatty()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(_HANGUP, lambda: end() if had_terminal and not sys.stderr.isatty() else act())
    try:
        yield
    finally:
        loop.remove_signal_handler(_HANGUP)


def read_certificate(tls: Tls) -> None:
    """Read a certificate again, and say how that went: where it is wrong, the one before stays in use."""
    try:
        tls.renew()
    except (ConfigurationError, OSError) as error:
        click.echo(f"the certificate stays as it was: {complaint(error)}", err=True)
    else:
        click.echo("the certificate has been read again", err=True)


def read_keys(pool: KeyPool, file: Path | None, without_removed: Callable[[Sequence[Key]], list[Key]] = list) -> None:
    """Read the keys again, and say how that went: where one is wrong, all stay as they were.

    A shared store may let one wait: to be called in a thread.

    Args:
        pool: Theirs. What stays keeps its state, and its options stay.
        file: What ``--pool`` names.
        without_removed: Leaves out those that were removed by hand meanwhile.
    """
    try:
        keys = keys_for_looking(file)
        if not keys:
            raise ConfigurationError("keys", "there are none any more")
        pool.reload(without_removed(keys))
    except (StableError, OSError) as error:
        click.echo(f"the keys stay as they were: {complaint(error)}", err=True)
    else:
        click.echo(f"the keys have been read again: {len(pool)}", err=True)
