"""pydantic-ai: agents over a drop-in client."""

from __future__ import annotations

import json

import pytest

pydantic_ai = pytest.importorskip("pydantic_ai")
models = pytest.importorskip("pydantic_ai.models.openai")
providers = pytest.importorskip("pydantic_ai.providers.openai")
pydantic = pytest.importorskip("pydantic")

MODELS = ["OpenAIChatModel", "OpenAIResponsesModel"]
each_model = pytest.mark.parametrize("kind", MODELS)


class Town(pydantic.BaseModel):
    """What is asked for."""

    name: str


def agent_over(client, kind="OpenAIChatModel", **options):
    model = getattr(models, kind)("gpt-4o-mini", provider=providers.OpenAIProvider(openai_client=client))
    return pydantic_ai.Agent(model, **options)


@each_model
async def test_run(provider, kind):
    """A run succeeds, over both APIs, though two of three keys are out of use."""
    made = provider()
    async with made.async_client() as client:
        result = await agent_over(client, kind).run("hello")
    assert result.output == "You said: hello"
    made.check_failover()


def test_run_sync(provider, loop):
    """So does one outside of tasks, and the next one."""
    made = provider()
    client = made.async_client()
    agent = agent_over(client)
    assert agent.run_sync("hello").output == "You said: hello"
    assert agent.run_sync("hello again").output == "You said: hello again"
    loop.run_until_complete(client.close())
    made.check_failover(served=2)


@each_model
async def test_stream(provider, kind):
    """A stream begins under the key that works."""
    made = provider()
    async with made.async_client() as client, agent_over(client, kind).run_stream("hello to you") as result:
        text = "".join([piece async for piece in result.stream_text(delta=True, debounce_by=None)])
    assert text == "You said: hello to you"
    made.check_failover()


async def test_native_output(provider):
    """JSON by a schema becomes an object."""
    made = provider(script=lambda _: json.dumps({"name": "Bonn"}))
    async with made.async_client() as client:
        result = await agent_over(client, output_type=pydantic_ai.NativeOutput(Town)).run("a town")
    assert result.output == Town(name="Bonn")
    made.check_failover()


@each_model
async def test_output_by_tool(provider, tool_caller, kind):
    """A tool call becomes an object."""
    made = provider()
    _, http = tool_caller(name="Bonn")
    async with made.async_client(http_client=http) as client:
        result = await agent_over(client, kind, output_type=Town).run("a town")
    assert result.output == Town(name="Bonn")
    made.check_failover()


@each_model
async def test_tool(provider, tool_caller, kind):
    """A run of two requests, with a tool's answer between them."""
    made = provider()
    _, http = tool_caller(name="Bonn")
    asked = []
    async with made.async_client(http_client=http) as client:
        agent = agent_over(client, kind)

        @agent.tool_plain
        def weather(name: str) -> str:
            """Tell a town's weather."""
            asked.append(name)
            return "fair"

        result = await agent.run("hello")
    assert asked == ["Bonn"]
    assert result.output == "You said: hello"
    made.check_failover(served=2)


async def test_no_retries_on_top(troubled):
    """pydantic-ai doesn't repeat requests by itself: trouble is met as often as the client says."""
    async with troubled.async_client(max_retries=0) as client:
        with pytest.raises(pydantic_ai.ModelHTTPError) as caught:
            await agent_over(client).run("poison")
    assert caught.value.status_code == 500
    assert troubled.attempts() == 1
