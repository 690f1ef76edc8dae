"""openai-agents: runs over a drop-in client, given to a model or to all of them."""

from __future__ import annotations

import openai
import pytest

agents = pytest.importorskip("agents")

MODELS = ["OpenAIChatCompletionsModel", "OpenAIResponsesModel"]
each_model = pytest.mark.parametrize("kind", MODELS)


@pytest.fixture(autouse=True)
def _no_traces():
    """Traces would go to OpenAI."""
    agents.set_tracing_disabled(disabled=True)


def agent_over(client, kind="OpenAIResponsesModel", **options):
    model = getattr(agents, kind)(model="gpt-4o-mini", openai_client=client)
    return agents.Agent(name="Assistant", model=model, **options)


@each_model
async def test_run(provider, kind):
    """A run succeeds, over both APIs, though two of three keys are out of use."""
    made = provider()
    async with made.async_client() as client:
        result = await agents.Runner.run(agent_over(client, kind), "hello")
    assert result.final_output == "You said: hello"
    made.check_failover()


# Its run_sync shuts a loop's generators down and goes on with that loop, at which asyncio wonders.
@pytest.mark.filterwarnings("ignore:asynchronous generator:ResourceWarning")
def test_default_client_and_run_sync(provider, loop, monkeypatch):
    """So does one of an agent that was given no client, outside of tasks; and the next one."""
    shared = pytest.importorskip("agents.models._openai_shared")
    monkeypatch.setattr(shared, "_default_openai_client", None)
    made = provider()
    client = made.async_client()
    agents.set_default_openai_client(client, use_for_tracing=False)
    agent = agents.Agent(name="Assistant", model="gpt-4o-mini")
    assert agents.Runner.run_sync(agent, "hello").final_output == "You said: hello"
    assert agents.Runner.run_sync(agent, "hello again").final_output == "You said: hello again"
    loop.run_until_complete(client.close())
    made.check_failover(served=2)


@each_model
async def test_stream(provider, kind):
    """A stream begins under the key that works."""
    made = provider()
    async with made.async_client() as client:
        result = agents.Runner.run_streamed(agent_over(client, kind), "hello to you")
        pieces = [
            event.data.delta
            async for event in result.stream_events()
            if event.type == "raw_response_event" and event.data.type == "response.output_text.delta"
        ]
    assert "".join(pieces) == result.final_output == "You said: hello to you"
    made.check_failover()


@each_model
async def test_tool(provider, tool_caller, kind):
    """A run of two requests, with a tool's answer between them."""
    made = provider()
    _, http = tool_caller(name="Bonn")
    asked = []

    @agents.function_tool
    def weather(name: str) -> str:
        """Tell a town's weather."""
        asked.append(name)
        return "fair"

    async with made.async_client(http_client=http) as client:
        result = await agents.Runner.run(agent_over(client, kind, tools=[weather]), "hello")
    assert asked == ["Bonn"]
    assert result.final_output
    made.check_failover(served=2)


@each_model
async def test_no_retries_on_top(troubled, kind):
    """openai-agents doesn't repeat requests by itself: trouble is met as often as the client says."""
    async with troubled.async_client(max_retries=0) as client:
        with pytest.raises(openai.InternalServerError):
            await agents.Runner.run(agent_over(client, kind), "poison")
    assert troubled.attempts() == 1
