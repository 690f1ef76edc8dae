"""The group of all commands. A new one is a module with a click command called ``command``, and a line here."""

from __future__ import annotations

import importlib
from typing import Final

import click

__all__ = ["group"]

_HOMES: Final = {
    "chat": "stable_openai.cli.chat.command",
    "newchat": "stable_openai.cli.chat.newchat",
    "add_apikey": "stable_openai.cli.keys.add",
    "read_apikey": "stable_openai.cli.keys.read",
    "clear_apikey": "stable_openai.cli.keys.clear",
    "status": "stable_openai.cli.status",
    "batch": "stable_openai.cli.batch.command",
    "serve": "stable_openai.cli.serve.command",
    "demo": "stable_openai.cli.demo.command",
    "simulate": "stable_openai.cli.simulate",
    "completion": "stable_openai.cli.completion",
}


class _LazyGroup(click.Group):
    """A group whose commands are imported when somebody asks for them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(_HOMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        home = _HOMES.get(cmd_name.replace("-", "_"))  # add-apikey is add_apikey
        if home is None:
            return None
        command: click.Command = importlib.import_module(home).command
        return command


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="stable-openai", prog_name="stable-openai", message="%(prog)s %(version)s")
def group() -> None:
    """Answer every OpenAI request once, at the full rate that all your API keys allow together.

    \b
    Examples:
      stable-openai add_apikey                  keep a key for the terminal; you are asked for it
      stable-openai chat                        talk to a model, or go on with the last conversation
      echo "Why?" | stable-openai chat          one answer, and nothing else, to the output
      stable-openai demo                        watch a crawl go through six keys, good and bad
      stable-openai demo --plot timeline.png    and draw what each key did when
      stable-openai simulate --keys 5 --rpm 60  a provider on this machine to rehearse against
    """
