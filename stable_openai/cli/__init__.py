"""The command line, ``stable-openai``. Importing it loads nothing; each command loads what it needs when it runs."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_CLI: Final = ("aiohttp", "click", "matplotlib", "prompt_toolkit", "rich")
_SERVER: Final = ("grpc", "grpc_health", "grpc_reflection", "google")
_EXTRAS: Final = {**dict.fromkeys(_CLI, "cli"), **dict.fromkeys(_SERVER, "cli,server")}  # what brings what
_SECOND_NAME: Final = "openai2"  # that of an older program, for its users


def main(args: Sequence[str] | None = None) -> int:
    """Run a command and give its exit code.

    Args:
        args: The arguments; those of the process where none are given.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows no "…" shows "?", and the command goes on
    try:
        from .group import group

        group.main(None if args is None else list(args), prog_name=_program())
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _EXTRAS:
            raise
        print(
            f"stable-openai: this needs {package}, which can't be loaded ({error}).\n"
            f'Install what is missing: pip install "stable-openai[{_EXTRAS[package]}]"',
            file=sys.stderr,
        )
        return 2
    except SystemExit as end:  # click ends each command so
        return end.code if isinstance(end.code, int) else int(end.code is not None)


def _program() -> str:
    """The name under which it was called: one of its two."""
    called = sys.argv[0].replace("\\", "/").rpartition("/")[2].partition(".")[0]
    return called if called == _SECOND_NAME else "stable-openai"
