"""Prompts made of a row's columns: ``Translate {text} into {language}``."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Final

from stable_openai.errors import ConfigurationError

from .problems import BadLine, listed, shown

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["Template"]

_SHOWN: Final = 40  # characters of a field that is refused


class Template:
    """A text with the names of columns in braces; ``{{`` and ``}}`` stand for braces. Nothing else is understood.

    Args:
        text: The template.

    Raises:
        ConfigurationError: It is none.
    """

    def __init__(self, text: str) -> None:
        self._option = "--template"
        self._pieces: list[tuple[str, str | None]] = []
        try:
            parsed = list(string.Formatter().parse(text))
        except ValueError as error:
            raise ConfigurationError(self._option, f"{error}; {{{{ and }}}} stand for braces") from None
        for literal, name, form, conversion in parsed:
            if name is not None and (not name or form or conversion):
                raise ConfigurationError(
                    self._option,
                    f"{{{name[:_SHOWN]}…}} must hold a column's name and nothing else; {{{{ and }}}} stand for braces",
                )
            self._pieces.append((literal, name))

    @classmethod
    def of_column(cls, name: str) -> Template:
        """What a column holds, as it is."""
        made = cls("")
        made._option = "--column"
        made._pieces = [("", name)]
        return made

    def check(self, columns: Collection[str]) -> None:
        """Check that there are the columns that it names.

        Raises:
            ConfigurationError: One is missing.
        """
        for _, name in self._pieces:
            if name is not None and name not in columns:
                raise ConfigurationError(
                    self._option, f"there is no column {shown(name)}; there are: {listed(columns)}"
                )

    def fill(self, row: Mapping[str, str]) -> str:
        """The prompt of a row.

        Raises:
            BadLine: It lacks a column, or nothing is left to be said.
        """
        parts = []
        for literal, name in self._pieces:
            parts.append(literal)
            if name is not None:
                if name not in row:
                    raise BadLine(f"{shown(name)} is missing, which makes the prompt")
                parts.append(row[name])
        prompt = "".join(parts)
        if not prompt or prompt.isspace():
            raise BadLine("its prompt is empty")
        return prompt
