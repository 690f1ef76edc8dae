"""How long sessions last, how many there are, and whose turn it is."""

from __future__ import annotations

import asyncio
import json

import grpc.aio
import pytest

from stable_openai import ConfigurationError, ManualClock
from stable_openai.service import SessionOptions, Sessions
from stable_openai.service.cooldowns import Cooldowns
from stable_openai.service.errors import ChatGPTError, CooldownException, SessionNotFound, TooManySessions
from stable_openai.simulator import SimKey


async def settled():
    """Let the loop come to what is ready."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_idle_sessions_are_cleared_by_the_clock(config):
    """An alarm does it; nobody asks, and one that is used lives longer."""
    clock = ManualClock()
    async with Sessions(SessionOptions(cooldown=0, idle=100), clock=clock) as sessions:
        first = (await sessions.new(config())).session_id
        second = (await sessions.new(config())).session_id
        clock.advance(60)
        await sessions.ask(first, "hi")
        clock.advance(40)
        await settled()
        assert len(sessions) == 1
        with pytest.raises(SessionNotFound):
            sessions.look(second)
        clock.advance(59)
        assert sessions.look(first).messages
        clock.advance(1)
        with pytest.raises(SessionNotFound):  # also before the loop has come to the alarm
            sessions.look(first)
        await settled()
        assert len(sessions) == 0


async def test_a_session_in_use_is_not_cleared(provider):
    """However long the answer takes; its time begins when it has come."""
    clock = ManualClock()
    told = {"version": 3, "api_key": "sk-any-0123456789", "base_url": provider.url}
    async with Sessions(SessionOptions(idle=100), clock=clock) as sessions:
        session = (await sessions.new(told)).session_id
        asking = asyncio.create_task(sessions.ask(session, "hi"))
        await provider.arrived.get()
        idle = (await sessions.new(told)).session_id
        clock.advance(1_000)
        assert sessions.look(session).messages == []
        await settled()
        assert len(sessions) == 1  # the other one is gone, although it comes behind
        with pytest.raises(SessionNotFound):
            sessions.look(idle)
        provider.go.set()
        assert await asking == "re: hi"
        clock.advance(99)
        assert len(sessions.look(session).messages) == 2
        clock.advance(1)
        await settled()
        assert len(sessions) == 0


async def test_too_many_makes_room_of_the_idle(config):
    clock = ManualClock()
    async with Sessions(SessionOptions(max_sessions=2, idle=100), clock=clock) as sessions:
        await sessions.new(config())
        await sessions.new(config())
        with pytest.raises(TooManySessions):
            await sessions.new(config())
        clock.advance(100)
        await sessions.new(config())
        assert len(sessions) == 1


async def test_sessions_that_are_being_made_count(provider):
    """Two first prompts at once do not make two sessions where there is room for one."""
    told = {"version": 3, "api_key": "sk-any-0123456789", "base_url": provider.url}
    async with Sessions(SessionOptions(max_sessions=1)) as sessions:
        making = asyncio.create_task(sessions.new(told, "hi"))
        await provider.arrived.get()
        with pytest.raises(TooManySessions):
            await sessions.new(told, "hi")
        making.cancel()
        await asyncio.wait([making])
        assert await provider.left.get() == "hi"
        assert len(sessions) == 0
        provider.go.set()
        assert (await sessions.new(told, "hi")).initial_response == "re: hi"


async def test_one_request_at_a_time_first_come_first_served(provider):
    told = {"version": 3, "api_key": "sk-any-0123456789", "base_url": provider.url}
    async with Sessions(SessionOptions(cooldown=0)) as sessions:
        session = (await sessions.new(told)).session_id
        asking = [asyncio.create_task(sessions.ask(session, word)) for word in ("a", "b", "c", "d")]
        assert await provider.arrived.get() == "a"
        await settled()
        assert provider.arrived.empty()
        asking[2].cancel()  # one that waits leaves the line
        provider.go.set()
        await asyncio.wait(asking)
        assert [messages[-1]["content"] for messages in provider.asked] == ["a", "b", "d"]
        assert [message["content"] for message in provider.asked[-1]] == ["a", "re: a", "b", "re: b", "d"]


async def test_the_line_of_a_session_has_an_end(provider):
    told = {"version": 3, "api_key": "sk-any-0123456789", "base_url": provider.url}
    async with Sessions(SessionOptions(cooldown=0, max_waiting=2)) as sessions:
        session = (await sessions.new(told)).session_id
        asking = [asyncio.create_task(sessions.ask(session, word)) for word in ("a", "b")]
        await settled()
        with pytest.raises(CooldownException, match="2 requests wait"):
            await sessions.ask(session, "c")
        provider.go.set()
        assert await asyncio.gather(*asking) == ["re: a", "re: b"]


async def test_a_cooldown_is_a_keys_and_not_a_sessions(config):
    """Two sessions with one key share it, also under its other name; one with another key has its own."""
    clock = ManualClock()
    async with Sessions(clock=clock) as sessions:
        first, second, third = [(await sessions.new(config(key))).session_id for key in ("one", "one", "two")]
        await sessions.ask(first, "hi")
        await sessions.ask(third, "hi")
        with pytest.raises(CooldownException):
            await sessions.ask(second, "hi")
        clock.advance(75)
        await sessions.ask(second, "hi")


async def test_who_waits_for_the_turn_meets_the_cooldown_there(provider):
    """No two requests to a key begin within the cooldown, although both came before the first began."""
    told = {"version": 3, "api_key": "sk-any-0123456789", "base_url": provider.url}
    async with Sessions(clock=ManualClock()) as sessions:
        session = (await sessions.new(told)).session_id
        asking = [asyncio.create_task(sessions.ask(session, word)) for word in ("a", "b")]
        await provider.arrived.get()
        provider.go.set()
        answers = await asyncio.gather(*asking, return_exceptions=True)
        assert answers[0] == "re: a" and isinstance(answers[1], CooldownException)


async def test_a_cooldown_that_is_known_is_not_waited_for(provider):
    """Who comes while the first still runs is refused at once."""
    told = {"version": 3, "api_key": "sk-any-0123456789", "base_url": provider.url}
    async with Sessions(clock=ManualClock()) as sessions:
        session = (await sessions.new(told)).session_id
        asking = asyncio.create_task(sessions.ask(session, "a"))
        await provider.arrived.get()
        with pytest.raises(CooldownException, match="75 seconds"):
            await sessions.ask(session, "b")
        provider.go.set()
        assert await asking == "re: a"


def test_cooldowns_that_are_over_are_forgotten():
    clock = ManualClock()
    cooldowns = Cooldowns(10.0, clock)
    for name in range(100):
        cooldowns.start(str(name))
        clock.advance(1)
    assert len(cooldowns) <= 11
    assert len(Cooldowns(0.0, clock)) == 0


async def test_deleting_while_a_request_runs(provider):
    """It gets its answer; who waits behind it is told that the session is gone."""
    told = {"version": 3, "api_key": "sk-any-0123456789", "base_url": provider.url}
    async with Sessions(SessionOptions(cooldown=0)) as sessions:
        session = (await sessions.new(told)).session_id
        asking = [asyncio.create_task(sessions.ask(session, word)) for word in ("a", "b")]
        await provider.arrived.get()
        sessions.delete(session)
        provider.go.set()
        answers = await asyncio.gather(*asking, return_exceptions=True)
        assert answers[0] == "re: a" and isinstance(answers[1], SessionNotFound)
        assert len(provider.asked) == 1


async def test_a_key_that_was_refused_is_tried_again(openai_simulator, made):
    """Whoever asks again may have paid meanwhile; and one session's trouble is not another's."""
    sim = openai_simulator(keys=[SimKey(made.secret("one"), state="unpaid")])
    told = {"version": 3, "api_key": made.secret("one"), "base_url": sim.base_url}
    async with Sessions(SessionOptions(cooldown=0)) as sessions:
        session = (await sessions.new(told)).session_id
        for _ in range(2):
            with pytest.raises(ChatGPTError, match="out of quota"):
                await sessions.ask(session, "hi")
        assert len(sim.stats().arrivals) == 2


async def test_a_cancelled_call_cancels_the_provider(serve, provider):
    """Over gRPC, over HTTP, and in the middle of a stream: the provider sees it, and the history is as it was."""
    served = await serve(cooldown=0)
    client = await served.client()
    config = json.dumps({"version": 3, "api_key": "sk-any-0123456789", "base_url": provider.url})
    session = (await client.NewSession(config=config)).session_id
    call = client.Chat(session_id=session, prompt="by gRPC")
    assert await provider.arrived.get() == "by gRPC"
    call.cancel()
    assert await provider.left.get() == "by gRPC"
    with pytest.raises(asyncio.CancelledError):
        await call
    path = f"/v1/sessions/{session}/messages"
    for body in ({"prompt": "by HTTP"}, {"prompt": "streamed", "stream": True}):
        asking = asyncio.create_task(served.http("POST", path, body))
        assert await provider.arrived.get() == body["prompt"]
        asking.cancel()
        assert await provider.left.get() == body["prompt"]
    await settled()
    assert served.sessions.look(session).messages == []
    provider.go.set()
    assert (await client.Chat(session_id=session, prompt="after")).response == "re: after"
    assert [message["content"] for message in provider.asked[-1]] == ["after"]


async def test_a_deadline_cancels_the_provider(serve, provider):
    served = await serve()
    client = await served.client()
    config = json.dumps({"version": 3, "api_key": "sk-any-0123456789", "base_url": provider.url})
    session = (await client.NewSession(config=config)).session_id
    takes, gives = client.kinds["Chat"]
    call = client.channel.unary_unary(
        "/muvtuber.chatbot.v2.ChatbotService/Chat",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=gives.FromString,
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(takes(session_id=session, prompt="hi"), timeout=0.3)
    assert caught.value.code().name == "DEADLINE_EXCEEDED"
    assert await provider.left.get() == "hi"


def test_options_are_checked():
    for wrong in ({"cooldown": -1}, {"max_sessions": 0}, {"idle": 0}, {"max_prompt": True}, {"model": ""}):
        with pytest.raises(ConfigurationError, match=next(iter(wrong))):
            SessionOptions(**wrong)


def test_the_cooldown_of_the_environment():
    assert SessionOptions.from_env({}).cooldown == 75
    assert SessionOptions.from_env({"CHATGPT_COOLDOWN": "2.5"}).cooldown == 2.5
    assert SessionOptions.from_env({"CHATGPT_COOLDOWN": "2"}, cooldown=3.0, idle=9.0).cooldown == 3
    for wrong in ("soon", "-1", "inf", "nan"):
        with pytest.raises(ConfigurationError, match="CHATGPT_COOLDOWN"):
            SessionOptions.from_env({"CHATGPT_COOLDOWN": wrong})
