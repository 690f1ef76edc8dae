"""A provider with trouble, and drop-in clients over its keys, to be handed to frameworks."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json

import openai
import pytest

import stable_openai
from stable_openai import Key, KeyPool
from stable_openai.simulator import SimKey
from stable_openai.simulator.messages import Request

httpx = importlib.import_module("httpx2" if openai.__version__ >= "3" else "httpx")
NAMES = ("dead", "spent", "good")


class Provider:
    """A simulator of three keys: one dead, one whose limit somebody else has spent, one good; and a pool of the three.

    The pool knows of none of that, and takes the keys in this order.
    """

    def __init__(self, sim):
        self.sim = sim
        dead, spent, good = sim.keys
        sim.provider.reply(Request(spent, prompt="somebody else's"), sim.now())
        self.pool = KeyPool([Key(secret, name=name) for secret, name in zip((dead, spent, good), NAMES, strict=True)])

    def client(self, **options):
        return stable_openai.OpenAI(pool=self.pool, base_url=self.sim.base_url, timeout=20, **options)

    def async_client(self, **options):
        return stable_openai.AsyncOpenAI(pool=self.pool, base_url=self.sim.base_url, timeout=20, **options)

    def attempts(self, name=None):
        """How many requests arrived, of one key or of all; that of somebody else apart."""
        stats = self.sim.stats()
        return stats.total.attempts - 1 if name is None else stats.keys[name].attempts - (name == "spent")

    def check_failover(self, *, served=1):
        """The first request met the dead key and the spent one; all were answered under the good one."""
        stats = self.sim.stats()
        assert stats.keys["dead"].outcomes == {"dead": 1}
        assert stats.keys["spent"].outcomes == {"served": 1, "rpm": 1}
        assert stats.keys["good"].outcomes == {"served": served}
        assert [status.standing for status in self.pool.status()][0::2] == ["retired", "open"]


@pytest.fixture
def provider(openai_simulator):
    """``provider(**settings)`` starts one."""

    def start(**settings):
        keys = [
            SimKey("sk-frameworks-dead-0123456789", name="dead", state="dead"),
            SimKey("sk-frameworks-spent-0123456789", name="spent", rpm=1),
            SimKey("sk-frameworks-good-0123456789", name="good"),
        ]
        return Provider(openai_simulator(keys=keys, **settings))

    return start


@pytest.fixture
def troubled(provider):
    """A provider that answers ``poison`` with a 500; its dead and spent keys are out of use already."""
    made = provider(poison="poison")
    with made.client() as client:
        client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "hello"}])
    made.check_failover()
    made.sim.provider.reset_stats()
    made.sim.provider.reply(Request(made.sim.keys[1], prompt="somebody else's"), made.sim.now())
    return made


@pytest.fixture
def tool_caller():
    """``tool_caller(arguments)``: HTTP clients, one sync and one async, under which the model calls the first tool.

    They turn the simulator's answers to requests that offer tools into a call, once for each conversation.
    """
    with contextlib.ExitStack() as made:

        def make(**arguments):
            caller = ToolCaller(json.dumps(arguments))
            sync = made.enter_context(httpx.Client(transport=Sync(caller)))
            return sync, httpx.AsyncClient(transport=Async(caller))

        yield make


@pytest.fixture
def loop():
    """The loop in which frameworks run what is called outside of tasks: else they make one, and leave it open."""
    made = asyncio.new_event_loop()
    asyncio.set_event_loop(made)
    yield made
    asyncio.set_event_loop(None)
    made.close()


class ToolCaller:
    """Makes calls of answers."""

    def __init__(self, arguments):
        self.arguments = arguments

    def wants(self, request, response):
        sent = json.loads(request.content)
        done = "tool_call_id" in str(sent) or "function_call_output" in str(sent)
        return response.status_code == 200 and sent.get("tools") and not done

    def rewritten(self, request, body):
        tool = json.loads(request.content)["tools"][0]
        called = {"name": tool.get("name") or tool["function"]["name"], "arguments": self.arguments}
        answer = json.loads(body)
        if "output" in answer:
            call = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "status": "completed", **called}
            answer["output"] = [call]
        else:
            (choice,) = answer["choices"]
            choice["message"]["content"] = None
            choice["message"]["tool_calls"] = [{"id": "call_1", "type": "function", "function": called}]
            choice["finish_reason"] = "tool_calls"
        return httpx.Response(200, json=answer, request=request)


class Sync(httpx.HTTPTransport):
    def __init__(self, caller):
        super().__init__()
        self.caller = caller

    def handle_request(self, request):
        response = super().handle_request(request)
        if not self.caller.wants(request, response):
            return response
        with contextlib.closing(response):
            return self.caller.rewritten(request, response.read())


class Async(httpx.AsyncHTTPTransport):
    def __init__(self, caller):
        super().__init__()
        self.caller = caller

    async def handle_async_request(self, request):
        response = await super().handle_async_request(request)
        if not self.caller.wants(request, response):
            return response
        async with contextlib.aclosing(response):
            return self.caller.rewritten(request, await response.aread())
