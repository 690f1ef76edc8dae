"""LangChain: ``ChatOpenAI`` and ``OpenAIEmbeddings`` over drop-in clients."""

from __future__ import annotations

import json

import openai
import pytest

langchain_openai = pytest.importorskip("langchain_openai")


class Town:
    """What is asked for as JSON."""

    schema = {  # noqa: RUF012  # a constant
        "title": "Town",
        "description": "A town.",
        "type": "object",
        "properties": {"name": {"type": "string"}},
        "required": ["name"],
        "additionalProperties": False,
    }


def model_over(client=None, async_client=None, **options):
    """A chat model as the README makes it; one of the two clients may be any that can't be used."""
    unused = openai.OpenAI(api_key="-", base_url="http://127.0.0.1:9")
    client, async_client = client or unused, async_client or unused
    return langchain_openai.ChatOpenAI(
        model="gpt-4o-mini",
        client=client.chat.completions,
        root_client=client,
        async_client=async_client.chat.completions,
        root_async_client=async_client,
        stream_usage=True,
        **options,
    )


@pytest.mark.parametrize("use_responses_api", [False, True])
def test_invoke(provider, use_responses_api):
    """A call is answered, over both APIs, though two of three keys are out of use."""
    made = provider()
    with made.client() as client:
        answer = model_over(client, use_responses_api=use_responses_api).invoke("hello")
    assert answer.text == "You said: hello"
    made.check_failover()


@pytest.mark.parametrize("use_responses_api", [False, True])
async def test_ainvoke(provider, use_responses_api):
    """So it is in a task."""
    made = provider()
    async with made.async_client() as client:
        answer = await model_over(None, client, use_responses_api=use_responses_api).ainvoke("hello")
    assert answer.text == "You said: hello"
    made.check_failover()


@pytest.mark.parametrize("use_responses_api", [False, True])
def test_stream(provider, use_responses_api):
    """A stream begins under the key that works."""
    made = provider()
    with made.client() as client:
        chunks = list(model_over(client, use_responses_api=use_responses_api).stream("hello to you"))
    assert len(chunks) > 3
    assert "".join(chunk.text for chunk in chunks) == "You said: hello to you"
    assert sum(chunk.usage_metadata["total_tokens"] for chunk in chunks if chunk.usage_metadata) > 0
    made.check_failover()


@pytest.mark.parametrize("use_responses_api", [False, True])
async def test_astream(provider, use_responses_api):
    """So does one in a task."""
    made = provider()
    async with made.async_client() as client:
        model = model_over(None, client, use_responses_api=use_responses_api)
        text = "".join([chunk.text async for chunk in model.astream("hello to you")])
    assert text == "You said: hello to you"
    made.check_failover()


def test_stream_that_is_left(provider):
    """A stream that is not read to its end gives its key back."""
    made = provider()
    with made.client() as client:
        stream = model_over(client).stream("hello to you")
        next(stream)
        stream.close()
        assert [status.in_flight for status in made.pool.status()] == [0, 0, 0]


def test_batch(provider):
    """Threads of LangChain's share the pool; each prompt is answered once."""
    made = provider()
    prompts = [f"prompt {i}" for i in range(20)]
    with made.client() as client:
        answers = model_over(client).batch(prompts)
    assert [answer.text for answer in answers] == [f"You said: {prompt}" for prompt in prompts]
    assert all(made.sim.stats().served_times(prompt) == 1 for prompt in prompts)


def test_structured_output(provider):
    """JSON by a schema, which LangChain gets by other methods of the client."""
    made = provider(script=lambda _: json.dumps({"name": "Bonn"}))
    with made.client() as client:
        model = model_over(client).with_structured_output(Town.schema, method="json_schema")
        assert model.invoke("a town") == {"name": "Bonn"}
    made.check_failover()


async def test_structured_output_in_a_task(provider):
    """So it is in a task."""
    made = provider(script=lambda _: json.dumps({"name": "Bonn"}))
    async with made.async_client() as client:
        model = model_over(None, client).with_structured_output(Town.schema, method="json_schema")
        assert await model.ainvoke("a town") == {"name": "Bonn"}
    made.check_failover()


def test_tool_call(provider, tool_caller):
    """The model's call of a tool arrives."""
    made = provider()
    http, _ = tool_caller(name="Bonn")
    with made.client(http_client=http) as client:
        answer = model_over(client).bind_tools([Town.schema]).invoke("a town")
    (call,) = answer.tool_calls
    assert (call["name"], call["args"]) == ("Town", {"name": "Bonn"})
    made.check_failover()


def test_embeddings(provider):
    """``OpenAIEmbeddings`` takes the same clients."""
    made = provider()
    with made.client() as client:
        embeddings = langchain_openai.OpenAIEmbeddings(
            model="text-embedding-3-small",
            client=client.embeddings,
            async_client=client.embeddings,
            check_embedding_ctx_length=False,  # counting tokens would fetch a file
        )
        vectors = embeddings.embed_documents(["one", "two"])
    assert [len(vector) for vector in vectors] == [1536, 1536]
    made.check_failover()


def test_no_retries_on_top(troubled):
    """LangChain doesn't retry by itself: the provider's trouble is met as often as the client says."""
    with troubled.client(max_retries=0) as client, pytest.raises(openai.InternalServerError):
        model_over(client).invoke("poison")
    assert troubled.attempts() == 1
