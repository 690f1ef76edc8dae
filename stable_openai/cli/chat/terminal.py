"""The conversation in a terminal: asks for lines, and does what they say, until the user leaves."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.text import Text

from stable_openai.cli.complaints import complaint, printable
from stable_openai.cli.terminal import is_live
from stable_openai.conversation.chat import shown

from .commands import COMMANDS, Leave, Refused, run_command
from .interrupts import deaf, unless_interrupted
from .prompt import Prompt
from .screen import Answer, PlainAnswer, without_echo

if TYPE_CHECKING:
    from pathlib import Path

    from stable_openai.conversation.content import Message
    from stable_openai.pool.pool import KeyPool

    from .kept import KeptChat

__all__ = ["Terminal"]

_DRAW_EVERY_S: Final = 0.08  # a dozen times a second looks like at once


class Terminal:
    """One conversation in one terminal.

    Attributes:
        chat: The conversation.
        pool: Its keys.
        source: Where they come from, in words.
    """

    def __init__(self, chat: KeptChat, pool: KeyPool, source: str, lines: Path | None) -> None:
        self.chat = chat
        self.pool = pool
        self.source = source
        self._console = Console(highlight=False, soft_wrap=False)
        self._prompt = Prompt(lines, COMMANDS, self._models, self._footer)
        self._draft = ""
        self._stopped: list[Message] | None = None  # the question whose answer was stopped last

    async def run(self) -> None:
        """Talk until the user leaves."""
        with deaf():
            self._greet()
            threading.Thread(target=self.chat.warm_up, daemon=True).start()
            while True:
                try:
                    line = await self._prompt.ask(self._take_draft())
                except KeyboardInterrupt:
                    self.say("(Ctrl-D leaves)")
                    continue
                except EOFError:
                    return
                try:
                    await self._do(line)
                except Leave:
                    return

    async def _do(self, line: str) -> None:
        if not line.strip():
            return
        if line.startswith("/") and not line.startswith("//"):
            await run_command(self, line)
            return
        await self.ask([{"role": "user", "content": line.removeprefix("/") if line.startswith("//") else line}])

    # -- asking

    async def ask(self, question: list[Message], *, again: bool = False) -> bool:
        """Ask, and show the answer as it comes; tells whether there is one. Whatever goes wrong is said in a line."""
        self._stopped = None
        view = Answer(self._console) if is_live(sys.stdout) else PlainAnswer(self._console)
        forget = self.pool.on_event(lambda event: view.note(str(event)))
        done, error = True, None
        try:
            self.chat.pose(question, again=again)
            with without_echo(sys.stdin), view:
                done = await unless_interrupted(self._answer(view))
        except Exception as caught:  # noqa: BLE001  # whatever it is, the program goes on
            error = caught
        finally:
            forget()
        if error is not None and self.chat.unanswered is not None:
            self.complain(error)
            self.say("The question can be asked again: /retry")
        elif error is not None:  # the answer is there, but could not be written down
            self.complain(error)
        elif not done:
            self._stopped, self.chat.unanswered = question, None
            if not again:
                self.keep()
            self.say("Stopped: neither the question nor this part of an answer is kept. /retry asks again.")
        return done and error is None

    async def _answer(self, view: Answer | PlainAnswer) -> None:
        async def draw() -> None:
            while True:
                await asyncio.sleep(_DRAW_EVERY_S)
                view.draw()

        drawing = asyncio.create_task(draw())
        try:
            await self.chat.answer(view.add)
        finally:
            drawing.cancel()

    async def retry(self) -> None:
        """Ask the question again that has no answer; else the last one, whose answer is kept until there is another."""
        question = self.chat.unanswered or self._stopped
        if question is not None:
            self._echo(question)
            await self.ask(question)
            return
        before = self.chat.state()
        gone = self.chat.take_back(1)
        question = [message for message in gone if message["role"] == "user"]
        if not question:
            raise Refused("there is no question yet")
        self._echo(question)
        if not await self.ask(question, again=True):
            self.chat.put_back(before)
            self._stopped = self.chat.unanswered = None
            self.say("The answer that was there stays.")

    # -- saying

    def say(self, text: str) -> None:
        """Write a remark of the program's."""
        self._console.print(Text(printable(text), style="dim"))

    def complain(self, what: str | BaseException) -> None:
        """Say in one line what went wrong."""
        secrets = [str.__str__(key.secret) for key in self.pool.keys]
        line = complaint(what, secrets) if isinstance(what, BaseException) else printable(what)
        self._console.print(Text(line, style="red"))

    def show_last_round(self) -> None:
        """Show the round that the conversation ends with."""
        for message in self.chat.last_round():
            if message["role"] == "user":
                self._echo([message])
            elif message["role"] == "assistant":
                with Answer(self._console) if is_live(sys.stdout) else PlainAnswer(self._console) as view:
                    view.add(shown(message))

    def _echo(self, question: list[Message]) -> None:
        for message in question:
            self._console.print(Text("> " + printable(shown(message)).replace("\n", "\n. "), style="bold"))

    def _greet(self) -> None:
        chat = self.chat
        keys = "1 key" if len(self.pool) == 1 else f"{len(self.pool)} keys"
        self.say(f"{chat.model}, {keys} {self.source}. /help tells what you can do, Ctrl-D leaves.")
        if chat.system is not None:
            self.say(f"The model is told: {chat.system}")
        if chat.last_round():
            self.say(f"Going on with a conversation of {len(chat)} messages, which ends so:")
            self.show_last_round()
        if chat.unanswered is not None:
            self.say("Your last question has no answer yet. It is in the line below: Enter asks it again.")
            self._draft = "\n".join(map(shown, chat.unanswered))

    def _take_draft(self) -> str:
        draft, self._draft = self._draft, ""
        return draft

    def _footer(self) -> str:
        return f" {self.chat.model} · {len(self.chat)} messages · Enter sends · Alt-Enter new line · /help "

    def _models(self) -> list[str]:
        known = {model for key in self.pool.keys for model in key.models or ()}
        return sorted({self.chat.model, *known})

    # -- keeping

    def keep(self) -> None:
        """Write the conversation down; where that fails, say so and go on."""
        try:
            self.chat.keep()
        except OSError as error:
            self.complain(error)
            self.say("The conversation could not be written down; it is in memory still, and /save tries elsewhere.")
