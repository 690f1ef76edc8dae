"""Size: as much as there is, in the memory that the longest line takes."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from stable_openai.batch import lines, row_files
from stable_openai.batch.defaults import Defaults
from stable_openai.batch.examining import examine
from stable_openai.batch.problems import Problem
from stable_openai.batch.source import Source
from stable_openai.pool.tokens import text_tokens

MANY = 20_000


def peak(work):
    """What a piece of work makes, and the most that it holds: without the tables of tokenizers, where they are there."""
    text_tokens("hello", "gpt-4o-mini")
    tracemalloc.start()
    try:
        made = work()
        return made, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("kind", "many"), [("jsonl", MANY), ("csv", MANY // 2), ("txt", MANY // 2)])
def test_a_pass_over_many_is_flat(tmp_path, line, kind, many):
    """Ids, repeats and all: 20,000 requests take no more than a megabyte or so."""
    path = tmp_path / f"in.{kind}"
    with path.open("w") as file:
        if kind == "csv":
            file.write("prompt,n\n")
        for number in range(many):
            if kind == "jsonl":
                file.write(json.dumps(line(f"request-{number}")) + "\n")
            else:
                file.write(f"hello,{number}\n" if kind == "csv" else "hello\n")
    with Source.open(path, defaults=Defaults(model=None if kind == "jsonl" else "m")) as source:
        found, most = peak(lambda: examine(source))
    assert (found.count, found.problem_count) == (many, 0)
    assert most < 1_500_000


def test_problems_without_end_are_flat(tmp_path):
    """All are counted; the first 1,000 are kept."""
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"nonsense\n" * (MANY // 2))
    with Source.open(path) as source:
        found, most = peak(lambda: examine(source))
    assert (found.count, found.problem_count, len(found.problems)) == (0, MANY // 2, 1_000)
    assert found.problems[-1].line == 1_000
    assert most < 1_500_000


@pytest.mark.parametrize("kind", ["jsonl", "csv", "txt"])
def test_a_line_of_20_mb(read, line, kind):
    """It is a request like any other."""
    said = "word " * 4_000_000
    if kind == "jsonl":
        content = [line(model="m", messages=[{"role": "user", "content": said}])]
    else:
        content = f'prompt\n"{said}"\n' if kind == "csv" else said + "\n"
    (request,) = read(content, f"in.{kind}", model="m")
    assert request.body["messages"] == [{"role": "user", "content": said}]
    assert request.tokens()[0] >= 4_000_000


def test_a_line_that_is_too_long(tmp_path, line):
    """It is not held; its length is told, and what follows is read."""
    path = tmp_path / "in.jsonl"
    with path.open("wb") as file:
        file.write(b'{"custom_id": "')
        for _ in range(250):
            file.write(b"x" * 1_000_000)
        file.write(b"\n" + json.dumps(line()).encode() + b"\n")
    with Source.open(path) as source:
        found, most = peak(lambda: list(source.requests()))
    assert found[0] == Problem(1, "is 250.0 MB long; the longest line that is taken has 100")
    assert found[1].line == 2
    assert most < 130_000_000


def test_the_longest_line(opened, monkeypatch):
    """At the bound it is taken, and a byte more is not; the last line needs no end."""
    monkeypatch.setattr(lines, "LONGEST", 3 << 20)
    monkeypatch.setattr(lines, "_PIECE", 1 << 10)
    fits = b"x" * ((3 << 20) - 1) + b"\n"
    source = opened(fits + b"x" + fits + b"after\n" + fits[:-1] + b"x", "in.txt", model="m")
    found = list(source.requests())
    assert [value.line for value in found] == [1, 2, 3, 4]
    assert [type(value).__name__ for value in found] == ["Request", "Problem", "Request", "Request"]


def test_a_line_of_a_table_that_is_too_long(opened, monkeypatch):
    """It is told of, and what follows is read."""
    monkeypatch.setattr(lines, "LONGEST", 3 << 20)
    source = opened(b"prompt\n\nfine\n" + b"x" * (4 << 20) + b"\nafter\n", "in.csv", model="m")
    found = list(source.requests())
    assert [(value.line, type(value).__name__) for value in found] == [(3, "Request"), (4, "Problem"), (5, "Request")]


def test_a_record_that_does_not_end(opened, monkeypatch):
    """A quote that nobody closed takes no more memory than a line may, and is told of where it stands."""
    monkeypatch.setattr(row_files, "LONGEST", 1_000)
    source = opened("prompt\nfine\n" + '"never closed\n' + "more\n" * 300 + "end\n", "in.csv", model="m")
    found = list(source.requests())
    assert [(value.line, value.row) for value in found[:1]] == [(2, {"prompt": "fine"})]
    assert found[1] == Problem(3, "begins a record of more than 0 MB: is a quote not closed?")
    assert found[-1].row == {"prompt": "end"}
