"""A session's key, the server's keys and its tokens: in no log, no error and no file; what a caller may reach."""

from __future__ import annotations

import json
import logging

import pytest

from stable_openai import ConfigurationError, KeyPool, ManualClock
from stable_openai.service import Callers, SessionOptions, Sessions
from stable_openai.service.grpc import grpc_server, reflection_from_env
from stable_openai.service.http import http_server
from stable_openai.serving import Token
from stable_openai.simulator import SimKey

TOKEN = "token-of-the-lab-0123456789"


async def test_no_key_is_shown_anywhere(serve, made, openai_simulator, tmp_path, caplog):
    """A provider that repeats the key in its refusal; keys of callers and of the server; each way in, at DEBUG."""
    caplog.set_level(logging.DEBUG)
    sim = openai_simulator(keys=[SimKey(made.secret("dead"), state="dead"), made.secret("good")])
    with KeyPool([SimKey(made.secret("dead")).secret]) as pool:
        served = await serve(pools=pool, base_url=sim.base_url, kept=tmp_path / "sessions.db", cooldown=0)
        client = await served.client()
        said = []
        for told in ({"api_key": made.secret("dead")}, {"api_key": made.secret("nobody")}, {"pool": True}):
            config = {"version": 3, **told}
            said.append(await client.refusal("NewSession", config=json.dumps(config), initial_prompt="hi"))
            session = (await client.NewSession(config=json.dumps(config))).session_id
            path = f"/v1/sessions/{session}/messages"
            said.append(await served.http("POST", path, {"prompt": "hi"}))
            said.append(await served.http("POST", path, {"prompt": "hi", "stream": True}))
            said.append(await served.http("GET", f"/v1/sessions/{session}"))
            said.append(await served.http("POST", "/renew", told))
            said.append(await served.http("POST", "/ask", {"prompt": "hi"}))
        said.append(await served.http("POST", "/v1/sessions", {"config": {"version": 3, "api_key": "sk-a b\n" * 4}}))
        said.append(await client.refusal("NewSession", config='{"version": 3, "api_key": "sk-service-dead-0123'))
    shown = repr(said) + caplog.text + "".join(repr(vars(record)) for record in caplog.records)
    for name in ("dead", "good", "nobody"):
        assert made.secret(name) not in shown
    assert "sk-a b" not in shown
    for file in tmp_path.iterdir():
        assert b"sk-service" not in file.read_bytes()
    assert session not in "".join(record.getMessage() for record in caplog.records)


async def test_nothing_of_the_servers_keys_is_told(serve, made, openai_simulator):
    """Not even masked: only what kind of trouble it is."""
    sim = openai_simulator(keys=[SimKey(made.secret("dead"), state="dead", owner="our-lab")])
    with KeyPool([made.secret("dead")]) as pool:
        served = await serve(pools=pool, base_url=sim.base_url)
        for _ in range(2):
            status, _, problem = await served.http(
                "POST", "/v1/sessions", {"config": {"version": 3, "pool": True}, "initial_prompt": "hi"}
            )
            assert (status, problem["title"]) == (503, "ChatGPTError")
            assert problem["detail"] in (
                "the key was refused",
                "no key is free for as long as the request may wait",
            )


# -- tokens


async def test_without_a_token_nobody_gets_in(serve, config):
    served = await serve(tokens=[f"lab={TOKEN}"], base_url=config.sim.base_url)
    for token in (None, "wrong", TOKEN[:-1]):
        client = await served.client(token=token)
        for method in ("NewSession", "Chat", "DeleteSession"):
            code, _, _ = await client.refusal(method)
            assert code == "UNAUTHENTICATED"
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        for method, path in (
            ("POST", "/ask"),
            ("POST", "/v1/sessions"),
            ("GET", "/v1/sessions/x"),
            ("GET", "/nothing"),
        ):
            status, answered, _ = await served.http(method, path, headers=headers)
            assert (status, answered["WWW-Authenticate"]) == (401, "Bearer")
    client = await served.client(token=TOKEN)
    assert (await client.NewSession(config=config.text(), initial_prompt="hi")).initial_response == "You said: hi"
    status, _, _ = await served.http("POST", "/v1/sessions", {"config": config()}, {"authorization": f"bearer {TOKEN}"})
    assert status == 201
    assert (await served.http("GET", "/healthz"))[2] == "ok"


async def test_a_caller_sees_its_own_sessions_alone(serve, config):
    served = await serve(tokens=[f"lab={TOKEN}", f"other={TOKEN}-2"], cooldown=0, base_url=config.sim.base_url)
    mine, other = await served.client(token=TOKEN), await served.client(token=f"{TOKEN}-2")
    session = (await mine.NewSession(config=config.text())).session_id
    assert (await other.refusal("Chat", session_id=session, prompt="hi"))[0] == "NOT_FOUND"
    assert (await other.refusal("DeleteSession", session_id=session))[0] == "NOT_FOUND"
    assert (await mine.Chat(session_id=session, prompt="hi")).response == "You said: hi"


async def test_a_token_has_limits_of_its_own(config):
    """Counted over both servers together."""
    token = {"authorization": f"Bearer {TOKEN}"}
    clock = ManualClock()
    callers = Callers([Token(TOKEN, "lab", {"rpm": 2})], clock=clock)
    options = SessionOptions(base_url=config.sim.base_url)
    async with (
        Sessions(options, clock=clock) as sessions,
        http_server("localhost:0", sessions, callers=callers) as http,
    ):
        import aiohttp

        async with aiohttp.ClientSession(headers=token) as client:
            statuses = []
            for _ in range(3):
                async with client.post(f"{http.url}/v1/sessions", json={"config": config()}) as answer:
                    statuses.append(
                        (answer.status, answer.headers.get("Retry-After"), (await answer.json()).get("title"))
                    )
            clock.advance(61)
            async with client.post(f"{http.url}/v1/sessions", json={"config": config()}) as answer:
                statuses.append(answer.status)
    await callers.aclose()
    assert statuses == [(201, None, None), (201, None, None), (429, "60", "TooManyRequests"), 201]


@pytest.mark.parametrize("listen", [grpc_server, http_server])
@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", ":0", "example.org:0"])
async def test_no_other_machine_gets_in_without_a_token(listen, address):
    async with Sessions() as sessions:
        with pytest.raises(ConfigurationError, match="no token is set"):
            await listen(address, sessions).__aenter__()


async def test_an_open_address_with_a_token(config):
    callers = Callers([TOKEN])
    async with (
        Sessions() as sessions,
        grpc_server(":0", sessions, callers=callers) as one,
        http_server(":0", sessions, callers=callers) as two,
    ):
        assert one.address.port and two.address.port
    await callers.aclose()


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}, {"Host": "evil.example:9006"}],
)
async def test_no_page_of_the_web_gets_in(serve, headers):
    """A browser sends a form to loopback without asking, and a name can be made to lead there."""
    served = await serve()
    for path in ("/renew", "/ask", "/v1/sessions"):
        assert (await served.http("POST", path, "{}", headers))[0] == 403
    assert (await served.http("GET", "/healthz", headers={"Origin": "http://localhost:3000"}))[0] == 200


def test_reflection_of_the_environment():
    assert [reflection_from_env({"GRPC_REFLECTION": told}) for told in ("True", "1", "", "False", "0")] == [
        True, True, False, False, False,
    ]  # fmt: skip
    assert not reflection_from_env({})
