"""Answers and verdicts show no secret; headers ignore case."""

from __future__ import annotations

import pickle

import pytest

from stable_openai.verdict import Answer, Headers, Reason, Scope, Verdict, judge

KEY = "sk-proj-abcDEF0123456789abcdWXYZ"


def test_headers_ignore_case():
    """Names are compared without case, whatever they came as; repeated fields are joined."""
    headers = Headers([(b"Retry-After", b"3"), ("X-A", "1"), ("x-a", "2"), ("broken",), ("none", None), ("", "x")])
    assert headers["RETRY-AFTER"] == "3"
    assert headers.get("x-A") == "1, 2"
    assert "retry-After" in headers
    assert 5 not in headers
    assert sorted(headers) == ["retry-after", "x-a"]
    assert dict(Headers(headers)) == dict(headers)


@pytest.mark.parametrize("source", [None, 5, "text", {"a": {"b": 1}}, object()])
def test_what_is_no_headers(source):
    """Anything that holds no headers gives none."""
    assert len(Headers(source)) == 0


def test_repr_of_an_answer_hides():
    """Neither credentials nor cookies nor keys in a body are shown; what tells of limits is."""
    answer = Answer(
        401, {"Authorization": f"Bearer {KEY}", "Set-Cookie": "a=b", "Retry-After": "3"}, {"error": f"bad {KEY}"}
    )
    text = repr(answer)
    assert KEY not in text
    assert "Bearer" not in text
    assert "a=b" not in text
    assert "'retry-after': '3'" in text
    assert "sk-…WXYZ" in text
    assert "bytes" not in repr(Answer(200, body=b"\xff" + KEY.encode() + b"x" * 9000))


SECRETS = [
    KEY,
    "sk-short",
    "gsk_abcdefghijklmnop1234",
    "xai-abcdefghijklmnop1234",
    "hf_abcdefghijklmnop1234",
    "AIzaSyA1234567890abcdefghijklmnopqrstuv",
    "nvapi-abcdefghijklmnop1234",
    "0123456789abcdef0123456789abcdef",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_in_a_verdict(secret):
    """Whatever an answer repeats, its verdict has it masked in every field."""
    body = {
        "error": {
            "message": f"Incorrect API key provided: {secret}. For model `{secret}`.",
            "code": secret,
            "model": secret,
        }
    }
    for status in (401, 404, 429):
        assert secret not in repr(judge(Answer(status, {"openai-organization": secret}, body)))


def test_messages_are_short_and_whole():
    """The message is one line of at most 200 characters; words stay as they are."""
    verdict = judge(Answer(400, {}, {"error": {"message": "Invalid\n value " + "and so on " * 100}}))
    assert len(verdict.message) <= 200
    assert verdict.message.startswith("Invalid value and so on")
    assert judge(Answer(500)).message == "HTTP 500 Internal Server Error"
    assert judge(Answer(401, {}, "Use Bearer authentication please")).message == "Use Bearer authentication please"


def test_verdicts_and_answers_are_values():
    """They are frozen, compare by value and survive pickling."""
    verdict = judge(Answer(429, {"retry-after": "3"}, "no"))
    assert pickle.loads(pickle.dumps(verdict)) == verdict
    assert Answer(200, {"A": "b"}) == Answer(200, {"a": "b"})
    assert pickle.loads(pickle.dumps(Answer(200, {"A": "b"}))).headers["a"] == "b"
    with pytest.raises(AttributeError):
        verdict.reason = Reason.OK


def test_kinds_of_reasons():
    """The properties part the reasons as other layers need them."""
    kinds = {reason: Verdict(reason) for reason in Reason}
    assert sum(verdict.is_rate_limit for verdict in kinds.values()) == 6
    assert {r for r, v in kinds.items() if v.is_provider_trouble} == {
        Reason.SERVER_ERROR,
        Reason.OVERLOADED,
        Reason.TIMEOUT,
        Reason.CONNECTION_LOST,
    }
    assert {r for r, v in kinds.items() if v.is_request_fault} == {
        Reason.BAD_REQUEST,
        Reason.CONTEXT_LENGTH,
        Reason.CONTENT_FILTER,
        Reason.NOT_FOUND,
    }
    assert str(Reason.OK) == f"{Reason.OK}" == "ok"
    assert str(Scope.KEY) == "key"
    assert kinds[Reason.OK].is_ok
