"""Lines of answers and failures, and what is read out of them."""

from __future__ import annotations

import base64
import json
import struct

import pytest

from stable_openai.batch.output import (
    answer_text,
    body_of,
    error_text,
    failure_line,
    success_line,
    usage_of,
    vector_of,
)

CHAT, COMPLETIONS, EMBEDDINGS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
RESPONSES, MODERATIONS = "/v1/responses", "/v1/moderations"
REFUSED = {"error": {"message": "too long", "type": "invalid_request_error", "param": None, "code": "context"}}


def test_the_line_of_an_answer():
    """As the Batch API has it; its id is the same in each run."""
    body = {"id": "chatcmpl-1", "choices": [], "usage": {"total_tokens": 3}}
    line = success_line("a", 200, "req_1", body)
    assert line == {
        "id": line["id"],
        "custom_id": "a",
        "response": {"status_code": 200, "request_id": "req_1", "body": body},
        "error": None,
    }
    assert line["id"].startswith("batch_req_")
    assert line["id"] == success_line("a", 500, None, {})["id"] != success_line("b", 200, "req_1", body)["id"]
    assert body_of(line) == body
    assert error_text(line) == ""
    assert usage_of(body) == {"total_tokens": 3}
    assert usage_of({"usage": None}) is usage_of({}) is None


def failed(**fields):
    told = {"code": "context_length", "message": "is too long", "reason": "context_length", "retriable": False}
    return failure_line("a", **{**told, **fields})


@pytest.mark.parametrize(
    ("fields", "response", "error", "text"),
    [
        (
            {"status": 400, "request_id": "req_1", "body": REFUSED},
            {"status_code": 400, "request_id": "req_1", "body": REFUSED},
            None,
            "too long",
        ),
        ({}, None, {"code": "context_length", "message": "is too long"}, "is too long"),
        (
            {"status": 502, "body": "<html>Bad gateway"},
            {"status_code": 502, "request_id": None, "body": "<html>Bad gateway"},
            {"code": "context_length", "message": "is too long"},
            "is too long",
        ),
        (
            {"status": 200, "body": {"choices": []}},
            {"status_code": 200, "request_id": None, "body": {"choices": []}},
            {"code": "context_length", "message": "is too long"},
            "is too long",
        ),
    ],
)
def test_the_line_of_a_failure(fields, response, error, text):
    """The provider's own error where it has told one, else ours; and what we make of it."""
    line = failed(**fields)
    assert (line["response"], line["error"], line["custom_id"]) == (response, error, "a")
    assert (line["reason"], line["retriable"]) == ("context_length", False)
    assert body_of(line) is None
    assert error_text(line) == text


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ({"response": None, "error": {"code": "batch_expired", "message": "Too late."}}, "Too late."),
        ({"response": {"status_code": 500, "body": {"error": "broken"}}, "error": None}, "broken"),
        ({"response": {"status_code": 500, "body": {}}, "error": None}, "status 500"),
        ({"response": {"status_code": 500, "body": None}}, "status 500"),
        ({"response": {"status_code": "200", "body": {}}}, "failed"),
        ({"response": 5, "error": {"message": ""}}, "failed"),
        ({}, "failed"),
    ],
)
def test_lines_of_others(line, text):
    """Files that the Batch API has written, or somebody else, are read as far as they make sense."""
    assert body_of(line) is None
    assert error_text(line) == text


def said(**message):
    return {"choices": [{"index": 0, "message": {"role": "assistant", **message}}]}


CALLS = [{"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}]
OUTPUT = [
    {"type": "reasoning", "summary": []},
    {
        "type": "message",
        "content": [{"type": "output_text", "text": "Hello "}, {"type": "output_text", "text": "there"}],
    },
]


@pytest.mark.parametrize(
    ("url", "body", "text"),
    [
        (CHAT, said(content="Hällo"), "Hällo"),
        (CHAT, said(content=None, refusal="No."), "No."),
        (CHAT, said(content=None, tool_calls=CALLS), json.dumps(CALLS, separators=(",", ":"))),
        (CHAT, said(content=[{"type": "text", "text": "a"}, {"type": "text", "text": "b"}, 5, {"text": 5}]), "ab"),
        (CHAT, {"choices": [{"message": {"content": "ä"}}, {"message": {"content": "b"}}]}, '["ä","b"]'),
        (CHAT, {"choices": [{"message": None}]}, ""),
        (CHAT, {"choices": []}, ""),
        (CHAT, {"choices": "hi"}, ""),
        (CHAT, {}, ""),
        (COMPLETIONS, {"choices": [{"text": "Hi"}]}, "Hi"),
        (COMPLETIONS, {"choices": [{"text": "Hi"}, {"text": "Ho"}]}, '["Hi","Ho"]'),
        (RESPONSES, {"output": OUTPUT}, "Hello there"),
        (RESPONSES, {"output": [{"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}]}, "No."),
        (
            RESPONSES,
            {"output": [{"type": "function_call", "name": "look"}]},
            '[{"type":"function_call","name":"look"}]',
        ),
        (RESPONSES, {"output": None}, ""),
        (EMBEDDINGS, {"data": [{"embedding": [0.5, -1]}]}, "[0.5,-1]"),
        (EMBEDDINGS, {"data": [{"embedding": [1]}, {"embedding": [2]}]}, '["[1]","[2]"]'),
        (EMBEDDINGS, {"data": [{"embedding": "AAAA"}]}, "AAAA"),
        (MODERATIONS, {"results": [{"flagged": False}]}, '{"flagged":false}'),
        ("/v1/other", {"choices": [{"text": "Hi"}]}, ""),
    ],
)
def test_what_an_answer_says(url, body, text):
    """In one text; whatever is sent, nothing is raised."""
    assert answer_text(url, body) == text


def test_vectors():
    """As numbers, whichever way they came."""
    packed = base64.b64encode(struct.pack("<3f", 0.5, -1.0, 2.0)).decode()
    assert vector_of({"data": [{"embedding": packed}]}) == [0.5, -1.0, 2.0]
    assert vector_of({"data": [{"embedding": [0.1, 2]}]}) == [0.1, 2.0]
    for wrong in ("*", "AAA", "AAAA", [None], None, {"a": 1}):
        assert vector_of({"data": [{"embedding": wrong}]}) is None
    assert vector_of({"data": []}) is vector_of({}) is None
