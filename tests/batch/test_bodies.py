"""Bodies: what defaults fill in, how answers are limited, and how many tokens are taken to be needed."""

from __future__ import annotations

import pytest

from stable_openai.batch import counting
from stable_openai.batch.endpoints import COMPLETIONS, EMBEDDINGS, MODERATIONS, RESPONSES, completed
from stable_openai.batch.request import Request

CHAT = "/v1/chat/completions"
SAID = [{"role": "user", "content": "hi"}]


@pytest.fixture
def counted(monkeypatch):
    """A token for each sign, and four for a message."""
    monkeypatch.setattr(counting, "text_tokens", lambda text, _model: len(text))
    monkeypatch.setattr(counting, "message_tokens", lambda message, _model: 4 + len(message["content"]))


def tokens(url, **body):
    return Request(1, "a", url, {"model": "m", **body}).tokens()


@pytest.mark.parametrize(
    ("url", "body", "expected"),
    [
        (CHAT, {}, {"model": "m", "max_tokens": 9}),
        (CHAT, {"model": None, "max_tokens": None}, {"model": "m", "max_tokens": 9}),
        (CHAT, {"model": "n", "max_tokens": 5}, {"model": "n", "max_tokens": 5}),
        (CHAT, {"model": "n", "max_completion_tokens": 5}, {"model": "n", "max_completion_tokens": 5}),
        (RESPONSES, {}, {"model": "m", "max_output_tokens": 9}),
        (RESPONSES, {"max_output_tokens": 5}, {"model": "m", "max_output_tokens": 5}),
        (COMPLETIONS, {"max_tokens": 0}, {"model": "m", "max_tokens": 0}),
        (EMBEDDINGS, {}, {"model": "m"}),
        (MODERATIONS, {}, {}),
    ],
)
def test_what_a_line_lacks_is_filled_in(url, body, expected):
    """And what it says stands; null says nothing; moderations have a model of their own."""
    before = dict(body)
    assert completed(url, body, "m", 9) == expected
    assert body == before
    assert completed(url, body, None, None) == body


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gpt-4o-mini", "max_tokens"), ("gpt-4.1", "max_tokens"), ("gpt-4", "max_tokens"), ("gpt-3.5-turbo", "max_tokens"),
        ("gpt-35-turbo", "max_tokens"), ("gpt-oss-120b", "max_tokens"), ("deepseek-chat", "max_tokens"),
        ("mistral-large", "max_tokens"), ("qwen3-32b", "max_tokens"), ("olmo-2", "max_tokens"), ("o", "max_tokens"),
        ("o1", "max_completion_tokens"), ("o3-mini", "max_completion_tokens"), ("o4-mini-2025-04-16", "max_completion_tokens"),
        ("gpt-5", "max_completion_tokens"), ("gpt-5.1-chat", "max_completion_tokens"), ("gpt-10", "max_completion_tokens"),
        ("ft:o4-mini:me::1", "max_completion_tokens"), ("openai/gpt-5-nano", "max_completion_tokens"),
    ],
)  # fmt: skip
def test_how_a_model_is_told_its_limit(model, name):
    """OpenAI's reasoning models refuse what all others understand."""
    assert completed(CHAT, {"model": model}, None, 9) == {"model": model, name: 9}


@pytest.mark.parametrize(
    ("url", "body"),
    [
        (CHAT, {"messages": [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "hi"}], "max_tokens": 9}),
        (RESPONSES, {"input": "hi", "instructions": "Be brief", "max_output_tokens": 9}),
    ],
)  # fmt: skip
def test_rows_for_an_address(read, url, body):
    """The prompt and the system's text stand where each has them."""
    (request,) = read("prompt\nhi\n", "in.csv", model="m", url=url, system="Be brief", max_tokens=9)
    assert (request.url, request.body) == (url, {"model": "m", **body})


@pytest.mark.parametrize(
    ("url", "body"),
    [
        (COMPLETIONS, {"model": "m", "prompt": "hi", "max_tokens": 9}),
        (EMBEDDINGS, {"model": "m", "input": "hi"}),
        (MODERATIONS, {"model": "m", "input": "hi"}),
    ],
)
def test_rows_for_the_others(read, url, body):
    """These have no place for a system's text."""
    (request,) = read("prompt\nhi\n", "in.csv", model="m", url=url, max_tokens=9)
    assert request.body == body


def test_moderations_need_no_model(read):
    """Of rows and of Batch lines."""
    (request,) = read("prompt\nhi\n", "in.csv", url=MODERATIONS)
    assert (request.body, request.model, request.is_limited) == ({"input": "hi"}, "", True)


@pytest.mark.parametrize(
    ("url", "body", "expected"),
    [
        (CHAT, {"messages": SAID}, (3 + 4 + 2, 256)),
        (CHAT, {"messages": SAID * 2, "max_tokens": 10}, (3 + 12, 10)),
        (CHAT, {"messages": SAID, "max_tokens": 10, "max_completion_tokens": 20, "n": 3}, (9, 60)),
        (CHAT, {"messages": SAID, "tools": [{"a": 1}], "max_tokens": 0}, (9 + len('[{"a": 1}]'), 0)),
        (CHAT, {"messages": [{"role": "assistant"}]}, (3 + len('{"role": "assistant"}'), 256)),
        (RESPONSES, {"input": "hello", "instructions": "ab", "max_output_tokens": 10}, (3 + 5 + 2, 10)),
        (RESPONSES, {"input": SAID}, (9, 256)),
        (RESPONSES, {"input": [{"a": 1}]}, (3 + len('{"a": 1}'), 256)),
        (RESPONSES, {"input": [{"role": "user", "content": 5}]}, (3 + len('{"role": "user", "content": 5}'), 256)),
        (RESPONSES, {"prompt": {"id": "x"}}, (3, 256)),
        (EMBEDDINGS, {"input": "hello"}, (5, 0)),
        (EMBEDDINGS, {"input": ["hello", "ab"]}, (7, 0)),
        (EMBEDDINGS, {"input": [1, 2, 3]}, (3, 0)),
        (EMBEDDINGS, {"input": [[1, 2], [3]]}, (3, 0)),
        (COMPLETIONS, {"prompt": "hello"}, (5, 16)),
        (COMPLETIONS, {"prompt": "hello", "n": 2, "best_of": 4, "max_tokens": 10}, (5, 40)),
        (COMPLETIONS, {"prompt": ["hello", "ab"], "max_tokens": 10}, (7, 20)),
        (COMPLETIONS, {"prompt": [1, 2, 3], "max_tokens": 10}, (3, 10)),
        (MODERATIONS, {"input": "hello"}, (0, 0)),
    ],
)
def test_tokens_of_a_request(counted, url, body, expected):
    """Prompt, and the most of the answer: as often as it is asked for."""
    assert tokens(url, **body) == expected


def test_pictures_count_as_pictures():
    """Not as the letters of their base64."""
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 1_000_000}}
    inner = {"type": "input_image", "image_url": "data:image/png;base64," + "A" * 1_000_000}
    for prompt, _ in (
        tokens(CHAT, messages=[{"role": "user", "content": [picture]}]),
        tokens(RESPONSES, input=[{"role": "user", "content": [inner]}]),
    ):
        assert 100 < prompt < 1_000


def test_the_model_counts(monkeypatch):
    """Each has its tokenizer."""
    asked = []
    monkeypatch.setattr(counting, "text_tokens", lambda _text, model: asked.append(model) or 1)
    tokens(EMBEDDINGS, model="text-embedding-3-small", input="hi")
    tokens(RESPONSES, model="gpt-4", input="hi")
    assert asked == ["text-embedding-3-small", "gpt-4"]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}, (3, 4)),
        ({"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}, (3, 4)),
        ({"prompt_tokens": 3, "total_tokens": 3}, (3, 0)),
        ({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 100}, (3, 97)),
        ({"total_tokens": 9}, (9, 0)),
        ({"completion_tokens": 4, "total_tokens": 9}, (5, 4)),
        ({"completion_tokens": 4}, (0, 4)),
        ({"prompt_tokens": 3, "completion_tokens": None}, (3, 0)),
        ({"prompt_tokens": "3"}, None),
        ({"prompt_tokens": True, "total_tokens": -1}, None),
        ({"total_tokens": 10**30}, None),
        ({}, None),
    ],
)
def test_tokens_that_an_answer_tells(usage, expected):
    """Under either pair of names; what is thought beside the answer counts as answer."""
    assert counting.used(usage) == expected
