"""Markdown as it comes: what is printed for good never changes, and the screen ends up as if all had come at once."""

from __future__ import annotations

import io

import pyte
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console

from stable_openai.cli.chat.blocks import last_part, split, split_all
from stable_openai.cli.chat.screen import Answer, PlainAnswer

LINES = st.sampled_from([
    "", "", "text", "*more* text", "# head", "===", "---", "- item", "  - deeper", "    deep", "1. one", "2) two", "> quote",
    "```python", "```", "~~~", "code()", "| a | b |", "|---|---|", "| 1 | 2 |", "<b>", "***", "\t tab", "1", "-", "太平洋",
])  # fmt: skip
DOCUMENTS = st.lists(LINES, max_size=25).map("\n".join)


def top_level(text):
    """The blocks at the top, each by its kind and its source."""
    lines = text.split("\n")
    tokens = MarkdownIt().enable("strikethrough").enable("table").parse(text)
    return [
        (token.type, "\n".join(lines[slice(*token.map)]).strip("\n"))
        for token in tokens
        if token.level == 0 and token.map and token.nesting >= 0
    ]


@settings(max_examples=300)
@given(DOCUMENTS, st.data())
@example("1. a\n\n2. b\n\n\nend", None)
@example("text\n===\nmore\n", None)
def test_blocks_that_are_split_off_are_those_of_the_whole(text, data):
    """However the text is cut into pieces, the blocks are the same as of the text at once: none comes too early."""
    pieces, rest = [], text
    while rest:
        size = 1 if data is None else data.draw(st.integers(1, max(len(rest), 1)))
        pieces.append(rest[:size])
        rest = rest[size:]
    found, pending = [], ""
    for piece in pieces:
        blocks, pending = split(pending + piece)
        found += blocks
    found += split_all(pending)
    assert "".join(found).strip("\n") == text.strip("\n") or not text.strip()
    assert [block for part in found for block in top_level(part)] == top_level(text)


def test_a_long_block_is_drawn_from_its_end():
    """Of code, the fence stays, so that it is drawn as code; what is short stays whole."""
    code = "```python\n" + "\n".join(f"line {number}" for number in range(100))
    assert last_part(code, 3) == "```python\nline 97\nline 98\nline 99"
    assert last_part("a\nb", 3) == "a\nb"
    assert last_part("a\nb\nc", 2) == "b\nc"


ANSWER = """# Oceans

The **Pacific** is the largest; \x1b[31mnot red\x07.

1. Pacific

   and more of it
2. Atlantic

| ocean | km² |
|---|---|
| 太平洋 | 165 |

```python
"""
ANSWER += "\n".join(f"line_{number} = {number}" for number in range(40)) + "\n```\n\nThe *end*."


def shown_on(screen):
    lines = ["".join(line[x].data for x in range(screen.columns)).rstrip() for line in screen.history.top]
    return "\n".join([*lines, *(line.rstrip() for line in screen.display)]).rstrip()


class Tty(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


def draw(pieces):
    """Draw an answer that comes in these pieces, and give what a terminal then shows."""
    output = Tty()
    console = Console(file=output, force_terminal=True, width=60, height=15, legacy_windows=False, _environ={})
    screen = pyte.HistoryScreen(60, 15, history=1000)
    terminal = pyte.Stream(screen)
    with Answer(console) as answer:
        for piece in pieces:
            answer.add(piece)
            answer.draw()
    terminal.feed(output.getvalue().replace("\n", "\r\n"))
    return shown_on(screen), output.getvalue()


@pytest.mark.parametrize("size", [1, 7, 50, 10_000])
def test_the_screen_ends_up_the_same_however_the_answer_comes(size):
    """Every line stands there once, also those of blocks that are longer than the screen."""
    text, raw = draw(ANSWER[i : i + size] for i in range(0, len(ANSWER), size))
    assert text == draw([ANSWER])[0]
    for number in range(40):
        assert text.count(f"line_{number} =") == 1
    assert "Oceans" in text.splitlines()[0]
    assert text.endswith("The end.")
    assert "\n\n\n" not in text
    assert "waiting" not in text
    assert "太平洋" in text.replace(" ", "")
    assert "\x1b[31mnot" not in raw
    assert "\x07" not in raw


def test_an_answer_that_breaks_off_is_printed_as_far_as_it_came():
    """Also where the last line has no end."""
    assert draw(["Some *tex"])[0] == "Some *tex"
    assert draw([])[0] == ""


def test_what_is_waited_for_is_said_until_something_comes():
    """The note of a key that is out stands beside the spinner."""
    output = Tty()
    console = Console(file=output, force_terminal=True, width=100, _environ={})
    with Answer(console) as answer:
        answer.note("key-1: cooldown for 20 s")
        answer.draw()
        assert "waiting: key-1: cooldown for 20 s (Ctrl-C stops it)" in output.getvalue()
        answer.add("Text")
        answer.draw()
    assert "Text" in output.getvalue()


def test_where_nothing_can_be_drawn_text_goes_out_as_it_comes():
    """Without what would steer the terminal."""
    output = io.StringIO()
    with PlainAnswer(Console(file=output)) as answer:
        answer.note("nobody sees this")
        answer.add("one \x1b[1m*two*")
        answer.draw()
        assert output.getvalue() == "one [1m*two*"
    assert output.getvalue() == "one [1m*two*\n"
