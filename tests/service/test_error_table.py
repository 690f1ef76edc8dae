"""The wire: each row of the seed's error table, by a client made of the message table and by one that asks the server."""

from __future__ import annotations

import json

import pytest

from stable_openai import KeyPool
from stable_openai.simulator import SimKey

KEYLESS = "version & access_token|api_key is required"


@pytest.fixture(params=["table", "reflection"])
def how(request):
    return request.param


async def test_a_conversation_as_the_seed_has_it(serve, config, how):
    """NewSession, Chat, DeleteSession: as the README of the first version shows them, one straight after the other."""
    client = await (await serve()).client(how)
    made = await client.NewSession(config=config.text(), initial_prompt="你好")
    assert made.initial_response == "You said: 你好"
    assert (await client.Chat(session_id=made.session_id, prompt="hello!!")).response == "You said: hello!!"
    assert (await client.DeleteSession(session_id=made.session_id)).session_id == made.session_id


@pytest.mark.parametrize(
    "given",
    [
        "",
        "{}",
        '{"version": 3}',
        '{"api_key": "sk-x"}',
        '{"access_token": "t"}',
        '{"version": 3, "api_key": ""}',
        '{"version": null, "api_key": "x"}',
    ],
)
async def test_new_session_needs_a_version_and_a_key(serve, how, given):
    client = await (await serve()).client(how)
    code, details, _ = await client.refusal("NewSession", config=given, initial_prompt="hi")
    assert (code, details) == ("INVALID_ARGUMENT", KEYLESS)


@pytest.mark.parametrize("version", [1, 3])
async def test_access_tokens_are_keys(serve, config, made, how, version):
    """The older name, with either version."""
    client = await (await serve()).client(how)
    told = {"version": version, "access_token": made.secret("one"), "base_url": config.sim.base_url}
    assert (await client.NewSession(config=json.dumps(told), initial_prompt="hi")).initial_response == "You said: hi"


async def test_new_session_too_many(serve, config, how):
    served = await serve(max_sessions=2)
    client = await served.client(how)
    first, _ = [await client.NewSession(config=config.text()) for _ in range(2)]
    assert first.initial_response == ""
    code, details, _ = await client.refusal("NewSession", config=config.text())
    assert code == "RESOURCE_EXHAUSTED"
    assert details.startswith("TooManySessions: Too many sessions, max 2")
    await client.DeleteSession(session_id=first.session_id)
    await client.NewSession(config=config.text())


async def test_new_session_where_the_provider_fails(serve, config, how):
    """And there is no session then."""
    served = await serve()
    client = await served.client(how)
    code, details, _ = await client.refusal("NewSession", config=config.text("unknown"), initial_prompt="hi")
    assert code == "UNAVAILABLE"
    assert details.startswith("ChatGPTError: the key was refused")
    assert len(served.sessions) == 0


async def test_chat_needs_an_id_and_a_prompt(serve, config, how):
    client = await (await serve()).client(how)
    made = await client.NewSession(config=config.text())
    assert (await client.refusal("Chat", prompt="hi"))[:2] == ("INVALID_ARGUMENT", "session_id is required")
    told = await client.refusal("Chat", session_id=made.session_id)
    assert told[:2] == ("INVALID_ARGUMENT", "prompt is required")


async def test_chat_session_not_found(serve, how):
    client = await (await serve()).client(how)
    code, details, _ = await client.refusal("Chat", session_id="nobody", prompt="hi")
    assert (code, details) == ("NOT_FOUND", "SessionNotFound: Session nobody not found")


async def test_chat_where_the_provider_fails(serve, config, how):
    served = await serve()
    client = await served.client(how)
    made = await client.NewSession(config=config.text("unknown"))
    code, details, _ = await client.refusal("Chat", session_id=made.session_id, prompt="hi")
    assert code == "UNAVAILABLE"
    assert details.startswith("ChatGPTError: the key was refused")
    assert served.sessions.look(made.session_id).messages == []


async def test_chat_cooldown(serve, config, how):
    """75 seconds between two requests to one key; the trailing metadata says when to come back."""
    served = await serve()
    client = await served.client(how)
    made = await client.NewSession(config=config.text(), initial_prompt="hi")
    await client.Chat(session_id=made.session_id, prompt="one")
    served.clock.advance(10)
    code, details, metadata = await client.refusal("Chat", session_id=made.session_id, prompt="two")
    assert (code, details) == ("RESOURCE_EXHAUSTED", "CooldownException: Cooldown: 65 seconds")
    assert metadata["retry-after"] == "65"
    served.clock.advance(65)
    assert (await client.Chat(session_id=made.session_id, prompt="two")).response == "You said: two"


async def test_delete_needs_an_id_of_a_session(serve, how):
    client = await (await serve()).client(how)
    assert (await client.refusal("DeleteSession"))[:2] == ("INVALID_ARGUMENT", "session_id is required")
    told = await client.refusal("DeleteSession", session_id="nobody")
    assert told[:2] == ("NOT_FOUND", "SessionNotFound: Session nobody not found")


async def test_the_servers_pool_in_place_of_a_key(serve, made, how, openai_simulator):
    """Named by true or by its name; it fails over, has no cooldown, and goes to no other provider."""
    sim = openai_simulator(keys=[SimKey(made.secret("dead"), state="dead"), made.secret("good")])
    pool = KeyPool([made.secret("dead"), made.secret("good")])
    client = await (await serve(pools={"lab": pool}, base_url=sim.base_url)).client(how)
    for named in (True, "lab"):
        session = await client.NewSession(config=json.dumps({"version": 3, "pool": named}), initial_prompt="hi")
        for word in ("one", "two"):
            answer = await client.Chat(session_id=session.session_id, prompt=word)
            assert answer.response == f"You said: {word}"
    told = {"version": 3, "pool": True, "base_url": "http://127.0.0.1:9/v1"}
    code, details, _ = await client.refusal("NewSession", config=json.dumps(told))
    assert code == "INVALID_ARGUMENT" and details.startswith("config.base_url")
    code, details, _ = await client.refusal("NewSession", config='{"version": 3, "pool": "other"}')
    assert (code, details) == ("INVALID_ARGUMENT", "config.pool: this server has no such pool")
    pool.close()
