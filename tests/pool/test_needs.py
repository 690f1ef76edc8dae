"""What a call will need: what is said, counted, and the most of its answers; nothing that is no text to the model."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stable_openai import KeyPool, RequestTooLarge, stable
from stable_openai.pool.needs import tokens_needed

ANSWER = 256  # what an answer is taken to need where nobody says
IMAGE = "data:image/png;base64," + "iVBORw0KGgo" * 10_000
HELLO = {"role": "user", "content": "hello"}
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


def said(**arguments):
    """Tokens of what is said."""
    return tokens_needed({**arguments, "max_tokens": 1}) - 1


def answered(**arguments):
    """Tokens of answers."""
    return tokens_needed({"messages": [], **arguments})


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"messages": [HELLO]}, 4 + 5),
        ({"messages": [{"role": "system", "content": "Be brief."}, HELLO]}, 2 * 4 + 9 + 5),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "what?"}]}]}, 4 + 5),
        ({"messages": [{"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}]}, 4 + 2),
        ({"messages": [SimpleNamespace(role="assistant", content="hello", tool_calls=None)]}, 4 + 5),
        ({"messages": [{"role": "assistant", "tool_calls": [TOOL]}]}, 4 + len(json.dumps([TOOL]))),
        ({"messages": [HELLO], "tools": [TOOL]}, 9 + len(json.dumps([TOOL]))),
        ({"messages": [HELLO], "functions": [TOOL]}, 9 + len(json.dumps([TOOL]))),
        ({"messages": [HELLO], "response_format": {"type": "json_object"}}, 9 + len('{"type": "json_object"}')),
        ({"prompt": "hello"}, 5),
        ({"prompt": ["hello", "you"]}, 5 + 3 + 1),  # of two, each has an answer
        ({"prompt": [1, 2, 3]}, 3),
        ({"input": "hello", "instructions": "Be brief."}, 5 + 9),
        ({"input": [HELLO, {"type": "function_call", "name": "look", "arguments": "{}"}]}, 9 + 4 + 2),
        ({"input": [{"type": "function_call_output", "output": "22 °C"}]}, 4 + 5),
        ({"input": [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}]}, 4 + 2),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, 4),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": "what?"}]}]}, 4 + 5),
        ({"input": "hello", "text": {"format": {"type": "text"}}}, 5 + len('{"format": {"type": "text"}}')),
        ({"question": "hello", "text": "you"}, 5 + 3),
        ({"temperature": 1, "messages": None, "prompt": 5, "input": {}, "tools": object(), "unheard": "of"}, 0),
    ],
)  # fmt: skip
def test_what_is_said(counted, arguments, expected):
    """Of chats, completions and responses, and of the arguments of a function of one's own."""
    assert said(**arguments) == expected


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": IMAGE}},
        {"type": "image_url", "image_url": {"url": "https://images.invalid/a.png"}},
        {"type": "input_image", "image_url": IMAGE},
        {"type": "input_audio", "input_audio": {"data": "UklGR" * 10_000, "format": "wav"}},
        {"type": "file", "file": {"file_data": IMAGE}},
        IMAGE,
    ],
)
def test_what_is_no_text(counted, part):
    """Images and the like count by OpenAI's flat number, and their bytes are not looked at."""
    assert said(messages=[{"role": "user", "content": ["what?", part]}]) == 4 + 5 + 765
    assert said(input=[{"type": "function_call_output", "output": [part]}]) == 4 + 765
    assert counted.signs == 5


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, ANSWER),
        ({"max_tokens": 10}, 10),
        ({"max_completion_tokens": 10}, 10),
        ({"max_output_tokens": 10}, 10),
        ({"max_tokens": None, "n": None}, ANSWER),
        ({"max_tokens": 10, "n": 3}, 30),
        ({"n": 3}, 3 * ANSWER),
        ({"max_tokens": 10, "n": 2, "best_of": 5}, 50),
        ({"max_tokens": "10", "n": "3"}, ANSWER),
        ({"max_tokens": True, "n": True}, ANSWER),
        ({"max_tokens": -1, "n": 0}, ANSWER),
        ({"prompt": ["", "", ""], "max_tokens": 10}, 30),
        ({"prompt": [[], [], []], "max_tokens": 10, "n": 2}, 60),
    ],
)  # fmt: skip
def test_answers(counted, arguments, expected):
    """As many as are asked for, each of as many tokens as it may have."""
    assert answered(**arguments) == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"input": "hello"}, 5), ({"input": ["hello", "you"]}, 8), ({"input": []}, 0),
        ({"input": [1, 2, 3]}, 3), ({"input": [[1, 2, 3], [4, 5]]}, 5), ({"input": (1, 2, 3)}, 3),
    ],
)  # fmt: skip
def test_embeddings_have_no_answer(counted, arguments, expected):
    """They are known by the address, or by the model; tokens count themselves."""
    for url in ("/embeddings", "https://api.openai.com/v1/embeddings/", "/deployments/mine/embeddings?api-version=1"):
        assert tokens_needed(arguments, "mine", url) == expected
    assert tokens_needed(arguments, "text-embedding-3-small") == expected


def test_embeddings_by_their_input(counted):
    """Where neither is told, a list of texts or of tokens says it; a text alone may be a response's."""
    for given_, expected in ((["hello", "you"], 8), ([1, 2, 3], 3), ([[1, 2], [3]], 3)):
        assert tokens_needed({"input": given_}) == expected
        assert tokens_needed({"input": given_, "max_tokens": 10}) == expected + 10
    assert tokens_needed({"input": "hello"}, "gpt-4o", "/responses") == 5 + ANSWER


def test_many_tokens_are_not_walked_over(counted):
    """A long list of them counts by its length."""

    class Ids(list):
        def __iter__(self):
            raise AssertionError("walked over")

    assert tokens_needed({"input": [Ids([1] * 8192)] * 3}, "embed") == 3 * 8192


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.binary(max_size=3) | st.builds(object),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["role", "content", "text", "type"]) | st.integers(), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
names = (
    "messages",
    "prompt",
    "input",
    "text",
    "instructions",
    "tools",
    "functions",
    "response_format",
    "max_tokens",
    "n",
)


@given(st.dictionaries(st.sampled_from(names), values))
def test_nonsense_is_counted_as_well(arguments):
    """Whatever is given, the provider is the judge of it: a number comes out, and no error."""
    assert tokens_needed(arguments, "mine") >= 0


def test_what_can_not_be_written_as_json(counted):
    """Counts nothing."""
    endless = []
    endless.append(endless)
    assert said(tools=endless) == said(tools={("a", "b"): 1}) == 0


def test_a_line_of_20_megabytes(counted):
    """A request of any size is reckoned with by a sample of 200,000 signs at most."""
    messages = [{"role": "user", "content": "x" * 1_000_000}] * 20
    assert said(messages=messages) == pytest.approx(20_000_000, rel=0.01)
    assert counted.signs <= 200_000


@pytest.mark.parametrize(
    ("args", "kwargs", "expected", "tokenizer"),
    [
        (("hello",), {}, 5 + 9 + 100, "cl100k_base"),
        (("hello", "gpt-4o"), {}, 5 + 9 + 100, "o200k_base"),
        (("hello",), {"model": "gpt-4o", "instructions": "", "max_tokens": 7}, 5 + 7, "o200k_base"),
        ((), {"question": "hello", "n": 2}, 5 + 9 + 200, "cl100k_base"),
    ],
)
def test_the_decorator_counts_for_the_model(counted, args, kwargs, expected, tokenizer):
    """By the model of the call, wherever that is said; what is left at its default counts as well."""

    @stable(pool=KeyPool(["sk-needs-aaaaaaaaaaaaaaaaaaaa"], tpm=1))
    def ask(question, model="gpt-4", *, instructions="Be brief.", max_tokens=100, n=1, api_key=""):
        raise AssertionError("it is too large")

    with pytest.raises(RequestTooLarge) as caught:
        ask(*args, **kwargs)
    assert caught.value.tokens == expected
    assert counted.names == [tokenizer]


def test_where_no_limit_counts_tokens_nothing_is_counted(counted):
    """A pool of requests by the minute never loads a tokenizer."""
    pool = KeyPool(["sk-needs-aaaaaaaaaaaaaaaaaaaa"], rpm=10)
    stable(pool=pool, affinity="talk")(lambda question, api_key="": None)("hello")
    assert counted.names == []
