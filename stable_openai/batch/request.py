"""One request of a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .counting import answer_tokens, prompt_tokens
from .endpoints import limit_names, limit_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Request"]


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a file, checked.

    Attributes:
        line: The number of its line, from 1; of Parquet, its row's.
        id: What its answer is known by: the ``custom_id``.
        url: Where it goes, such as ``/v1/chat/completions``.
        body: What is sent.
        row: The columns that the input has of it, as text; None for a line of a Batch file.
    """

    line: int
    id: str
    url: str
    body: dict[str, Any]
    row: Mapping[str, str] | None = None

    @property
    def model(self) -> str:
        """The model that it names, or an empty text, which only moderations may have."""
        return self.body.get("model") or ""

    @property
    def is_limited(self) -> bool:
        """Whether the body says how long an answer may be, or there is none that could be long."""
        return not limit_names(self.url) or limit_of(self.url, self.body) is not None

    def tokens(self) -> tuple[int, int]:
        """Tokens of the prompt, and the most of the answer: an estimate. Counted anew at each call."""
        return prompt_tokens(self.url, self.body), answer_tokens(self.url, self.body)
