"""Bodies as clients send them, and what is wrong with bad ones."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stable_openai.simulator import Provider
from stable_openai.simulator.messages import ANSWERING
from stable_openai.simulator.reading import read_request
from stable_openai.simulator.routes import find_route


def read(path, payload, **more):
    return read_request("a", path, json.dumps(payload).encode(), **more)


def test_the_prompt_is_the_last_message_of_the_user():
    """Parts of a message are joined; the tokens are those of all messages."""
    parts = [{"type": "text", "text": "to"}, {"type": "image_url"}, {"type": "text", "text": "day"}]
    request = read(
        "chat/completions",
        {
            "model": "m",
            "messages": [
                {"role": "system", "content": "s" * 40},
                {"role": "user", "content": parts},
                {"role": "assistant", "content": None},
            ],
            "max_completion_tokens": 7,
            "n": 2,
            "stream": True,
            "stream_options": {"include_usage": True},
        },
    )
    assert request.malformed is None
    assert (request.prompt, request.model, request.max_tokens, request.n) == ("today", "m", 7, 2)
    assert request.stream
    assert request.include_usage
    assert request.prompt_tokens == 4 + 14 + 6 + 5


def test_other_inputs():
    """Responses take strings or messages, embeddings strings or tokens, completions a prompt."""
    assert read("responses", {"model": "m", "input": "hi"}).prompt == "hi"
    listed = read("responses", {"model": "m", "input": [{"content": "yo"}], "max_output_tokens": 5})
    assert (listed.prompt, listed.max_tokens) == ("yo", 5)
    assert read("completions", {"model": "m", "prompt": ["once"]}).prompt == "once"
    assert read("embeddings", {"model": "m", "input": "x"}).inputs == ("x",)
    assert read("embeddings", {"model": "m", "input": ["x", "y"]}).inputs == ("x", "y")
    assert read("embeddings", {"model": "m", "input": [1, 2, 3]}).prompt_tokens == 3
    assert read("embeddings", {"model": "m", "input": [[1], [2, 3]], "dimensions": 3}).dimensions == 3
    assert read("chat/completions", {"messages": [{"role": "user"}]}, deployment="d").model == "d"


MESSAGES = [{"role": "user", "content": "x"}]


@pytest.mark.parametrize(
    ("path", "payload", "param"),
    [
        ("chat/completions", {"messages": MESSAGES}, "model"),
        ("chat/completions", {"model": 3, "messages": MESSAGES}, "model"),
        ("chat/completions", {"model": "m"}, "messages"),
        ("chat/completions", {"model": "m", "messages": []}, "messages"),
        ("chat/completions", {"model": "m", "messages": ["x"]}, "messages[0]"),
        ("chat/completions", {"model": "m", "messages": [{"content": "x"}]}, "messages[0].role"),
        ("chat/completions", {"model": "m", "messages": MESSAGES, "n": 0}, "n"),
        ("chat/completions", {"model": "m", "messages": MESSAGES, "n": 1000}, "n"),
        ("chat/completions", {"model": "m", "messages": MESSAGES, "n": "2"}, "n"),
        ("chat/completions", {"model": "m", "messages": MESSAGES, "max_tokens": -1}, "max_tokens"),
        ("chat/completions", {"model": "m", "messages": MESSAGES, "stream": "yes"}, "stream"),
        ("responses", {"model": "m"}, "input"),
        ("completions", {"model": "m", "prompt": 3}, "prompt"),
        ("embeddings", {"model": "m"}, "input"),
        ("embeddings", {"model": "m", "input": [None]}, "input"),
        ("embeddings", {"model": "m", "input": "x", "dimensions": 10**9}, "dimensions"),
    ],
)
def test_bad_fields_get_a_400_that_names_them(path, payload, param):
    """The error's `param` is the field; the limits are not touched."""
    provider = Provider(["a"])
    reply = provider.reply(read(path, payload), 0.0)
    assert (reply.status, reply.outcome) == (400, "bad_request")
    assert reply.body["error"]["param"] == param
    assert provider.stats().total.accepted == 0


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"3", b"\xff", b"[" * 100_000])
def test_what_is_no_json_object_gets_a_400(body):
    """Whatever comes, the answer is an error in the provider's shape."""
    reply = Provider(["a"]).reply(read_request("a", "chat/completions", body), 0.0)
    assert reply.status == 400
    assert reply.body["error"]["type"] == "invalid_request_error"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
known = st.sampled_from(["model", "messages", "input", "prompt", "n", "stream", "stream_options", "max_tokens"])


@given(st.sampled_from(ANSWERING), st.dictionaries(known, json_values, max_size=6))
def test_no_body_breaks_the_engine(path, payload):
    """Any JSON object is served or refused with a 400."""
    reply = Provider(["a"], embedding_dimensions=2).reply(read(path, payload), 0.0)
    assert reply.status in (200, 400)


def test_paths():
    """The prefixes of several providers lead to the same places; others lead nowhere."""
    for prefix in ("/v1", "/openai/v1", "/v1beta/openai"):
        assert find_route(f"{prefix}/chat/completions").path == "chat/completions"
    azure = find_route("/openai/deployments/gpt-4o/chat/completions")
    assert (azure.place, azure.path, azure.deployment) == ("answer", "chat/completions", "gpt-4o")
    assert find_route("/v1/models").place == "models"
    assert find_route("/v1/models/a/b").path == "models/a/b"
    assert find_route("/v1/organization/projects").place == "admin"
    for path in ("/", "/v1", "/v1/", "/v1/files", "/openai/deployments//chat/completions", "/openai/deployments/d/x"):
        assert find_route(path) is None
