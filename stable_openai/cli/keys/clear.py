"""``stable-openai clear_apikey``."""

from __future__ import annotations

import sys

import click

from stable_openai.cli.complaints import complaints

__all__ = ["command"]


@click.command("clear_apikey", short_help="Remove all API keys that are kept.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def command(*, yes: bool) -> None:
    """Remove all API keys that add_apikey has kept, and the file of them.

    You are asked first, unless you say --yes or the input is no terminal. To remove one key, edit the file that
    read_apikey names.

    \b
    Examples:
      stable-openai clear_apikey
      stable-openai clear_apikey --yes
    """
    from stable_openai.errors import ConfigurationError

    from .stored import clear, file_of_keys, stored

    with complaints():
        try:
            found = len(stored())
        except (ConfigurationError, OSError):
            found = None  # it can't be read, and can be removed all the same
        if found == 0 and not file_of_keys().exists():
            click.echo("No API key is kept.")
            return
        what = "all API keys" if found is None else "1 API key" if found == 1 else f"{found} API keys"
        if not yes and sys.stdin.isatty():
            click.confirm(f"Remove {what}?", abort=True, err=True)
        clear()
        click.echo(f"Removed {what}.")
