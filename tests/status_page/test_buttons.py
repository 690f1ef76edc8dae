"""The buttons, and who may press them."""

from __future__ import annotations

import json
import re

import pytest

from stable_openai.gateway.status import sessions

from .conftest import KEYS, TOKEN, StatusOptions, csrf_in, load, log_in, press

OPS = [f"ops={TOKEN}", "crawler=status-token-8888"]


async def test_park_and_revive(start, client):
    """Without scripts: the form leads back to the page, which shows what has become of the key."""
    running = await start()
    assert (await press(client, running, "park"))[0] == 303
    assert running.standing("key-1") == "parked"
    assert "1 parked" in (await load(client, running))[1]
    assert (await press(client, running, "revive"))[0] == 303
    assert running.standing("key-1") == "open"


async def test_back_to_where_one_was(start, client):
    """A button on the third page leads to that, and to no other site."""
    running = await start()
    csrf = csrf_in((await load(client, running))[1])
    for came, leads in (
        (f"{running.url}/status?q=key&page=3", "/status?q=key&page=3"),
        ("http://evil.example/x?y=1", "/status"),
        ("http://[", "/status"),
    ):
        async with client.post(
            f"{running.url}/status/keys/key-1/revive",
            data={"csrf": csrf},
            headers={"Referer": came},
            allow_redirects=False,
        ) as got:
            assert got.headers["Location"] == leads


async def test_removing_asks_first(start, client):
    """A second page asks; only its own button removes; the page goes on without the key."""
    running = await start()
    status, page = await press(client, running, "remove")
    assert (status, len(running.pool)) == (200, 3)
    assert "Remove the key key-1?" in page and 'name="sure"' in page
    status, page = await load(client, running, "/status/keys/key-1/remove")
    assert status == 200
    assert (await press(client, running, "remove", csrf=csrf_in(page), sure="yes"))[0] == 303
    assert len(running.pool) == 2
    _, page = await load(client, running)
    assert "key-1" not in page and "key-2" in page
    assert (await press(client, running, "park"))[0] == 404
    assert (await load(client, running, "/status/keys/key-1/remove"))[0] == 404
    for name in ("key-2", "key-3"):
        await press(client, running, "remove", name, csrf=csrf_in(page), sure="yes")
    assert len(running.pool) == 0
    assert "0 of 0" in (await load(client, running))[1]


async def test_for_the_script(start, client):
    """It is told in JSON what was done."""
    running = await start()
    csrf = csrf_in((await load(client, running))[1])
    headers = {"Accept": "application/json"}
    async with client.post(f"{running.url}/status/keys/key-2/park", data={"csrf": csrf}, headers=headers) as got:
        assert await got.json() == {"key": "key-2", "done": "park", "said": "key-2 was parked."}
    async with client.post(f"{running.url}/status/keys/key-2/park", data={"csrf": "no"}, headers=headers) as got:
        assert got.status == 403 and "Load the status page again" in (await got.json())["error"]["message"]


@pytest.mark.parametrize("tokens", [[], OPS], ids=["local", "tokens"])
async def test_forms_of_others_are_refused(start, client, tokens):
    """No value, a wrong one, that of another cookie; a foreign or hidden origin; another site: nothing is done."""
    running = await start(tokens=tokens)
    if tokens:
        await log_in(client, running)
    good = csrf_in((await load(client, running))[1])
    for csrf in ("", "0" * 64, sessions.csrf_of(sessions.new_id()), "é"):
        status, page = await press(client, running, "park", csrf=csrf)
        assert status == 403 and "Not from this page" in page
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": f"{running.url}0"},
        {"Origin": "http://127.0.0.1:1"},  # another server on this machine
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": running.url, "Sec-Fetch-Site": "cross-site"},
    ):
        status, page = await press(client, running, "park", csrf=good, headers=headers)
        assert (status, "To the status page" in page) == (403, True), headers
    assert running.standing("key-1") == "open"
    headers = {"Origin": running.url, "Sec-Fetch-Site": "same-origin"}
    assert (await press(client, running, "park", csrf=good, headers=headers))[0] == 303
    client.cookie_jar.clear()
    assert (await press(client, running, "revive", csrf=good))[0] in {401, 403}
    assert running.standing("key-1") == "parked"


async def test_names_that_lead_here(start, client):
    """Without tokens, a name of somebody else's that leads to loopback shows nothing and does nothing."""
    running = await start()
    for path in ("/status", "/status.json", "/status/events", "/status/keys/key-1/remove"):
        status, page = await load(client, running, path, headers={"Host": "evil.example:8000"})
        assert status == 403 and "--token" in page and "key-1" not in page
    assert (await press(client, running, "park", csrf="x", headers={"Host": "evil.example"}))[0] == 403
    assert (await load(client, running, headers={"Host": "localhost:1"}))[0] == 200


async def test_nothing_without_a_token(start, client):
    """Where there are tokens, a form asks for one; nothing of the pool is to be seen before."""
    running = await start(tokens=OPS)
    status, page = await load(client, running)
    assert status == 401 and 'type="password"' in page and "key-1" not in page
    for path in ("/status.json", "/status/events", "/status/keys/key-1/remove"):
        status, page = await load(client, running, path)
        assert status == 401 and "log in" in page and "masked" not in page
    assert (await press(client, running, "park", csrf="x"))[0] == 401
    assert running.standing("key-1") == "open"


async def test_logging_in_and_out(start, client):
    """The cookie holds no token, and is for this page alone; logging out ends it, wherever it is."""
    running = await start(tokens=OPS)
    async with client.get(f"{running.url}/status") as got:
        before = got.cookies
    status, _, headers = await log_in(client, running)
    assert (status, headers["Location"]) == (303, "/status")
    cookie = headers["Set-Cookie"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=Strict", "Path=/status"))
    assert TOKEN not in cookie and "Secure" not in cookie
    assert next(iter(before.values())).value not in cookie, "a login has an id of its own"
    status, page = await load(client, running)
    assert status == 200 and "Logged in as ops" in page and TOKEN not in page
    assert (await press(client, running, "park"))[0] == 303
    held = {"Cookie": cookie.split(";")[0]}
    async with client.post(f"{running.url}/status/logout", data={"csrf": csrf_in(page)}) as got:
        assert got.status == 401
    client.cookie_jar.clear()
    assert (await load(client, running, "/status.json", headers=held))[0] == 401


async def test_a_login_ends(start, client):
    """After its time; and the oldest where there are too many."""
    running = await start(tokens=OPS, status=StatusOptions(session=100, max_sessions=2))
    _, _, first = await log_in(client, running)
    held = {"Cookie": first["Set-Cookie"].split(";")[0]}
    for _ in range(2):
        client.cookie_jar.clear()
        await log_in(client, running)
    assert len(running.status.guard.sessions) == 2
    assert (await load(client, running))[0] == 200
    running.clock.advance(100)
    assert (await load(client, running))[0] == 401
    client.cookie_jar.clear()
    assert (await load(client, running, headers=held))[0] == 401


async def test_secure_behind_tls(start, client):
    """Only where a proxy is said to be there is its word believed."""
    for believed in (False, True):
        running = await start(tokens=OPS, status=StatusOptions(behind_proxy=believed))
        async with client.get(f"{running.url}/status", headers={"X-Forwarded-Proto": "https"}) as got:
            assert ("Secure" in got.headers["Set-Cookie"]) is believed
        client.cookie_jar.clear()


async def test_wrong_tokens_are_bounded(start, client):
    """So many a minute, by the form and by the header; then a page that says when to try again."""
    running = await start(tokens=OPS, status=StatusOptions(attempts=3))
    status, page, _ = await log_in(client, running, "wrong")
    assert status == 403 and "none of the gateway" in page and 'role="alert"' in page and "wrong<" not in page
    for _ in range(2):
        assert (await load(client, running, "/status.json", headers={"Authorization": "Bearer no"}))[0] == 401
    status, page, headers = await log_in(client, running)
    assert (status, headers["Retry-After"]) == (429, "60") and "Try again in 60 s" in page
    running.clock.advance(60)
    assert (await log_in(client, running))[0] == 303


async def test_a_token_in_the_header(start, client):
    """Programs come in by their header, and need no form."""
    running = await start(tokens=OPS)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert (await load(client, running, "/status.json", headers=headers))[0] == 200
    async with client.post(f"{running.url}/status/keys/key-1/remove", headers=headers) as got:
        assert (await got.json())["done"] == "remove"
    assert len(running.pool) == 2
    async with client.post(
        f"{running.url}/status/keys/key-2/park", headers={**headers, "Origin": "https://evil.example"}
    ) as got:
        assert got.status == 403


async def test_administrators_alone(start, client):
    """Tokens that are for requests alone open nothing here."""
    running = await start(tokens=OPS, status=StatusOptions(admins=["ops"]))
    status, page, _ = await log_in(client, running, "status-token-8888")
    assert status == 403 and "for requests alone" in page
    headers = {"Authorization": "Bearer status-token-8888"}
    async with client.get(f"{running.url}/status.json", headers=headers) as got:
        assert got.status == 403 and "for requests alone" in (await got.json())["error"]["message"]
    async with client.post(f"{running.url}/status/keys/key-1/remove", headers=headers) as got:
        assert got.status == 403
    assert len(running.pool) == 3
    assert (await log_in(client, running))[0] == 303


async def test_a_login_from_elsewhere_is_refused(start, client):
    """Nobody is logged in by a page of somebody else's."""
    running = await start(tokens=OPS)
    status, _, headers = await log_in(client, running, headers={"Origin": "https://evil.example"})
    assert status == 403 and "Set-Cookie" not in headers


async def test_what_is_no_form(start, client):
    """Other types, too much, too many fields, no text: an answer that says so."""
    running = await start()
    await load(client, running)
    url = f"{running.url}/status/keys/key-1/park"
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    for data, headers, status in (
        (b"{}", {"Content-Type": "application/json"}, 415),
        (b"a" * 20_000, kind, 413),
        (b"a=1&" * 30, kind, 400),
        (b"csrf=\xff", kind, 400),
        (b"", kind, 403),
    ):
        async with client.post(url, data=data, headers=headers) as got:
            assert got.status == status
    assert running.standing("key-1") == "open"


async def test_a_secret_names_no_key(start, client):
    """Whoever tries secrets as names finds out nothing."""
    running = await start()
    status, page = await press(client, running, "park", KEYS[0])
    assert status == 404 and KEYS[0] not in page


async def test_nothing_secret_is_logged(start, client, caplog):
    """Who did what is logged, by names."""
    running = await start(tokens=OPS)
    await log_in(client, running, "status-wrong-5555")
    await log_in(client, running)
    await press(client, running, "park")
    assert "key-1 was parked at the status page, by ops" in caplog.text
    assert not re.search(r"status-(secret|token|wrong)-", caplog.text)


async def test_what_was_removed_is_said(start, client):
    """The page that follows says so; of a key that is there still it says nothing, and nothing of others' making."""
    running = await start()
    csrf = csrf_in((await load(client, running))[1])
    form = {"csrf": csrf, "sure": "yes"}
    headers = {"Referer": f"{running.url}/status/keys/key-1/remove"}
    async with client.post(f"{running.url}/status/keys/key-1/remove", data=form, headers=headers) as got:
        assert "<p>key-1 was removed.</p>" in await got.text()
    for path, there in (("/status?removed=key-2", "key-2 was removed"), ("/status?removed=<b>x</b>", "<b>x</b>")):
        assert there not in (await load(client, running, path))[1]


async def test_the_access_log(start, client, caplog):
    """Each request to the page has its line, with the name of who has sent it; no token, cookie or query is in it."""
    caplog.set_level("INFO", "stable_openai.access")
    running = await start(tokens=OPS)
    await log_in(client, running)
    await load(client, running, "/status?q=key")
    await press(client, running, "park", "nobody")
    lines = [json.loads(record.getMessage()) for record in caplog.records if record.name == "stable_openai.access"]
    assert [(line["method"], line["path"], line["status"], line["token"]) for line in lines] == [
        ("GET", "/status", 401, ""),
        ("POST", "/status/login", 303, ""),
        ("GET", "/status", 200, "ops"),
        ("GET", "/status", 200, "ops"),
        ("POST", "/status/keys/nobody/park", 404, "ops"),
    ]
    assert lines[2]["sent"] > 1_000
    assert not re.search(r"status-(secret|token|wrong)-|q=key|csrf", caplog.text)


def test_attempts_are_bounded_in_memory():
    """However many addresses there are."""
    from stable_openai.clock import ManualClock

    attempts = sessions.Attempts(2, ManualClock())
    for number in range(3_000):
        attempts.failed(f"10.0.{number // 256}.{number % 256}")
    assert len(attempts._by_address) == 1_024
    assert attempts.wait("192.0.2.1") > 0, "there were too many in all"
