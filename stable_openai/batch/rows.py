"""Rows, from whatever file: columns as text, and the request that is made of them."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from stable_openai.errors import ConfigurationError

from .checking import check_body
from .endpoints import CHAT, COMPLETIONS, MODERATIONS, RESPONSES, completed
from .problems import BadLine, listed, shown
from .request import Request
from .templates import Template

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from stable_openai.bulk.seen import Seen

    from .defaults import Defaults

__all__ = ["Row", "RowForm", "cell_of", "content_id"]

Row: TypeAlias = tuple[int, dict[str, str]]

_PROMPT: Final = "prompt"
_IDS: Final = ("id", "custom_id")
_ID_DIGITS: Final = 32  # hexadecimal: 128 bits


def cell_of(value: Any) -> str:
    """What a column holds, as text: nothing for null, numbers and all else as JSON has them.

    Raises:
        BadLine: It is bytes that are no text.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise BadLine("has a column of bytes that are not UTF-8") from None
    if isinstance(value, (bool, int, float, dict, list)):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    return str(value)  # a moment, a decimal: what Parquet has besides


def content_id(row: Mapping[str, str]) -> str:
    """The id that a row's content makes: the same for the same columns, in whatever order and kind of file."""
    canonical = json.dumps(row, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:_ID_DIGITS]


class RowForm:
    """How the rows of a file become requests.

    Args:
        columns: The columns that its first row has.
        defaults: What the user says about all.

    Raises:
        ConfigurationError: A column that is named is not there, or the model is missing.
    """

    def __init__(self, columns: Collection[str], defaults: Defaults) -> None:
        if defaults.model is None and defaults.url != MODERATIONS:
            raise ConfigurationError("--model", "is missing: these are rows, which name no model")
        if defaults.system is not None and defaults.url not in {CHAT, RESPONSES}:
            raise ConfigurationError("--system", f"has no place in a request for {defaults.url}")
        if defaults.template is None:
            self._template = Template.of_column(defaults.column or _PROMPT)
        else:
            self._template = Template(defaults.template)
        self._template.check(columns)
        self._id_column = defaults.id_column or next((name for name in _IDS if name in columns), None)
        if self._id_column is not None and self._id_column not in columns:
            raise ConfigurationError(
                "--id-column", f"there is no column {shown(self._id_column)}; there are: {listed(columns)}"
            )
        self._defaults = defaults

    def request(self, line: int, row: dict[str, str], seen: Seen) -> Request:
        """The request of a row.

        Args:
            line: Its line's number.
            row: Its columns.
            seen: The ids that contents have made in this pass.

        Raises:
            BadLine: It lacks a column, or has nothing to say.
        """
        body = self._body(self._template.fill(row))
        check_body(self._defaults.url, body)
        return Request(line, self._id(line, row, seen), self._defaults.url, body, row)

    def _body(self, prompt: str) -> dict[str, Any]:
        defaults = self._defaults
        body: dict[str, Any] = {} if defaults.model is None else {"model": defaults.model}
        if defaults.url == CHAT:
            system = [] if defaults.system is None else [{"role": "system", "content": defaults.system}]
            body["messages"] = [*system, {"role": "user", "content": prompt}]
        elif defaults.url == COMPLETIONS:
            body["prompt"] = prompt
        else:
            body["input"] = prompt
            if defaults.system is not None:
                body["instructions"] = defaults.system
        return completed(defaults.url, body, defaults.model, defaults.max_tokens)

    def _id(self, line: int, row: Mapping[str, str], seen: Seen) -> str:
        if self._id_column is None:
            name = content_id(row)
            _, times = seen.see(name, line)
            return name if times == 1 else f"{name}-{times}"
        if not row.get(self._id_column):
            raise BadLine(
                f"{shown(self._id_column)} is {'empty' if self._id_column in row else 'missing'}: it is the id"
            )
        return row[self._id_column]
