"""``stable-openai read_apikey``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from stable_openai.cli.complaints import complaints

if TYPE_CHECKING:
    from .stored import Stored

__all__ = ["command"]


@click.command("read_apikey", short_help="Show the API keys that are kept.")
@click.option("--reveal", is_flag=True, help="Show them whole, not masked.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of objects.")
def command(*, reveal: bool, as_json: bool) -> None:
    """Show the API keys that are kept for chat and newchat, masked.

    \b
    Examples:
      stable-openai read_apikey
      stable-openai read_apikey --reveal
      stable-openai read_apikey --json
    """
    from stable_openai.key_sources import keys_from_env

    from .stored import file_of_keys, stored

    with complaints():
        found = stored()
        if as_json:
            click.echo(json.dumps([_plain(each, reveal=reveal) for each in found], ensure_ascii=False, indent=1))
            return
        if found:
            click.echo(_table(found, reveal=reveal))
            click.echo(f"\n{len(found)} kept; the file is {file_of_keys()}", err=True)
            return
        click.echo("No API key is kept; stable-openai add_apikey adds one.")
        in_environment = keys_from_env()
        if in_environment:
            click.echo(f"As long as none is, the {len(in_environment)} of the environment are used.")


def _shown(stored: Stored, *, reveal: bool) -> str:
    return str.__str__(stored.key.secret) if reveal else stored.key.masked


def _plain(stored: Stored, *, reveal: bool) -> dict[str, str | None]:
    return {
        "name": stored.name,
        "key": _shown(stored, reveal=reveal),
        "owner": stored.key.owner,
        "base_url": stored.key.base_url,
        "where": stored.where,
    }


def _table(found: list[Stored], *, reveal: bool) -> str:
    rows = [[value or "" for value in _plain(each, reveal=reveal).values()] for each in found]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True) if width).rstrip() for row in rows
    )
