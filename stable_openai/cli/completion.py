"""``stable-openai completion``."""

from __future__ import annotations

from typing import Final

import click

__all__ = ["command"]

_SHELLS: Final = ("bash", "zsh", "fish")


@click.command("completion", short_help="Print a script that completes commands in your shell.")
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script that makes your shell complete this program's commands and options.

    \b
    Examples, each a line of the file that your shell reads at its start:
      eval "$(stable-openai completion bash)"       ~/.bashrc (bash 4.4 or newer)
      eval "$(stable-openai completion zsh)"        ~/.zshrc, behind compinit
      stable-openai completion fish | source        ~/.config/fish/config.fish
    """
    from click.shell_completion import get_completion_class

    root = ctx.find_root()
    program = root.info_name or "stable-openai"
    kind = get_completion_class(shell)
    if kind is None:
        raise click.ClickException(f"this version of click knows no {shell}")
    variable = f"_{program}_COMPLETE".replace("-", "_").replace(".", "_").upper()  # the one that click looks for
    click.echo(kind(root.command, {}, program, variable).source())
