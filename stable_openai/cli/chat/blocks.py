"""Markdown that is still coming: which of its blocks are finished, and what is worth drawing of the one that is not."""

from __future__ import annotations

import functools
import re
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

__all__ = ["last_part", "split", "split_all"]

_FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})")


@functools.cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt().enable("strikethrough").enable("table")  # as rich has it


def split(text: str) -> tuple[list[str], str]:
    """Tell the blocks that nothing which is still to come can change from the rest.

    Markdown is read line by line, and a block at the top that the next one has followed is closed for good. A line that
    has not come to its end may still turn out to go on with the block before it, so only whole lines are looked at.
    """
    whole = text[: text.rfind("\n") + 1]
    lines = [token.map[0] for token in _tokens(whole) if token.level == 0 and token.map and token.nesting >= 0]
    if not lines:
        return [], text
    starts = [0, *accumulate(len(line) + 1 for line in whole.split("\n"))]
    cuts = [0, *(starts[line] for line in lines[1:])]
    return [text[begin:end] for begin, end in pairwise(cuts)], text[cuts[-1] :]


def split_all(text: str) -> list[str]:
    """The blocks of a text that is whole."""
    blocks, rest = split(f"{text}\n")
    return [block for block in [*blocks, rest] if block.strip()]


def _tokens(text: str) -> list[Any]:
    return _parser().parse(text)


def last_part(text: str, lines: int) -> str:
    """The end of a long block that is still coming: enough to fill so many lines, as the block that it is.

    So what is drawn again and again stays small, however long the block grows.
    """
    found = text.split("\n")
    if len(found) <= lines:
        return text
    head = _FENCE.match(found[0])
    kept = found[-lines:]
    if head is not None:
        kept.insert(0, found[0])
    return "\n".join(kept)
