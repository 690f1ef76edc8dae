"""Each line that can't be asked is told of, with its number and what is wrong; the others are good."""

from __future__ import annotations

import json

import pytest

from stable_openai.batch.problems import Problem, listed, shown

USER = {"role": "user", "content": "hi"}
BODY = {"model": "m", "messages": [USER]}
GOOD = {"custom_id": "good", "method": "POST", "url": "/v1/chat/completions", "body": BODY}
URLS = "/v1/chat/completions, /v1/responses, /v1/embeddings, /v1/completions, /v1/moderations"
FIELDS = "custom_id, method, url, body"


def body(url="/v1/chat/completions", **fields):
    return {**GOOD, "url": url, "body": fields}


def changed(**fields):
    return {**GOOD, **fields}


def without(name):
    return {key: value for key, value in GOOD.items() if key != name}


WRONG = [
    # -- the text of a line
    (b'{"a": "\xff"}', "is not UTF-8: byte 0xff at column 8"),
    ('{"ä": "'.encode() + b'\xe4"}', "is not UTF-8: byte 0xe4 at column 8"),
    (b'{"custom_id" "a"}', "is not JSON: Expecting ':' delimiter at column 14"),
    (b'{"custom_id": "a', "is not JSON: Unterminated string starting at column 15"),
    (b'{"custom_id": "a"} {}', "is not JSON: Extra data at column 20"),
    (b"{'custom_id': 'a'}", "is not JSON: Expecting property name enclosed in double quotes at column 2"),
    (b'{"a": "\x01"}', "is not JSON: Invalid control character at column 8"),
    (b"hello", "is not JSON: Expecting value at column 1"),
    (b'{"body": {"temperature": NaN}}', "is not JSON: NaN is no number there"),
    (b'{"body": {"temperature": -Infinity}}', "is not JSON: -Infinity is no number there"),
    (b'{"body": {"temperature": 1e999}}', "has a number that is too large: 1e999"),
    (b'{"body": {"seed": ' + b"9" * 5000 + b"}}", "is not taken: Exceeds the limit"),
    (b'{"custom_id": "a", "body": {"model": "m", "model": "n"}}', "has the field 'model' twice"),
    (b'{"custom_id": "\\ud83d"}', "has half a character: \\ud83d without its other half"),
    (b'{"body": ' + b"[" * 200 + b"]" * 200 + b"}", "is nested more than 100 levels deep"),
    (b'{"body": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", "is nested more than 100 levels deep"),
    ([], "must be an object, not a list"),
    (3, "must be an object, not 3"),
    (None, "must be an object, not null"),
    ("x" * 1000, "must be an object, not '" + "x" * 58 + "…"),
    # -- the fields of a line
    ({"prompt": "hi"}, f"has none of {FIELDS}, as the lines before it: a file holds Batch lines or rows"),
    (without("custom_id"), "custom_id is missing"),
    (without("method"), "method is missing"),
    (without("url"), "url is missing"),
    (without("body"), "body is missing"),
    (changed(metadata={}), f"'metadata' is no field of a Batch line: it has {FIELDS}"),
    (changed(custom_id=7), "custom_id must be a text that is not empty, not 7"),
    (changed(custom_id=""), "custom_id must be a text that is not empty, not ''"),
    (changed(method="GET"), "method must be 'POST', not 'GET'"),
    (changed(method=None), "method must be 'POST', not null"),
    (changed(url="/v1/images/generations"), f"url must be one of {URLS}, not '/v1/images/generations'"),
    (changed(url=["/v1/responses"]), f"url must be one of {URLS}, not a list"),
    (changed(body="hi"), "body must be an object, not 'hi'"),
    (changed(body=None), "body must be an object, not null"),
    # -- its body
    (body(messages=[USER]), "body.model is missing: name one there, or for all by --model"),
    (body(model="", messages=[USER]), "body.model must be a model's name, not ''"),
    (body(model=4, messages=[USER]), "body.model must be a model's name, not 4"),
    (body(model="m"), "body.messages is missing"),
    (body(model="m", messages=None), "body.messages is missing"),
    (body(model="m", messages="hi"), "body.messages must be a list of messages, not 'hi'"),
    (body(model="m", messages=[]), "body.messages is empty"),
    (body(model="m", messages=[USER, "hi"]), "body.messages[1] must be an object, not 'hi'"),
    (body(model="m", messages=[{"content": "hi"}]), "body.messages[0].role is missing"),
    (body(model="m", messages=[USER, {"role": 1}]), "body.messages[1].role must be a text, not 1"),
    (
        body(model="m", messages=[{"role": "user", "content": {"a": 1}}]),
        "body.messages[0].content must be a text or a list of parts, not an object",
    ),
    (body(**BODY, stream=True), "body.stream must not be set: an answer has to be one JSON object"),
    (
        body("/v1/responses", model="m", input="hi", background=True),
        "body.background must not be set: an answer has to be one JSON object",
    ),
    (body(**BODY, max_tokens="100"), "body.max_tokens must be a whole number from 0 up, not '100'"),
    (body(**BODY, max_completion_tokens=-1), "body.max_completion_tokens must be a whole number from 0 up, not -1"),
    (body(**BODY, max_tokens=True), "body.max_tokens must be a whole number from 0 up, not true"),
    (body(**BODY, n=0), "body.n must be a whole number from 1 up, not 0"),
    (body("/v1/responses", model="m"), "body.input is missing"),
    (body("/v1/responses", model="m", input=""), "body.input is empty"),
    (body("/v1/responses", model="m", input=5), "body.input must be a text or a list, not 5"),
    (body("/v1/embeddings", model="m"), "body.input is missing"),
    (body("/v1/embeddings", model="m", input=[]), "body.input is empty"),
    (body("/v1/moderations"), "body.input is missing"),
    (body("/v1/completions", model="m"), "body.prompt is missing"),
    (body("/v1/completions", model="m", prompt={}), "body.prompt must be a text or a list, not an object"),
]


@pytest.mark.parametrize(("wrong", "text"), WRONG, ids=[text[:40] for _, text in WRONG])
def test_a_bad_line(read, wrong, text):
    """Its number and its fault; what stands around it is read as ever."""
    raw = wrong if isinstance(wrong, bytes) else json.dumps(wrong).encode()
    good = json.dumps(GOOD).encode()
    found = read(b"\n".join([good, b"", raw, b"  \t\r", good, b""]))
    assert [type(value).__name__ for value in found] == ["Request", "Problem", "Request"]
    assert found[1].line == 3
    assert found[1].text.startswith(text) if "Exceeds" in text else found[1].text == text
    assert [found[0].line, found[2].line] == [1, 5]


BETTER = [
    GOOD,
    body(**BODY, stream=False, n=None, max_tokens=None),
    body(
        model="m", messages=[{"role": "assistant", "content": None, "tool_calls": []}, {"role": "tool", "content": ""}]
    ),
    body("/v1/responses", model="m", input=[{"type": "item_reference", "id": "x"}], background=False),
    body("/v1/responses", model="m", prompt={"id": "pmpt_1"}),
    body("/v1/embeddings", model="m", input=[[1, 2], [3]]),
    body("/v1/completions", model="m", prompt="", max_tokens=0, echo=True),
    body("/v1/completions", model="m", prompt=[1, 2, 3]),
    body("/v1/moderations", input="hi"),
    body("/v1/moderations", model="omni-moderation-latest", input=[{"type": "text", "text": "hi"}]),
    changed(custom_id="\U0001f600", url="/chat/completions"),
    changed(custom_id="a" * 5000),
    body(**BODY, temperature=0.5, seed=-(10**30), stop=["{[" * 200], metadata={str(n): {} for n in range(200)}),
]


@pytest.mark.parametrize("good", BETTER)
def test_a_good_line(read, good):
    """What the API takes is taken, and sent as it is; an address without /v1, as Azure's files have it, is completed."""
    (request,) = read([good])
    assert (request.line, request.id, request.body, request.row) == (1, good["custom_id"], good["body"], None)
    assert request.url == "/v1" + good["url"].removeprefix("/v1")


def test_rows_and_batch_lines_in_one_file(read):
    """The first good line says what a file has; the others are told of."""
    content = b'nonsense\n{"prompt": "hi", "url": "https://a.invalid"}\n' + json.dumps(GOOD).encode()
    found = read(content, model="m")
    assert found[0] == Problem(1, "is not JSON: Expecting value at column 1")
    assert found[1].row == {"prompt": "hi", "url": "https://a.invalid"}
    assert found[2] == Problem(3, "is a Batch line, and the first one is a row: a file holds Batch lines or rows")


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "hi", "custom_id": "1", "url": "https://a.invalid"},
        {"custom_id": "1", "url": "https://a.invalid"},
        {"custom_id": "1", "body": "Dear all"},
        {"method": "GET", "url": "/index.html", "status": 200},
        {"body": "Dear all"},
        {"url": "/v1/responses"},
    ],
)
def test_columns_with_the_names_of_fields(read, row):
    """The address of a page or the text of a mail makes no Batch line of a row."""
    (request,) = read([row], model="m", template="{" + next(iter(row)) + "}")
    assert request.row == {name: str(value) for name, value in row.items()}


@pytest.mark.parametrize(
    "row",
    [
        {"body": {}},
        {"custom_id": "1", "method": "POST"},
        {"custom_id": "1", "url": "/v1/embeddings"},
        {"method": "POST", "url": "v1/embeddings"},
    ],
)
def test_bad_batch_lines_are_no_rows(read, row):
    """A line that lacks a field is told what it lacks."""
    (problem,) = read([row])
    assert problem.text.endswith("is missing")


@pytest.mark.parametrize("content", [b"", b"\n\n  \n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"])
@pytest.mark.parametrize("name", ["in.jsonl", "in.csv", "in.txt", "in.tsv"])
def test_nothing_in_it(read, content, name):
    """A file without a request is no mistake."""
    assert read(content, name) == []


def test_a_byte_order_mark(read, line):
    """What Windows puts before a text is none of it."""
    (request,) = read(b"\xef\xbb\xbf" + json.dumps(line()).encode() + b"\r\n")
    assert request.id == "a"


def test_no_end_of_the_last_line(read, line):
    """The last line counts without it."""
    assert [found.line for found in read(json.dumps(line("a")) + "\n" + json.dumps(line("b")))] == [1, 2]


def test_what_a_message_repeats():
    """Little of somebody's data, and of what is not printed as it is: nothing."""
    assert shown("a" * 100) == "'" + "a" * 58 + "…"
    assert shown("\x1b[2J") == "'\\x1b[2J'"
    assert len(shown("\U000e0001" * 10_000)) == 60
    assert shown(1.5) == "1.5"
    assert shown(()) == "tuple"
    assert listed(["a", "b"]) == "'a', 'b'"
    assert listed([str(n) for n in range(100)]).endswith("'18', '19' and 80 more")
