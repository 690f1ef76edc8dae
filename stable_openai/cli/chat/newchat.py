"""``stable-openai newchat``."""

from __future__ import annotations

from typing import Any

import click

from .options import talk_options

__all__ = ["command"]


@click.command("newchat", short_help="Clear the last conversation, and begin a new one.")
@talk_options
def command(**settings: Any) -> None:
    """Clear the last conversation, and begin a new one; else the same as chat.

    \b
    Examples:
      stable-openai newchat
      stable-openai newchat "Which ocean is the largest?"
      stable-openai newchat --system "You are a patient teacher." --model gpt-4o
    """
    from .starting import start

    start(anew=True, keep=True, **settings)
