"""What the user says about all requests of a file."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from stable_openai.errors import ConfigurationError

from .endpoints import CHAT, URLS, is_count
from .problems import shown

__all__ = ["FOR_ROWS", "Defaults", "option_of"]

FOR_ROWS: Final = ("column", "template", "system", "id_column")


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the user says about all requests of a file. The first two fill in what a line of a Batch file lacks.

    Attributes:
        model: The model; rows need one.
        max_tokens: The most tokens of an answer.
        column: For rows, the column that holds the prompt; None: ``prompt``.
        template: For rows, a prompt with ``{columns}``, in place of a column.
        system: For rows, how the model is to behave.
        id_column: For rows, the column that holds the id; None: ``id`` or ``custom_id`` where there is one, else the
            row's content makes it.
        url: For rows, the address that is asked.

    Raises:
        ConfigurationError: One of them is wrong.
    """

    model: str | None = None
    max_tokens: int | None = None
    column: str | None = None
    template: str | None = None
    system: str | None = None
    id_column: str | None = None
    url: str = CHAT

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "max_tokens":
                if value is not None and not is_count(value):
                    raise ConfigurationError("--max-tokens", f"must be a whole number from 1 up, not {shown(value)}")
            elif value is not None and not (isinstance(value, str) and value):
                raise ConfigurationError(option_of(field.name), f"must be a text, not {shown(value)}")
        if self.url not in URLS:
            raise ConfigurationError("--url", f"must be one of {', '.join(URLS)}, not {shown(self.url)}")
        if self.column is not None and self.template is not None:
            raise ConfigurationError("--template", "can't stand beside --column: name the column in the template")


def option_of(name: str) -> str:
    """The command line's name of a default."""
    return "--" + name.replace("_", "-")
