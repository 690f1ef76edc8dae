"""The line, or lines, in which a question is typed: editing, history, completion."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import has_focus
from prompt_toolkit.history import FileHistory, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings

from stable_openai.cli.private_files import make_folder, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.history import History
    from prompt_toolkit.key_binding import KeyPressEvent

__all__ = ["Prompt"]

_LARGEST: Final = 1 << 20  # bytes of lines typed before that are remembered
_KEPT: Final = _LARGEST // 2


class Prompt:
    """Asks for a question.

    Args:
        file: Where the lines that were typed are kept; None: nowhere.
        commands: What may be typed after a slash, and what it does.
        models: Gives the models that there may be.
        footer: Gives the line below.
    """

    def __init__(
        self,
        file: Path | None,
        commands: Mapping[str, str],
        models: Callable[[], Iterable[str]],
        footer: Callable[[], str],
    ) -> None:
        self._session: PromptSession[str] = PromptSession(
            history=_history(file),
            multiline=True,
            key_bindings=_bindings(),
            completer=_Completer(commands, models),
            complete_while_typing=True,
            bottom_toolbar=footer,
            prompt_continuation=". ",
            enable_suspend=True,
            reserve_space_for_menu=6,
        )

    async def ask(self, draft: str = "") -> str:
        """Ask for a question.

        Args:
            draft: What stands there already.

        Raises:
            KeyboardInterrupt: Ctrl-C was typed.
            EOFError: Ctrl-D was typed, or the terminal is gone.
        """
        text = await self._session.prompt_async("> ", default=draft)
        return text.encode("utf-8", "replace").decode()  # half characters, as a broken terminal may send them


def _history(file: Path | None) -> History:
    """The lines of earlier times: in a file that is its owner's alone, and does not grow for ever."""
    if file is None:
        return InMemoryHistory()
    make_folder(file.parent)
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600))
    if file.stat().st_size > _LARGEST:
        rest = file.read_bytes()[-_KEPT:].decode("utf-8", "replace")
        write(file, rest[max(rest.find("\n\n#"), 0) :])  # from the beginning of an entry on
    return FileHistory(str(file))


def _bindings() -> KeyBindings:
    bindings = KeyBindings()

    typing = has_focus(DEFAULT_BUFFER)  # and not the search for an earlier line

    @bindings.add("enter", filter=typing)
    def send(event: KeyPressEvent) -> None:
        """Send; a backslash at the end of the line makes it a new line instead."""
        buffer = event.current_buffer
        if buffer.document.current_line_before_cursor.endswith("\\"):
            buffer.delete_before_cursor()
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    @bindings.add("escape", "enter", filter=typing)
    def new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return bindings


class _Completer(Completer):
    """Completes commands, and what some of them take: files, models."""

    def __init__(self, commands: Mapping[str, str], models: Callable[[], Iterable[str]]) -> None:
        self._commands = commands
        self._models = models
        self._files = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        text = document.text_before_cursor
        if not text.startswith("/") or text.startswith("//"):
            return
        word, blank, rest = text.partition(" ")
        if not blank:
            yield from self._matching(word, self._commands)
        elif word == "/model":
            yield from self._matching(rest, dict.fromkeys(self._models(), ""))
        elif word in ("/save", "/load"):
            yield from self._files.get_completions(Document(rest, len(rest)), complete_event)

    def _matching(self, begun: str, known: Mapping[str, Any]) -> Iterable[Completion]:
        for name, meaning in known.items():
            if name.startswith(begun):
                yield Completion(name, start_position=-len(begun), display_meta=meaning)
