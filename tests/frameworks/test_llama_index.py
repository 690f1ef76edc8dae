"""LlamaIndex: ``llama_index.llms.openai.OpenAI`` over drop-in clients."""

from __future__ import annotations

import json

import openai
import pytest

llms = pytest.importorskip("llama_index.llms.openai")
messages = pytest.importorskip("llama_index.core.llms")
tools = pytest.importorskip("llama_index.core.tools")
pydantic = pytest.importorskip("pydantic")

KINDS = ["OpenAI", "OpenAIResponses"]
each_kind = pytest.mark.parametrize("kind", KINDS)


class Town(pydantic.BaseModel):
    """What is asked for."""

    name: str


def model_over(client=None, async_client=None, kind="OpenAI"):
    """A model as the README makes it; one of the two clients may be any that can't be used."""
    unused = {"api_key": "-", "base_url": "http://127.0.0.1:9"}
    client, async_client = client or openai.OpenAI(**unused), async_client or openai.AsyncOpenAI(**unused)
    return getattr(llms, kind)(
        model="gpt-4o-mini", openai_client=client, async_openai_client=async_client, max_retries=0
    )


@each_kind
def test_complete(provider, kind):
    """A call is answered, over both APIs, though two of three keys are out of use."""
    made = provider()
    with made.client() as client:
        assert model_over(client, kind=kind).complete("hello").text == "You said: hello"
    made.check_failover()


@each_kind
async def test_acomplete(provider, kind):
    """So it is in a task."""
    made = provider()
    async with made.async_client() as client:
        answer = await model_over(None, client, kind).acomplete("hello")
    assert answer.text == "You said: hello"
    made.check_failover()


@each_kind
def test_chat_stream(provider, kind):
    """A stream begins under the key that works."""
    made = provider()
    with made.client() as client:
        chunks = list(model_over(client, kind=kind).stream_chat([messages.ChatMessage("hello to you")]))
    assert "".join(chunk.delta or "" for chunk in chunks) == "You said: hello to you"
    made.check_failover()


@each_kind
async def test_chat_stream_in_a_task(provider, kind):
    """So does one in a task."""
    made = provider()
    async with made.async_client() as client:
        stream = await model_over(None, client, kind).astream_chat([messages.ChatMessage("hello to you")])
        text = "".join([chunk.delta or "" async for chunk in stream])
    assert text == "You said: hello to you"
    made.check_failover()


def test_structured_output(provider):
    """JSON by a schema becomes an object."""
    made = provider(script=lambda _: json.dumps({"name": "Bonn"}))
    with made.client() as client:
        answer = model_over(client).as_structured_llm(Town).complete("a town")
    assert answer.raw == Town(name="Bonn")
    made.check_failover()


@each_kind
def test_tool_call(provider, tool_caller, kind):
    """The model's call of a tool arrives."""
    made = provider()
    http, _ = tool_caller(name="Bonn")

    def weather(name: str) -> str:
        """Tell a town's weather."""
        return f"fair in {name}"

    with made.client(http_client=http) as client:
        answer = model_over(client, kind=kind).predict_and_call([tools.FunctionTool.from_defaults(weather)], "a town")
    assert str(answer) == "fair in Bonn"
    made.check_failover()


def test_no_retries_on_top(troubled):
    """With ``max_retries=0`` LlamaIndex doesn't retry: trouble is met as often as the client says."""
    with troubled.client(max_retries=0) as client, pytest.raises(openai.InternalServerError):
        model_over(client).complete("poison")
    assert troubled.attempts() == 1
