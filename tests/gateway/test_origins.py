"""Pages of the web as clients."""

from __future__ import annotations

import pytest
from aiohttp import web

from stable_openai.serving import Tokens
from tests.status_page import browser as chromium

from .conftest import CHAT, DONE, chunk, error, events

TOKEN = "a-long-client-token"
PAGE = "https://app.example"
ASKS = {
    "Origin": PAGE,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,x-stainless-lang",
}


async def test_a_browser_asks_before(gateway, client, provider):
    """It has no token with it, and is told that any page may, with the headers that it names; no key is used."""
    running = await gateway(options={"tokens": Tokens([TOKEN])})
    async with client.options(f"{running.v1}/chat/completions", headers=ASKS) as got:
        assert got.status == 204
        assert got.headers["Access-Control-Allow-Origin"] == "*"
        assert got.headers["Access-Control-Allow-Headers"] == ASKS["Access-Control-Request-Headers"]
        assert "POST" in got.headers["Access-Control-Allow-Methods"]
        assert "Access-Control-Allow-Credentials" not in got.headers
        assert "Access-Control-Allow-Private-Network" not in got.headers
    asks = {**ASKS, "Access-Control-Request-Private-Network": "true"}
    async with client.options(f"{running.v1}/chat/completions", headers=asks) as got:
        assert got.headers["Access-Control-Allow-Private-Network"] == "true"
    assert provider.requests == []


async def test_pages_read_answers_and_errors(gateway, client, provider):
    """Streams too, and by our word alone, whatever the provider says of pages; our own errors as well."""
    running = await gateway(options={"tokens": Tokens([TOKEN])})

    async def answer(http):
        return await events(http, chunk("a"), DONE, headers={"Access-Control-Allow-Origin": "https://provider.example"})

    provider.answer = answer
    shown = {"Origin": PAGE, "Authorization": f"Bearer {TOKEN}"}
    async with client.post(f"{running.v1}/chat/completions", json={**CHAT, "stream": True}, headers=shown) as got:
        assert got.headers.getall("Access-Control-Allow-Origin") == ["*"]
        assert got.headers["Access-Control-Expose-Headers"] == "*"
        assert await got.read() == chunk("a") + DONE
    async with client.get(f"{running.v1}/models", headers={"Origin": PAGE}) as got:
        assert (got.status, got.headers["Access-Control-Allow-Origin"]) == (401, "*")
    async with client.get(f"{running.url}/status", headers={"Origin": PAGE}) as got:
        assert "Access-Control-Allow-Origin" not in got.headers


async def test_without_tokens_pages_of_this_machine(gateway, client, provider):
    """Others are refused before and after."""
    running = await gateway()
    provider.answer = lambda http: _forbidden()
    for origin, status in (("http://localhost:3000", 204), (PAGE, 403), ("null", 403)):
        async with client.options(f"{running.v1}/models", headers={**ASKS, "Origin": origin}) as got:
            assert got.status == status
            assert got.headers.get("Access-Control-Allow-Origin") == (origin if status == 204 else None)
    async with client.get(f"{running.v1}/models", headers={"Origin": "http://localhost:3000"}) as got:
        assert got.status == 403  # the provider's own
        assert got.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
        assert "Origin" in got.headers["Vary"]
    assert len(provider.requests) >= 1


async def _forbidden():
    return error(403, "Country, region, or territory not supported", "request_forbidden", "unsupported_country")


async def test_other_questions_are_passed_on(gateway, client, provider):
    """OPTIONS that no browser asks is the provider's to answer."""

    async def answer(http):
        return web.Response(headers={"Allow": "GET"})

    provider.answer = answer
    running = await gateway()
    async with client.options(f"{running.v1}/models") as got:
        assert (got.status, got.headers["Allow"]) == (200, "GET")


@pytest.mark.timeout(90)
@pytest.mark.skipif(chromium.find() is None, reason="there is no Chromium: neither on PATH nor of Playwright's")
async def test_in_a_browser(gateway, provider, tmp_path):
    """A page of another origin asks by fetch, with a token and JSON, and reads the answer."""

    async def answer(http):
        if http.method == "GET":
            return web.Response(text="<!doctype html><title>app</title>", content_type="text/html")
        return web.json_response({"object": "chat.completion"})

    provider.answer = answer
    running = await gateway(options={"tokens": Tokens([TOKEN])})
    ask = f"""fetch("{running.v1}/chat/completions", {{method: "POST", body: "{{}}",
        headers: {{"Authorization": "Bearer {TOKEN}", "Content-Type": "application/json"}}}})
        .then(async (got) => [got.status, (await got.json()).object, got.headers.has("x-request-id")].join())"""
    async with chromium.started(chromium.find(), tmp_path) as browser:
        tab = await browser.tab()
        await tab.open(f"{provider.base_url}/page")
        assert await tab.run(ask) == "200,chat.completion,true"
