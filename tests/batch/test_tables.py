"""Results beside the rows that they belong to: CSV, TSV and Parquet, in the order of the input."""

from __future__ import annotations

import builtins
import csv
import os
import tracemalloc

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from stable_openai import ConfigurationError
from stable_openai.batch.defaults import Defaults
from stable_openai.batch.output import failure_line, success_line
from stable_openai.batch.source import Source
from stable_openai.batch.tables import table_kind, write_table

parquet = pytest.importorskip("pyarrow.parquet")
pa = pytest.importorskip("pyarrow")
RESULTS = ["answer", "error", "prompt_tokens", "completion_tokens", "model"]


def answered(name, text="Hello", **body):
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    body = {"model": "m-1", "choices": [{"message": {"content": text}}], "usage": usage, **body}
    return success_line(name, 200, "req_1", body)


def failed(name):
    told = {"code": "bad_request", "message": "No, thanks", "reason": "bad_request", "retriable": False}
    return failure_line(name, status=400, body={"error": {"message": "No, thanks"}}, **told)


def table(path, delimiter=","):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file, delimiter=delimiter, strict=True))


@pytest.mark.parametrize(("kind", "delimiter"), [("csv", ","), ("tsv", "\t")])
def test_rows_and_what_came_of_them(opened, tmp_path, kind, delimiter):
    """The row's own columns, then the answer or what went wrong; a row for each request, in order."""
    source = opened("id,prompt,answer\n1,=1+1,x\n2,b,y\n,c,z\n3,d,\n", "in.csv", model="m")
    lines = {"1": answered("1", 'Say "ä",\n=2'), "2": failed("2")}
    path = tmp_path / f"out.{kind}"
    assert write_table(source, lines.get, path) == 3
    assert table(path, delimiter) == [
        ["id", "prompt", "answer", "answer_2", *RESULTS[1:]],
        ["1", "=1+1", "x", 'Say "ä",\n=2', "", "3", "4", "m-1"],
        ["2", "b", "y", "", "No, thanks", "", "", ""],
        ["3", "d", "", "", "not asked yet", "", "", ""],
    ]


def test_batch_lines(opened, tmp_path, line):
    """They have an id, and no columns; one that is there twice has one row."""
    source = opened([line("a"), {"custom_id": "bad"}, line("b"), line("a")])
    path = tmp_path / "out"
    assert write_table(source, {"a": answered("a", usage=None, model=5)}.get, path, "csv") == 2
    assert table(path) == [
        ["custom_id", *RESULTS],
        ["a", "Hello", "", "", "", ""],
        ["b", "", "not asked yet", "", "", ""],
    ]


def test_rows_with_columns_of_their_own(opened, tmp_path):
    """All that one of them has are in the table, and names that are taken get a number."""
    rows = [{"prompt": "a", "error": "x"}, {"prompt": "b", "error_2": "y", "model": None}]
    path = tmp_path / "out.csv"
    write_table(opened(rows, model="m"), lambda name: None, path)
    assert table(path) == [
        ["prompt", "error", "error_2", "model", "answer", "error_3", "prompt_tokens", "completion_tokens", "model_2"],
        ["a", "x", "", "", "", "not asked yet", "", "", ""],
        ["b", "", "y", "", "", "not asked yet", "", "", ""],
    ]


def test_half_a_character(opened, tmp_path):
    """A model may send one, and no file can hold it."""
    path = tmp_path / "out.csv"
    write_table(opened("a\n", "in.txt", model="m"), lambda name: answered(name, "x\ud83d"), path)
    assert table(path)[1][1] == "x?"


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), st.text()),
        min_size=1,
        max_size=5,
    )
)
def test_round_trip(tmp_path_factory, pairs):
    """What is written is read again, to the sign: the prompts as they were, the answers as they came."""
    path = tmp_path_factory.mktemp("tables") / "in.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["n", "prompt"], *([number, text] for number, (text, _) in enumerate(pairs))])
    asked = [(text, answer.replace("\0", "")) for text, answer in pairs if text.strip()]
    answers = iter([answer for _, answer in asked])
    with Source.open(path, defaults=Defaults(model="m")) as source:
        for kind in ("csv", "parquet"):
            answers = iter([answer for _, answer in asked])
            out = path.with_name(f"out.{kind}")
            write_table(source, lambda name: answered(name, next(answers)), out)  # noqa: B023
            if kind == "csv":
                found = [(row[1], row[2]) for row in table(out)[1:]]
            else:
                found = [(row["prompt"], row["answer"]) for row in parquet.read_table(out).to_pylist()]
            assert found == asked


# -- the file


def test_a_table_is_whole_or_not_there(opened, tmp_path):
    """What goes wrong half-way leaves the old one, and nothing beside it."""
    path = tmp_path / "out.csv"
    path.write_text("old")
    source = opened("a\nb\n", "in.txt", model="m")

    def lines(_name):
        raise KeyboardInterrupt

    for kind in ("csv", "parquet"):
        with pytest.raises(KeyboardInterrupt):
            write_table(source, lines, path, kind)
    assert path.read_text() == "old"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["in.txt", "out.csv"]


@pytest.mark.skipif(os.name != "posix", reason="modes and links as POSIX has them")
def test_a_table_that_was_there(opened, tmp_path):
    """It keeps its mode, and stays a link."""
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "real.csv").chmod(0o640)
    (tmp_path / "out.csv").symlink_to("real.csv")
    write_table(opened("a\n", "in.txt", model="m"), answered, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").is_symlink()
    assert (tmp_path / "real.csv").stat().st_mode & 0o777 == 0o640
    assert table(tmp_path / "real.csv")[1][:2] == ["a", "Hello"]


@pytest.mark.skipif(os.name != "posix", reason="links as POSIX has them")
def test_a_table_in_the_place_of_the_input(opened, tmp_path):
    """Nobody's rows are written over, whatever they are called."""
    source = opened("prompt\na\n", "in.csv", model="m")
    (tmp_path / "link.csv").symlink_to("in.csv")
    for name in ("in.csv", "link.csv", "../" + tmp_path.name + "/in.csv"):
        with pytest.raises(ConfigurationError, match=r"--output: .*\.csv is the input: name another file"):
            write_table(source, answered, tmp_path / name)
    assert (tmp_path / "in.csv").read_text() == "prompt\na\n"


@pytest.mark.parametrize(("path", "kind"), [("out.CSV", "csv"), ("out.tsv", "tsv"), ("a.parquet", "parquet")])
def test_the_kind_of_a_table(path, kind):
    """By its name, or as told."""
    assert table_kind(path) == table_kind("out.txt", kind) == kind


@pytest.mark.parametrize(
    ("path", "kind", "shown"), [("out.xlsx", None, "out.xlsx"), ("out", None, "out"), ("out.csv", "txt", "txt")]
)
def test_no_such_table(path, kind, shown):
    """It is refused."""
    with pytest.raises(ConfigurationError, match=f"--output: must be one of csv, tsv, parquet, not '{shown}'"):
        table_kind(path, kind)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_long_table_is_flat(tmp_path, kind):
    """However many rows: what is held are those of one group."""
    source_path = tmp_path / "in.txt"
    source_path.write_text("hello\n" * 6_000)
    with Source.open(source_path, defaults=Defaults(model="m")) as source:
        write_table(source, lambda name: answered(name, "x" * 200), tmp_path / "warm.parquet")
        tracemalloc.start()
        assert write_table(source, lambda name: answered(name, "x" * 200), tmp_path / f"out.{kind}") == 6_000
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert most < 2_500_000


# -- Parquet


def test_parquet_in_and_out(tmp_path):
    """Rows of any type in, as text; results beside them, in groups of 1,000."""
    import datetime

    path = tmp_path / "in.parquet"
    columns = {
        "prompt": [f"p{number}" for number in range(2_500)],
        "id": list(range(2_500)),
        "day": [datetime.date(2024, 1, 1)] * 2_500,
        "raw": [b"x"] * 2_500,
        "tags": [["a", "b"]] * 2_500,
        "none": pa.array([None] * 2_500, pa.string()),
    }
    parquet.write_table(pa.table(columns), path, row_group_size=700)
    with Source.open(path, defaults=Defaults(model="m")) as source:
        requests = list(source.requests())
        assert [(request.line, request.id) for request in requests] == [(n + 1, str(n)) for n in range(2_500)]
        assert requests[7].row == {
            "prompt": "p7", "id": "7", "day": "2024-01-01", "raw": "x", "tags": '["a","b"]', "none": "",
        }  # fmt: skip
        write_table(source, lambda name: failed(name) if name == "1" else answered(name), tmp_path / "out.parquet")
    made = parquet.ParquetFile(tmp_path / "out.parquet")
    assert [made.metadata.row_group(n).num_rows for n in range(3)] == [1_000, 1_000, 500]
    rows = made.read().to_pylist()
    assert rows[0] == {
        "prompt": "p0", "id": "0", "day": "2024-01-01", "raw": "x", "tags": '["a","b"]', "none": "",
        "answer": "Hello", "error": None, "prompt_tokens": 3, "completion_tokens": 4, "model": "m-1",
    }  # fmt: skip
    assert (rows[1]["answer"], rows[1]["error"], rows[1]["prompt_tokens"]) == (None, "No, thanks", None)


def test_bytes_that_are_no_text(tmp_path):
    """That row is told of."""
    path = tmp_path / "in.parquet"
    parquet.write_table(pa.table({"prompt": ["a", "b"], "raw": [b"\xff", b"x"]}), path)
    with Source.open(path, defaults=Defaults(model="m")) as source:
        problem, request = source.requests()
    assert (problem.line, problem.text, request.line) == (1, "has a column of bytes that are not UTF-8", 2)


def test_embeddings(opened, tmp_path, line):
    """Lists of numbers, exactly as they came; null where there is none."""
    body = {"model": "e", "input": "hi"}
    source = opened([line(name, "/v1/embeddings", **body) for name in ("a", "b", "c")])
    lines = {"a": success_line("a", 200, None, {"data": [{"embedding": [0.1, 1]}]}), "b": failed("b")}
    write_table(source, lines.get, tmp_path / "out.parquet")
    made = parquet.read_table(tmp_path / "out.parquet")
    assert made.schema.field("answer").type == pa.list_(pa.float64())
    assert made.column("answer").to_pylist() == [[0.1, 1.0], None, None]
    assert made.column("error").to_pylist() == [None, "No, thanks", "not asked yet"]
    write_table(source, lines.get, tmp_path / "out.csv")
    assert [row[1] for row in table(tmp_path / "out.csv")[1:]] == ["[0.1,1]", "", ""]


@pytest.mark.parametrize(
    ("inputs", "one"),
    [
        (["hi"], True),
        ([["hi"]], True),
        ([[1, 2]], True),
        ([[[1, 2]]], True),
        ([["hi", "ho"]], False),
        ([["hi", "ho"], "hi"], False),
    ],
)
def test_several_vectors_are_json(opened, tmp_path, line, inputs, one):
    """There is one type for the column: where a request has more than one vector, all are texts."""
    source = opened([line(str(n), "/v1/embeddings", model="e", input=given) for n, given in enumerate(inputs)])
    write_table(source, lambda name: None, tmp_path / "out.parquet")
    kind = parquet.read_schema(tmp_path / "out.parquet").field("answer").type
    assert kind == (pa.list_(pa.float64()) if one else pa.string())


def test_no_parquet_file(tmp_path):
    """A damaged one is refused by name."""
    path = tmp_path / "in.parquet"
    path.write_bytes(b"PAR1 nonsense PAR1")
    with pytest.raises(ConfigurationError, match=r"in.parquet: is no Parquet file that can be read: "):
        Source.open(path, defaults=Defaults(model="m"))
    one = pa.array(["a"])
    parquet.write_table(pa.Table.from_arrays([one, one], ["prompt", "prompt"]), path)
    with pytest.raises(ConfigurationError, match=r"in.parquet: two columns have the same name"):
        Source.open(path, defaults=Defaults(model="m"))


def test_without_pyarrow(opened, tmp_path, monkeypatch):
    """Both ways, it is said what to install."""
    find = builtins.__import__

    def refuse(name, *arguments, **options):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return find(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    message = r'^parquet: needs pyarrow: pip install "stable-openai\[parquet\]"$'
    (tmp_path / "in.parquet").write_bytes(b"PAR1")
    with pytest.raises(ConfigurationError, match=message):
        Source.open(tmp_path / "in.parquet", defaults=Defaults(model="m"))
    with pytest.raises(ConfigurationError, match=message):
        write_table(opened("a\n", "in.txt", model="m"), answered, tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()
