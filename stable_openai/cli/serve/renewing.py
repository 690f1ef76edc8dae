"""A certificate that was renewed is read again on SIGHUP, without a stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING, Final

import click

from stable_openai.cli.complaints import complaint
from stable_openai.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stable_openai.serving import Tls

__all__ = ["HANGUP", "renew", "renewals"]

HANGUP: Final[int | None] = getattr(signal, "SIGHUP", None)  # Windows has none


@contextlib.contextmanager
def renewals(tls: Tls | None) -> Iterator[None]:
    """Have SIGHUP read a certificate again."""
    if tls is None or HANGUP is None:
        yield
        return
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(HANGUP, renew, tls)
    try:
        yield
    finally:
        loop.remove_signal_handler(HANGUP)


def renew(tls: Tls) -> None:
    """Read a certificate again, and say how that went: where it is wrong, the one before stays in use."""
    try:
        tls.renew()
    except (ConfigurationError, OSError) as error:
        click.echo(f"the certificate stays as it was: {complaint(error)}", err=True)
    else:
        click.echo("the certificate has been read again", err=True)
