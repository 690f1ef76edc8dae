"""Where requests come from: files of each kind, pipes; and which options fit them."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import sys
import threading

import pytest

from stable_openai import ConfigurationError
from stable_openai.batch.defaults import Defaults
from stable_openai.batch.endpoints import URLS
from stable_openai.batch.problems import Problem
from stable_openai.batch.source import Source, kind_of

ROWS = {
    "in.jsonl": '{"prompt": "Say hi", "to": "Ann"}\n',
    "in.NDJSON": '{"prompt": "Say hi", "to": "Ann"}',
    "in.csv": "prompt,to\r\nSay hi,Ann\r\n",
    "in.tsv": "prompt\tto\nSay hi\tAnn\n",
}


@pytest.mark.parametrize("name", ROWS)
def test_the_same_row_in_each_kind(read, name):
    """It makes the same request, of the same id."""
    (request,) = read(ROWS[name], name, model="m", max_tokens=9)
    assert request.row == {"prompt": "Say hi", "to": "Ann"}
    assert request.body == {"model": "m", "messages": [{"role": "user", "content": "Say hi"}], "max_tokens": 9}
    assert request.url == "/v1/chat/completions"
    assert request.id == read(ROWS["in.csv"], "other.csv", model="n")[0].id
    assert len(request.id) == 32


def test_plain_text(read):
    """A prompt a line; its spaces are its own."""
    found = read(b"\xef\xbb\xbfone \r\n\n  two\n", "in.txt", model="m")
    assert [(request.line, request.row["prompt"]) for request in found] == [(1, "one "), (3, "  two")]
    assert read(b"one\n\xff\n", "in.txt", model="m")[1] == Problem(2, "is not UTF-8: byte 0xff at column 1")


def test_rows_or_batch_lines(opened, line):
    """It can be asked."""
    assert opened("hi\n", "in.txt", model="m").has_rows
    assert opened("prompt\n", "in.csv").has_rows
    assert not opened([line()]).has_rows


@pytest.mark.parametrize(
    ("path", "kind", "expected"),
    [
        ("a.jsonl", None, "jsonl"), ("a.ndjson", None, "jsonl"), ("A.CSV", None, "csv"), ("a.tsv", None, "tsv"),
        ("a.txt", None, "txt"), ("a.parquet", None, "parquet"), ("a.csv", "txt", "txt"), ("a.dat", "csv", "csv"),
        (None, None, "jsonl"), ("-", None, "jsonl"), ("/dev/stdin", None, "jsonl"), ("-", "csv", "csv"),
    ],
)  # fmt: skip
def test_the_kind_of_a_file(path, kind, expected):
    """As told, else by its name; what is piped in is JSONL."""
    assert kind_of(path, kind) == expected


@pytest.mark.parametrize(
    ("path", "kind", "message"),
    [
        ("in.xlsx", None, "--format: is missing: the name of in.xlsx tells none of jsonl, csv, tsv, txt, parquet"),
        ("in", None, "--format: is missing: the name of in tells none of jsonl, csv, tsv, txt, parquet"),
        ("in.csv", "xml", "--format: must be one of jsonl, csv, tsv, txt, parquet, not 'xml'"),
    ],
)
def test_no_such_kind(path, kind, message):
    """It is refused before the file is looked at."""
    with pytest.raises(ConfigurationError) as caught:
        Source.open(path, kind=kind)
    assert str(caught.value) == message


def test_no_such_file(tmp_path):
    """The system's own word on it."""
    with pytest.raises(FileNotFoundError):
        Source.open(tmp_path / "in.jsonl")
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(OSError, match="folder"):
        Source.open(tmp_path / "folder.jsonl")


# -- pipes and passes


@pytest.mark.parametrize("path", [None, "-", "/dev/stdin"])
def test_what_is_piped_in(monkeypatch, line, path):
    """It can be read as often as a file."""
    text = json.dumps(line("a")) + "\n" + json.dumps(line("b")) + "\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    with Source.open(path) as source:
        assert source.name == "standard input"
        for _ in range(2):
            assert [request.id for request in source.requests()] == ["a", "b"]


def test_no_standard_input(monkeypatch):
    """A service has none."""
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ConfigurationError, match="input: there is no standard input"):
        Source.open("-")


def test_no_room_for_what_is_piped_in(monkeypatch, line):
    """The system's own word on it."""

    def fill(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(line()).encode())))
    monkeypatch.setattr(shutil, "copyfileobj", fill)
    with pytest.raises(OSError, match="No space left"):
        Source.open("-")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_named_pipe(tmp_path, line):
    """As a shell's ``<(command)`` makes one."""
    path = tmp_path / "pipe.jsonl"
    os.mkfifo(path)
    text = "".join(json.dumps(line(str(number))) + "\n" for number in range(5_000))
    writer = threading.Thread(target=path.write_text, args=(text,))
    writer.start()
    with Source.open(path) as source:
        writer.join()
        for _ in range(2):
            assert sum(1 for _ in source.requests()) == 5_000


def test_passes_beside_each_other(opened, line):
    """Two that are under way at once don't disturb each other, and each is read as it is asked for."""
    source = opened([line(str(number)) for number in range(1_000)])
    one, other = source.requests(), source.requests()
    assert [next(one).id for _ in range(500)] == [str(number) for number in range(500)]
    assert [request.id for request in other] == [str(number) for number in range(1_000)]
    assert next(one).id == "500"


def test_a_file_that_is_replaced(opened, tmp_path, line):
    """What was opened stays what is read."""
    source = opened([line("old")])
    (tmp_path / "new").write_text(json.dumps(line("new")))
    if os.name == "posix":
        (tmp_path / "new").replace(tmp_path / "in.jsonl")
    assert [request.id for request in source.requests()] == ["old"]


# -- options


@pytest.mark.parametrize(
    ("content", "name", "options", "message"),
    [
        ("prompt\nhi\n", "in.csv", {}, "--model: is missing: these are rows, which name no model"),
        ("a,b\n1,2\n", "in.csv", {"model": "m"}, "--column: there is no column 'prompt'; there are: 'a', 'b'"),
        ("a,b\n1,2\n", "in.csv", {"model": "m", "column": "c"}, "--column: there is no column 'c'; there are: 'a', 'b'"),
        ("hi\n", "in.txt", {"model": "m", "column": "c"}, "--column: there is no column 'c'; there are: 'prompt'"),
        (
            '{"a": 1}', "in.jsonl", {"model": "m", "template": "{a} {b}"},
            "--template: there is no column 'b'; there are: 'a'",
        ),
        (
            "prompt\nhi\n", "in.csv", {"model": "m", "id_column": "key"},
            "--id-column: there is no column 'key'; there are: 'prompt'",
        ),
        (
            "prompt\nhi\n", "in.csv", {"model": "m", "url": "/v1/embeddings", "system": "Be brief"},
            "--system: has no place in a request for /v1/embeddings",
        ),
    ],
)  # fmt: skip
def test_options_that_do_not_fit_rows(opened, content, name, options, message):
    """They are refused when the file is opened, by the name that they have on the command line."""
    with pytest.raises(ConfigurationError) as caught:
        opened(content, name, **options)
    assert str(caught.value) == message


@pytest.mark.parametrize("option", ["column", "template", "system", "id_column"])
def test_options_for_rows_with_batch_lines(opened, line, option):
    """They would be of no effect."""
    with pytest.raises(
        ConfigurationError, match=f"--{option.replace('_', '-')}: is for rows, and .*in.jsonl has Batch"
    ):
        opened([line()], **{option: "x"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_tokens": 0}, "--max-tokens: must be a whole number from 1 up, not 0"),
        ({"max_tokens": True}, "--max-tokens: must be a whole number from 1 up, not true"),
        ({"model": ""}, "--model: must be a text, not ''"),
        ({"id_column": 5}, "--id-column: must be a text, not 5"),
        (
            {"url": "/v1/images"},
            "--url: must be one of " + ", ".join(URLS) + ", not '/v1/images'",
        ),
        (
            {"column": "a", "template": "{a}"},
            "--template: can't stand beside --column: name the column in the template",
        ),
    ],
)
def test_defaults_that_are_wrong(options, message):
    """They are refused by name."""
    with pytest.raises(ConfigurationError) as caught:
        Defaults(**options)
    assert str(caught.value) == message
