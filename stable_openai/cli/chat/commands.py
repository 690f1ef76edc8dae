"""What may be typed after a slash."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stable_openai.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .terminal import Terminal

__all__ = ["COMMANDS", "Leave", "run_command"]


class Leave(Exception):
    """The user has said ``/quit``."""


class Refused(Exception):
    """A command can't be done; its text says why."""


# -- the commands: each is given the terminal and what was typed behind its name


def _help(terminal: Terminal, _: str) -> None:
    width = max(len(usage) for _, usage, _ in _TABLE)
    lines = [f"  {usage:<{width}}  {meaning}" for _, usage, meaning in _TABLE]
    keys = (
        "Enter sends. Alt-Enter, or a backslash and Enter, begins a new line; pasted lines stay lines.\n"
        "Up and Down go through earlier lines, Ctrl-R searches them, Tab completes.\n"
        "Ctrl-C stops an answer, Ctrl-D leaves. A question that begins with a slash is typed with two."
    )
    terminal.say("\n".join([*lines, "", keys]))


def _model(terminal: Terminal, name: str) -> None:
    if name:
        if len(name.split()) > 1:
            raise Refused("a model's name has no blanks in it")
        terminal.chat.model = name
        terminal.keep()
    terminal.say(f"The model is {terminal.chat.model}.")


def _system(terminal: Terminal, text: str) -> None:
    if text:
        terminal.chat.system = None if text == "off" else text
        terminal.keep()
    system = terminal.chat.system
    terminal.say("The model is told nothing beforehand." if system is None else f"The model is told: {system}")


def _rollback(terminal: Terminal, text: str) -> None:
    rounds = int(text) if text.isdecimal() else 0 if text else 1
    if rounds < 1:
        raise Refused("say how many rounds to take back: /rollback 2")
    gone = terminal.chat.take_back(rounds)
    if not gone:
        raise Refused("there is no round to take back")
    terminal.chat.unanswered = None
    terminal.keep()
    taken = sum(1 for message in gone if message["role"] == "user")
    terminal.say(f"Took back {taken} {'round' if taken == 1 else 'rounds'}.")
    terminal.show_last_round()


async def _retry(terminal: Terminal, _: str) -> None:
    await terminal.retry()


def _save(terminal: Terminal, text: str) -> None:
    forced = text.startswith("-f ")
    path = _path(text[3:].strip() if forced else text, "/save FILE")
    if path.exists() and not forced:
        raise Refused(f"{path} is there already; /save -f {path} writes over it")
    terminal.chat.dump(path)
    terminal.say(f"Saved {len(terminal.chat)} messages to {path}.")


def _load(terminal: Terminal, text: str) -> None:
    terminal.chat.load(_path(text, "/load FILE"))
    terminal.chat.unanswered = None
    terminal.keep()
    terminal.say(f"Loaded {len(terminal.chat)} messages; they are the conversation now.")
    terminal.show_last_round()


def _new(terminal: Terminal, _: str) -> None:
    system = terminal.chat.system
    terminal.chat.clear()
    terminal.chat.system = system
    terminal.chat.unanswered = None
    terminal.keep()
    terminal.say("A new conversation." if system is None else "A new conversation; the system message stays.")


def _keys(terminal: Terminal, _: str) -> None:
    terminal.say(f"{terminal.pool}\n\nThey are {terminal.source}.")


def _quit(_: Terminal, __: str) -> None:
    raise Leave


def _path(text: str, usage: str) -> Path:
    if not text:
        raise Refused(f"say which file: {usage}")
    return Path(text).expanduser()


_TABLE: Final[tuple[tuple[Callable[[Any, str], Awaitable[None] | None], str, str], ...]] = (
    (_help, "/help", "this list"),
    (_model, "/model [NAME]", "ask another model; alone: which it is"),
    (_system, "/system [TEXT]", "tell the model something beforehand; off: nothing; alone: what it is told"),
    (_rollback, "/rollback [N]", "take back the last round, or the last N"),
    (_retry, "/retry", "ask the last question again: one that failed or was stopped, else the last one"),
    (_save, "/save FILE", "write the conversation to a file, as JSON"),
    (_load, "/load FILE", "go on with a conversation from a file"),
    (_new, "/new", "forget this conversation, and begin a new one"),
    (_keys, "/keys", "the keys, masked, and how they are doing"),
    (_quit, "/quit", "leave (Ctrl-D)"),
)
_BY_NAME: Final = {usage.partition(" ")[0]: do for do, usage, _ in _TABLE}
COMMANDS: Final = {usage.partition(" ")[0]: meaning for _, usage, meaning in _TABLE}


async def run_command(terminal: Terminal, line: str) -> None:
    """Do what a line that begins with a slash says.

    Raises:
        Leave: It says to leave.
    """
    name, _, rest = line.strip().partition(" ")
    do = _BY_NAME.get("/quit" if name == "/exit" else name)
    if do is None:
        terminal.complain(f"there is no {name}; there are {', '.join(_BY_NAME)}. To ask it all the same: /{line}")
        return
    try:
        doing = do(terminal, rest.strip())
        if inspect.isawaitable(doing):
            await doing
    except Refused as refusal:
        terminal.complain(str(refusal))
    except (ConfigurationError, OSError, ValueError) as error:
        terminal.complain(error)
