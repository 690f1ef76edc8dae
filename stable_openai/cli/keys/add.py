"""``stable-openai add_apikey``."""

from __future__ import annotations

import sys

import click

from stable_openai.cli.complaints import complaints
from stable_openai.masking import hide

__all__ = ["command"]


@click.command("add_apikey", short_help="Keep an API key for the terminal.")
@click.argument("key", required=False)
@click.option("--name", metavar="NAME", help="What to call it.  [default: key-1, key-2, …]")
@click.option("--owner", metavar="NAME", help="Whose quota it draws on; keys of one owner share it.")
@click.option("--base-url", metavar="URL", help="The endpoint that it belongs to, where that is not OpenAI's.")
@click.option("--keyring", "in_keyring", is_flag=True, help="Keep it in the system's keyring, not in a file.")
def command(key: str | None, name: str | None, owner: str | None, base_url: str | None, *, in_keyring: bool) -> None:
    """Keep an API key for chat and newchat; for several, run it several times.

    Without KEY you are asked for it, and what you type is not shown. Where the input is no terminal, keys are read from
    it, one a line. They are kept in keys.toml in your configuration folder, which nobody but you may read; you may give
    them limits there. STABLE_OPENAI_HOME names another folder.

    \b
    Examples:
      stable-openai add_apikey
      stable-openai add_apikey --name lab --owner org-1
      stable-openai add_apikey --base-url https://example.org/v1 --keyring
      pass show openai | stable-openai add_apikey
    """
    from stable_openai.keys import Key

    from .stored import add

    secrets = hide(_given(key))
    if name is not None and len(secrets) > 1:
        raise click.UsageError("--name is for one key, but several are given")
    with complaints():
        for secret in secrets:
            Key(secret)  # all are looked at before the first is kept
    for secret in secrets:
        with complaints(secrets):
            added = add(secret, name=name, owner=owner, base_url=base_url, in_keyring=in_keyring)
        where = "in the system's keyring" if in_keyring else "in your configuration folder"
        click.echo(f"Kept {added.key.masked} as {added.name} {where}.")


def _given(key: str | None) -> list[str]:
    if key is not None:
        click.echo(
            "Note: a key on the command line stands in your shell's history now. Leave it out, and you are asked.",
            err=True,
        )
        return [key.strip()]
    if sys.stdin.isatty():
        return [str(click.prompt("API key (what you type is not shown)", hide_input=True, err=True)).strip()]
    secrets = [line.strip() for line in sys.stdin.read().splitlines() if line.strip()]
    if not secrets:
        raise click.UsageError("no key was given: neither on the line nor on the input")
    return secrets
