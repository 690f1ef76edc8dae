"""Rows: the columns that they have, the prompt that is made of them, and the id."""

from __future__ import annotations

import csv
import io
import json

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from stable_openai import ConfigurationError
from stable_openai.batch.problems import Problem
from stable_openai.batch.row_files import csv_rows
from stable_openai.batch.rows import cell_of, content_id
from stable_openai.batch.templates import Template

BOOKS = "title,year\nEmma,1815\nPersuasion,1817\n"


def prompts(found):
    return [request.body["messages"][-1]["content"] for request in found]


# -- prompts


def test_a_column(read):
    """``prompt``, or the one that is named."""
    assert prompts(read("prompt,x\nhi,1\n", "in.csv", model="m")) == ["hi"]
    assert prompts(read(BOOKS, "in.csv", model="m", column="title")) == ["Emma", "Persuasion"]


def test_a_template(read):
    """Columns in their places, braces doubled, and nothing but what the columns hold."""
    found = read(BOOKS, "in.csv", model="m", template="{{{title}}} of {year}: {title}?")
    assert prompts(found) == ["{Emma} of 1815: Emma?", "{Persuasion} of 1817: Persuasion?"]
    assert prompts(read([{"a.b": "x", "a b": "{y}"}], model="m", template="{a.b} {a b}")) == ["x {y}"]
    assert prompts(read("one\ntwo\n", "in.txt", model="m", template="Say {prompt}!")) == ["Say one!", "Say two!"]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{title", "expected '}' before end of string; {{ and }} stand for braces"),
        ("title}", "Single '}' encountered in format string; {{ and }} stand for braces"),
        ("{}", "{…} must hold a column's name and nothing else; {{ and }} stand for braces"),
        ("{title!r}", "{title…} must hold a column's name and nothing else; {{ and }} stand for braces"),
        ("{year:>10}", "{year…} must hold a column's name and nothing else; {{ and }} stand for braces"),
        ('{"a": 1}', '{"a"…} must hold a column\'s name and nothing else; {{ and }} stand for braces'),
        ("{0}", "there is no column '0'; there are: 'title', 'year'"),
        ("{title.__class__}", "there is no column 'title.__class__'; there are: 'title', 'year'"),
        ("{title[0]}", "there is no column 'title[0]'; there are: 'title', 'year'"),
        ("{Title}", "there is no column 'Title'; there are: 'title', 'year'"),
    ],
)
def test_a_bad_template(opened, template, message):
    """It is refused at once, and reaches into nothing."""
    with pytest.raises(ConfigurationError) as caught:
        opened(BOOKS, "in.csv", model="m", template=template)
    assert str(caught.value) == f"--template: {message}"


@given(st.text(), st.dictionaries(st.text("ab", min_size=1), st.text(), min_size=1))
def test_a_template_says_what_str_format_says(text, row):
    """With braces doubled, any text is itself; and each column's place holds its cell."""
    template = text.replace("{", "{{").replace("}", "}}") + "".join(f"{{{name}}}" for name in row)
    filled = text + "".join(row.values())
    if filled and not filled.isspace():
        assert Template(template).fill(row) == filled


def test_rows_that_lack_something(read):
    """They are told of, each by its line; null is an empty cell."""
    rows = [{"prompt": "hi"}, {"prompt": None}, {"text": "hi"}, {"prompt": " \n"}, {"prompt": 5}, {"prompt": ["a"]}]
    found = read(rows, model="m")
    assert prompts([found[0], *found[4:]]) == ["hi", "5", '["a"]']
    assert found[1:4] == [
        Problem(2, "its prompt is empty"),
        Problem(3, "'prompt' is missing, which makes the prompt"),
        Problem(4, "its prompt is empty"),
    ]


# -- ids


@pytest.mark.parametrize(
    ("columns", "expected"), [("id", "7"), ("custom_id", "7"), ("id,custom_id", "7"), ("key", "7")]
)
def test_a_column_of_ids(read, columns, expected):
    """``id`` or ``custom_id`` where there is one, or the one that is named."""
    named = {"id_column": "key"} if columns == "key" else {}
    cells = "7,8" if "," in columns else "7"
    (request,) = read(f"prompt,{columns}\nhi,{cells}\n", "in.csv", model="m", **named)
    assert request.id == expected


def test_ids_that_are_missing(read):
    """A row without one can't be told from others."""
    found = read([{"id": 1, "prompt": "a"}, {"prompt": "b"}, {"id": "", "prompt": "c"}], model="m")
    assert found[0].id == "1"
    assert found[1:] == [Problem(2, "'id' is missing: it is the id"), Problem(3, "'id' is empty: it is the id")]


def test_ids_made_of_content(read):
    """The same for the same columns; repeats are numbered in their order, however rows with faults stand between."""
    found = read("a\nb\na\n\na\nb\n", "in.txt", model="m")
    first, other = content_id({"prompt": "a"}), content_id({"prompt": "b"})
    assert [request.id for request in found] == [first, other, f"{first}-2", f"{first}-3", f"{other}-2"]
    again = read([{"prompt": "a"}, {"prompt": ""}, {"prompt": "a"}], model="another", system="Be brief")
    assert [again[0].id, again[2].id] == [first, f"{first}-2"]


def test_the_form_of_an_id():
    """It is what files of earlier runs hold, and so stays for ever: SHA-256 of the columns as ASCII JSON, sorted, compact."""
    assert content_id({"b": "ü", "a": "1"}) == content_id({"a": "1", "b": "ü"}) == "e62ad496f9e65a6b2d3505f99e5c8cbb"


@given(st.dictionaries(st.text(), st.text()), st.dictionaries(st.text(), st.text()))
def test_other_content_has_another_id(one, other):
    """And the same content the same."""
    assert (content_id(one) == content_id(other)) == (one == other)


# -- CSV


def rows_of(content, delimiter=","):
    return list(csv_rows(io.BytesIO(content), delimiter, "in.csv"))


def test_lines_of_records_that_span_lines():
    """A row has the number of the line that it begins on, as an editor counts."""
    content = b'a,b\r\n"one\r\ntwo",1\r\n\r\nx,2\r\n"",3\r\n"\n\n\n",4\ny,5'
    assert rows_of(content) == [
        (2, {"a": "one\r\ntwo", "b": "1"}),
        (5, {"a": "x", "b": "2"}),
        (6, {"a": "", "b": "3"}),
        (7, {"a": "\n\n\n", "b": "4"}),
        (11, {"a": "y", "b": "5"}),
    ]


def test_what_spreadsheets_leave_behind():
    """Lines of commas alone hold no row; a column without a name is called by its number."""
    assert rows_of(b"\xef\xbb\xbf,a\n0,x\n,\n , \n,\n") == [(2, {"column_1": "0", "a": "x"})]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"a,b\n1\n2,3\n", [Problem(2, "has 1 fields, and the header 2"), (3, {"a": "2", "b": "3"})]),
        (b"a,b\n1,2,3\n2,3\n", [Problem(2, "has 3 fields, and the header 2"), (3, {"a": "2", "b": "3"})]),
        (b'a\n"x"y\nz\n', [Problem(2, "is not CSV: ',' expected after '\"'"), (3, {"a": "z"})]),
        (b'a\nx\n"y\nz\n', [(2, {"a": "x"}), Problem(3, "begins a record with a quote that is never closed")]),
        (b"a\n\xff\nz\n", [Problem(2, "is not UTF-8: byte 0xff at column 1"), (3, {"a": "z"})]),
        (
            b'a,b\n"x\n\xff\n",2\nz,1\n',
            [Problem(3, "is not UTF-8: byte 0xff at column 1"), (5, {"a": "z", "b": "1"})],
        ),
    ],
)
def test_bad_records(content, found):
    """They are told of, by the line that is wrong; what follows is understood."""
    assert rows_of(content) == found


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b,a\n1,2,3\n", "in.csv: line 1, the header: two columns are called 'a'"),
        (b"\n\n\xff\n", "in.csv: line 3, the header: is not UTF-8: byte 0xff at column 1"),
        (b'"a\nb\n', "in.csv: line 1, the header: begins a record with a quote that is never closed"),
    ],
)
def test_bad_headers(content, message):
    """Without one there are no rows: the file is refused."""
    with pytest.raises(ConfigurationError) as caught:
        rows_of(content)
    assert str(caught.value) == message


@settings(max_examples=200)
@given(
    st.lists(
        st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=2, max_size=2),
        max_size=5,
    ),
    st.sampled_from([",", "\t"]),
)
def test_what_a_csv_writer_wrote(records, delimiter):
    """Comes back, to the sign, with the line of each record."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter)
    writer.writerow(["a", "b"])
    expected = []
    for record in records:
        begin = file.getvalue().count("\n") + 1
        writer.writerow(record)
        if "".join(record).strip():
            expected.append((begin, dict(zip(["a", "b"], record, strict=True))))
    assert rows_of(file.getvalue().encode(), delimiter) == expected


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3)))
def test_cells(value):
    """Texts stay, null is nothing, and all else is JSON that says the same."""
    cell = cell_of(value)
    if isinstance(value, str):
        assert cell == value
    else:
        assert (json.loads(cell) if cell else None) == value
