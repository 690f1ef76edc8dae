"""One question, one answer: for pipes, scripts and impatient people."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Final, NoReturn

import click

from stable_openai.cli.complaints import complaint, printable

from .interrupts import unless_interrupted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .kept import KeptChat

__all__ = ["answer_once"]

_INTERRUPTED: Final = 130  # what shells expect of a program that SIGINT has ended: 128 and its number


def answer_once(chat: KeptChat, question: str, secrets: Iterable[str]) -> None:
    """Ask, and write the answer, and nothing else, to the output as it comes.

    Raises:
        click.ClickException: There is no answer, or not the whole one; its text says why in a line.
    """
    output = _Output()
    try:
        chat.pose([{"role": "user", "content": question}])
        done = asyncio.run(_ask(chat, output))
    except BrokenPipeError:
        raise  # whoever read the answer has left
    except Exception as error:  # noqa: BLE001  # whatever it is, a script gets one line of it
        output.end()
        raise click.ClickException(complaint(error, secrets)) from None
    output.end()
    if not done:
        _leave_interrupted(chat)


async def _ask(chat: KeptChat, output: _Output) -> bool:
    return await unless_interrupted(chat.answer(output.write))


def _leave_interrupted(chat: KeptChat) -> NoReturn:
    chat.unanswered = None
    chat.keep()
    click.echo("Stopped: the question and what came of the answer are not kept.", err=True)
    raise SystemExit(_INTERRUPTED)


class _Output:
    """The standard output; where that is a terminal, the answer does not steer it."""

    def __init__(self) -> None:
        self._clean = sys.stdout.isatty()
        self._last = "\n"

    def write(self, piece: str) -> None:
        text = printable(piece) if self._clean else piece
        if text:
            self._last = text[-1]
            sys.stdout.write(text)
            sys.stdout.flush()

    def end(self) -> None:
        """End the last line."""
        if self._last != "\n":
            self.write("\n")
