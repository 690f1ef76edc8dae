"""``/renew`` and ``/ask`` as the first version of the service had them."""

from __future__ import annotations

import json

import pytest

from stable_openai import KeyPool

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def test_as_curl_sends_it(serve, made, openai_simulator):
    """The seed's example: a form by its type, JSON by its content; plain text comes back."""
    sim = openai_simulator(keys=[made.secret("one")])
    served = await serve(base_url=sim.base_url)
    status, headers, text = await served.http("POST", "/renew", json.dumps({"access_token": made.secret("one")}), FORM)
    assert (status, text, headers["Content-Type"]) == (200, "ok", "text/plain; charset=utf-8")
    assert headers["Content-Length"] == "2"
    status, headers, text = await served.http("POST", "/ask", json.dumps({"prompt": "你好"}), FORM)
    assert (status, text, headers["Content-Type"]) == (200, "You said: 你好", "text/plain; charset=utf-8")


async def test_each_renewal_begins_afresh(serve, config):
    """One session at a time, even where there may be no more than one."""
    served = await serve(cooldown=0, max_sessions=1)
    for key in ("one", "two"):
        assert (await served.http("POST", "/renew", config(key)))[2] == "ok"
        assert (await served.http("POST", "/ask", {"prompt": "hi"}))[2] == "You said: hi"
        assert len(served.sessions) == 1
    assert len(config.sim.stats().arrivals) == 2


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        ("/renew", {}, 400, "access_token is required"),
        ("/renew", "[]", 400, "body: must be a JSON object"),
        ("/renew", "", 400, "body: is no valid JSON"),
        ("/renew", {"access_token": "t", "session_id": "x"}, 400, "config.session_id: /renew makes a new session"),
        ("/ask", {}, 400, "prompt is required"),
        ("/ask", {"prompt": 3}, 400, "prompt: must be text"),
        ("/ask", b"\xff", 400, "body: is no valid JSON"),
        ("/ask", "[" * 100_000, 400, "body: is no valid JSON"),
        ("/ask", {"prompt": "hi"}, 404, "SessionNotFound: there is no session: POST /renew makes one"),
    ],
)
async def test_refusals_are_plain_text(serve, path, body, status, text):
    answered = await (await serve()).http("POST", path, body)
    assert (answered[0], answered[2]) == (status, text)
    assert answered[1]["Content-Type"] == "text/plain; charset=utf-8"


async def test_the_cooldown_of_a_token(serve, config):
    served = await serve()
    await served.http("POST", "/renew", config())
    await served.http("POST", "/ask", {"prompt": "hi"})
    await served.http("POST", "/renew", config())
    status, headers, text = await served.http("POST", "/ask", {"prompt": "hi"})
    assert (status, headers["Retry-After"], text) == (429, "75", "CooldownException: Cooldown: 75 seconds")


async def test_a_server_with_keys_needs_no_renewal(serve, made, openai_simulator):
    """Its own pool answers; also again, when that session has been cleared."""
    sim = openai_simulator(keys=[made.secret("one")])
    with KeyPool([made.secret("one")]) as pool:
        served = await serve(pools=pool, base_url=sim.base_url)
        for _ in range(2):
            assert (await served.http("POST", "/ask", {"prompt": "hi"}))[2] == "You said: hi"
            assert (await served.http("POST", "/ask", {"prompt": "ho"}))[2] == "You said: ho"
            assert len(served.sessions) == 1
            served.clock.advance(3_600)


async def test_a_renewed_session_is_not_replaced_by_the_servers_keys(serve, config, made):
    """Whoever brought a key and was away for long is told so, and does not speak on at the server's cost."""
    with KeyPool([made.secret("one")]) as pool:
        served = await serve(pools=pool, base_url=config.sim.base_url)
        await served.http("POST", "/renew", config())
        served.clock.advance(3_600)
        assert (await served.http("POST", "/ask", {"prompt": "hi"}))[0] == 404
