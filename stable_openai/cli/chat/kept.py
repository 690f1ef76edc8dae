"""A conversation that is kept in a file, whole after each round, with the question that has no answer yet."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from stable_openai.cli.private_files import write
from stable_openai.conversation.archive import read
from stable_openai.conversation.chat import Chat
from stable_openai.conversation.content import system_msg
from stable_openai.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from stable_openai.conversation.content import Message

__all__ = ["KeptChat"]


class KeptChat(Chat):
    """A ``Chat`` and its file. A process that is killed loses nothing: what was asked last is there, too.

    Args:
        file: Where it is kept; None: nowhere.
        api_key: As ``Chat`` takes it.
        model: The model.
        options: What ``Chat`` takes.

    Attributes:
        unanswered: The question, as messages, that was asked and has no answer; None where there is none.
    """

    def __init__(self, file: Path | None, api_key: Any, *, model: str, **options: Any) -> None:
        super().__init__(api_key, model=model, **options)
        self._file = file
        self.unanswered: list[Message] | None = None

    # -- the file

    def resume(self, *, model: bool) -> None:
        """Go on with what the file holds, where it is there.

        Args:
            model: Whether with its model, too.

        Raises:
            ConfigurationError: It holds no conversation.
            OSError: It can't be read.
        """
        if self._file is None or not self._file.exists():
            return
        messages, pinned = read(self._file)
        self._history.replace(messages, pinned)
        content = json.loads(self._file.read_text(encoding="utf-8-sig"))
        extra = content if isinstance(content, dict) else {}
        if model and isinstance(extra.get("model"), str) and extra["model"]:
            self.model = extra["model"]
        self.unanswered = _question(extra.get("unanswered"))

    def keep(self) -> None:
        """Write it down, whole.

        Raises:
            OSError: It can't be written; what was there stays.
        """
        if self._file is None:
            return
        messages, pinned = self.state()
        content = {
            "format": 1,
            "messages": messages,
            "pinned": pinned,
            "model": self.model,
            "unanswered": self.unanswered,
        }
        write(self._file, json.dumps(content, ensure_ascii=False, indent=1) + "\n")

    # -- what the terminal changes

    @property
    def model(self) -> str:
        """The model that is asked from now on."""
        return str(self._options["model"])

    @model.setter
    def model(self, name: str) -> None:
        self._options["model"] = name

    @property
    def system(self) -> str | None:
        """What the model is told before all else."""
        first = next(iter(self._history.messages()), None)
        if first is None or first["role"] not in ("system", "developer"):
            return None
        return str(first["content"])

    @system.setter
    def system(self, text: str | None) -> None:
        messages, pinned = self.state()
        if self.system is not None:
            messages, pinned = messages[1:], [place - 1 for place in pinned if place]
        if text:
            messages, pinned = [system_msg(text), *messages], [place + 1 for place in pinned]
        self._history.replace(messages, pinned)

    def take_back(self, rounds: int) -> list[Message]:
        """Take back the last rounds, and return them; ``rollback`` without its print."""
        return self._history.take_back(rounds)

    def state(self) -> tuple[list[Message], list[int]]:
        """All messages, and the places of the pinned ones."""
        return self._history.messages(), self._history.pinned()

    def put_back(self, state: tuple[list[Message], list[int]]) -> None:
        """Make the conversation what it was."""
        self._history.replace(*state)

    def last_round(self) -> list[Message]:
        """The last question and what was said to it."""
        return self._history.last_round()

    # -- asking

    def warm_up(self) -> None:
        """Load what the first request needs, which takes a second, while the user still thinks."""
        with contextlib.suppress(Exception):  # the request itself will say what is wrong
            _ = self._clients.asynchronous

    def pose(self, question: list[Message], *, again: bool = False) -> None:
        """Take note of a question: from here on it is not lost.

        Args:
            question: The user's messages.
            again: Whether there is an answer, which the file is to hold until there is another.

        Raises:
            OSError: It can't be written down.
        """
        self.unanswered = question
        if not again:
            self.keep()

    async def answer(self, take: Callable[[str], object]) -> None:
        """Ask the question that was posed, and hand the answer on piece by piece; it is kept when it is whole.

        Args:
            take: Is given each piece.

        Raises:
            Exception: There is no answer; the history is as it was, and the question is kept.
        """
        question = self.unanswered or ()
        async with contextlib.aclosing(self.async_stream_request(*question)) as pieces:
            async for piece in pieces:
                take(piece)
        self.unanswered = None
        self.keep()


def _question(value: object) -> list[Message] | None:
    """Check a question that was read from a file."""
    if not value:
        return None
    if not isinstance(value, list) or not all(isinstance(each, dict) and each.get("role") == "user" for each in value):
        raise ConfigurationError("unanswered", "is no list of the user's messages")
    return value
