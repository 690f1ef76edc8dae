"""``stable-openai chat``."""

from __future__ import annotations

from typing import Any

import click

from .options import talk_options

__all__ = ["command"]


@click.command("chat", short_help="Talk to a model; goes on with the last conversation.")
@talk_options
@click.option("--no-history", is_flag=True, help="Neither go on with the last conversation, nor keep this one.")
def command(*, no_history: bool, **settings: Any) -> None:
    """Talk to a model, and go on with the last conversation.

    In a terminal it is a program of its own: Enter sends, Alt-Enter begins a new line, Ctrl-C stops an answer, Ctrl-D
    leaves, and /help tells the rest. With a QUESTION, or where input or output is no terminal, it answers once: nothing
    but the answer goes to the output, and the exit code tells whether there was one. A - among the words of the
    question stands for the input. The conversation is kept in your configuration folder after each answer.

    \b
    Examples:
      stable-openai chat
      stable-openai chat "Which ocean is the largest?"
      echo "Which ocean is the largest?" | stable-openai chat --no-history
      stable-openai chat "What is wrong with this?" - < program.py > answer.md
      stable-openai chat --pool keys.toml --model gpt-4o --system "Answer in French."
    """
    from .starting import start

    start(anew=False, keep=not no_history, **settings)
