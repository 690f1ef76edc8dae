"""One request's way to an answer that can be used."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from .answers import complete_remarks, problem_of, remarks_in
from .dialogs import Dialog, MalformedAnswer
from .prompts import repair

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .dialogs import Line
    from .group import GroupChat

__all__ = ["Asking"]

_REFUSALS: Final = ("response_format", "json_schema", "structured output")


class Asking:
    """One request's way to an answer that can be used: without a schema where that is refused, and once repaired."""

    def __init__(self, group: GroupChat, lines: list[Line], options: dict[str, Any]) -> None:
        self._group = group
        self._lines = lines
        self._messages, self._words = group.scene_of(lines)
        self._options = group.options_of(options, lines)
        self._repaired = False
        self._shown = 0
        self.dialogs: list[Dialog] = []

    @property
    def is_open(self) -> bool:
        """Whether there is no answer so far."""
        return not self.dialogs

    def create(self, client: Any, **more: Any) -> Any:
        """Ask; of an async client, what is to be awaited."""
        return client.chat.completions.create(messages=self._messages, **self._options, **more)

    def failed(self, error: Exception) -> None:
        """Asking has failed: raise that, unless it is the schema that the model does not take."""
        told = str(error).lower()
        if "response_format" not in self._options or self._shown or not any(word in told for word in _REFUSALS):
            raise error
        self._group.do_without_schema(str(self._options["model"]))
        del self._options["response_format"]

    def answered(self, answer: str) -> None:
        """Take an answer, or ask for another one.

        Raises:
            MalformedAnswer: It can't be used, and it was the second.
        """
        remarks = remarks_in(answer)
        problem = problem_of(remarks, len(self._lines))
        if problem is None and remarks is not None:
            self.dialogs = [Dialog(*line, remark.strip()) for line, remark in zip(self._lines, remarks, strict=True)]
            return
        if self._repaired or self._shown:
            raise MalformedAnswer(str(problem), answer)
        self._repaired = True
        self._messages = [*self._messages, *repair(answer, str(problem), len(self._lines), self._words)]

    def pieces(self, text: str) -> Iterator[str]:
        """The remarks that have become complete, as pieces of the answer."""
        remarks = complete_remarks(text)[: len(self._lines)]
        for line, remark in list(zip(self._lines, remarks, strict=False))[self._shown :]:
            yield self._piece(Dialog(*line, remark.strip()))

    def rest(self) -> Iterator[str]:
        """What of the answer was not shown as it came, and its end."""
        for dialog in self.dialogs[self._shown :]:
            yield self._piece(dialog)
        yield "\n]"

    def _piece(self, dialog: Dialog) -> str:
        first = self._shown == 0
        self._shown += 1
        indented = json.dumps([dialog.as_json()], ensure_ascii=False, indent=4)[1:-2]
        return f"{'[' if first else ','}{indented}"
