"""What ``chat`` and ``newchat`` have in common: their options, and what their help says of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SETTINGS", "default_model", "talk_options"]

_DEFAULT_MODEL: Final = "gpt-4o-mini"

SETTINGS: Final = f"""\
    \b
    Settings, the first that there is of each:
      keys       --pool FILE; those of add_apikey; OPENAI_API_KEYS, OPENAI_API_KEY_1 …, OPENAI_API_KEY
      endpoint   a key's own; --base-url; OPENAI_BASE_URL; OpenAI's
      model      --model; the conversation's; STABLE_OPENAI_MODEL; {_DEFAULT_MODEL}
      system     --system; the conversation's
      folder     STABLE_OPENAI_HOME; stable-openai in your configuration folder
"""


def default_model() -> str:
    """The model where neither the command line nor the conversation names one."""
    return os.environ.get("STABLE_OPENAI_MODEL", "").strip() or _DEFAULT_MODEL


_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_OPTIONS: Final = (
    click.argument("question", nargs=-1),
    click.option("--model", "-m", metavar="NAME", help="The model."),
    click.option("--system", "-s", metavar="TEXT", help="What the model is told before all else; '' for nothing."),
    click.option("--base-url", metavar="URL", help="The endpoint, for keys that have none of their own."),
    click.option("--pool", "file", type=_FILE, metavar="FILE", help="A keys.toml whose keys to use."),
)


def talk_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a conversation, and its help the order of its settings."""
    for add in reversed(_OPTIONS):
        function = add(function)
    function.__doc__ = f"{(function.__doc__ or '').rstrip()}\n\n{SETTINGS}"
    return function
