"""What the page and its JSON show, and that it is whole, self-contained, bounded and without secrets."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from stable_openai import Key, Limits
from stable_openai.gateway.status.assets import DARK, LIGHT, SCRIPT, STYLE
from stable_openai.simulator import SimKey, Simulator

from .conftest import KEYS, load

VOID = {"meta", "br", "link", "input", "rect", "path"}
HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a/b?c#d%2F..", "..", "'&amp;", "ключ 🔑")


def lend(pool):
    with pool.lease(model="m", tokens=100):
        pass


class Page(HTMLParser):
    """What is on a page: its elements, and its words. Fails on what is not nested."""

    def __init__(self, content):
        super().__init__()
        self.open, self.elements, self.words = [], [], []
        self.feed(content)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.words.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


async def test_it_is_all_there(start, client):
    """Each key with its mask and owner, what is used and left, why it is out and for how long; totals."""
    running = await start([Key(KEYS[0], name="lab", owner="org-1"), Key(KEYS[1], name="spare")], rpm=60, tpm=9_000)
    for _ in range(6):
        lend(running.pool)
    running.pool.park("spare", 90, "rate_limited_tokens_minute")
    status, content = await load(client, running)
    page = Page(content)
    assert status == 200
    for words in (
        "lab", "…1111", "org-1", "3 of 60 requests per minute, 57 left", "300 of 9,000 tokens per minute, 8,700 left",
        "parked 1 min 30 s rate limit: tokens per minute", "1 of 2", "1 parked", "Requests per minute",
    ):  # fmt: skip
        assert words in page.text.replace(" ,", ","), words
    assert len(page.all("tr")) == 3
    assert [attrs["action"] for attrs in page.all("form")] == [
        f"/status/keys/{name}/{what}" for name in ("lab", "spare") for what in ("revive", "park", "remove")
    ]


async def test_it_is_self_contained_and_strict(start, client):
    """Nothing from elsewhere; no attribute that the policy would not allow; its own style and script are allowed."""
    running = await start()
    async with client.get(f"{running.url}/status") as got:
        content, policy = await got.text(), got.headers["Content-Security-Policy"]
        assert got.headers["Cache-Control"] == "no-store"
        assert got.headers["X-Content-Type-Options"] == "nosniff"
    assert "'unsafe" not in policy and "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert not re.search(r"https?://|//[a-z]|@import|url\(", content)
    for tag, attrs in Page(content).elements:
        assert "style" not in attrs and not [name for name in attrs if name.startswith("on")], tag
        assert "src" not in attrs
    assert content.count("<style>") == content.count("<script>") == 1
    assert STYLE in content and SCRIPT in content


async def test_for_all_readers(start, client):
    """Landmarks, one first heading, a caption, scopes, named buttons and pictures, a live region that counts are not in."""
    running = await start(rpm=60)
    _, content = await load(client, running)
    page = Page(content)
    names = [tag for tag, _ in page.elements]
    assert [names.count(tag) for tag in ("main", "header", "footer", "h1", "caption")] == [1] * 5
    assert {attrs.get("scope") for attrs in page.all("th")} == {"col", "row"}
    assert [attrs["id"] for _, attrs in page.elements if attrs.get("aria-live") == "polite"] == ["said"]
    assert page.all("html") == [{"lang": "en"}]
    for what in ("Revive", "Park", "Remove…"):
        assert f"{what} key-1" in page.text
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert all(attrs.get("aria-hidden") or attrs.get("role") == "img" for attrs in page.all("svg"))


def luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_contrast(colours):
    """Words on cards and on the page, and those of the main button, can be read (WCAG AA)."""
    for name in set(colours) - {"page", "card", "line"}:
        for ground in ("card", "page"):
            dark, light = sorted((luminance(colours[name]), luminance(colours[ground])))
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (name, ground)


async def test_hostile_names(start, client):
    """They are words and nothing else; their buttons lead to them."""
    running = await start([Key(f"status-secret-{n}-8888", name=name) for n, name in enumerate(HOSTILE)])
    _, content = await load(client, running)
    page = Page(content)
    assert len(page.all("script")) == 1 and page.all("img") == []
    for name in HOSTILE:
        assert name in page.text
    csrf = page.all("input")[0]["value"]
    for attrs in page.all("form"):
        if attrs["action"].endswith("/park"):
            async with client.post(running.url + attrs["action"], data={"csrf": csrf}) as got:
                assert got.status == 200
    assert [running.standing(name) for name in HOSTILE] == ["parked"] * len(HOSTILE)


async def test_json(start, client):
    """The same as data, which is valid JSON whatever lasts for ever."""
    running = await start(rpm=60)
    running.pool.park("key-2", 90)
    _, text = await load(client, running, "/status.json")
    data = json.loads(text, parse_constant=pytest.fail)
    assert data["totals"] == {
        "keys": 3, "open": 2, "cooling_down": 0, "parked": 1, "barred": 0, "retired": 0,
        "requests": 0, "failed": 0, "in_flight": 0, "waiting": 0,
    }  # fmt: skip
    first, second, _ = data["keys"]
    assert (first["name"], first["standing"], first["lanes"][0]["windows"][0]["left"]) == ("key-1", "open", 60)
    assert (second["standing"], second["seconds_left"], second["reason"]) == ("parked", 90.0, "parked by hand")


async def test_against_the_simulator(start, client):
    """A dead key is shown with what the provider said; the requests are in the chart; nowhere is a secret."""
    with Simulator(keys=[SimKey("sk-status-dead-1111", state="dead"), SimKey("sk-status-good-2222", rpm=500)]) as sim:
        running = await start(["sk-status-dead-1111", "sk-status-good-2222"], base_url=sim.base_url)
        await running.status.watch.look()
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
        for _ in range(3):
            async with client.post(f"{running.url}/v1/chat/completions", json=body) as got:
                assert got.status == 200
        running.clock.advance(1)
        _, content = await load(client, running)
        page = Page(content)
        assert "retired until it is revived invalid key" in page.text
        data = json.loads((await load(client, running, "/status.json"))[1])
        assert data["keys"][0]["seconds_left"] is None
        assert sum(data["minutes"]) == data["totals"]["requests"] >= 4
        assert "4 in the one that runs" in page.text
        for shown in (content, json.dumps(data)):
            assert "sk-status-" not in shown


async def test_a_thousand_keys(start, client):
    """Fifty to a page, those in trouble first; all can be found; a page stays small."""
    running = await start([f"status-secret-{n:04}-9999" for n in range(1_000)], limits=Limits(rpm=60, rpd=900))
    for n in (700, 900):
        running.pool.park(f"key-{n}")
    assert running.status.watch.period == 10
    _, content = await load(client, running)
    rows = re.findall(r'<span class="name">([^<]*)', content)
    assert (len(rows), rows[:3]) == (50, ["key-700", "key-900", "key-1"])
    assert "Page 1 of 20" in content and 'href="/status?page=2"' in content
    assert len(content) < 250_000
    _, content = await load(client, running, "/status?q=KEY-99&page=1")
    assert "11 keys of 1,000" in content
    _, content = await load(client, running, "/status?page=99999999999999&q=%3Cb%3E")
    assert "There is no such key." in content and "“&lt;b&gt;”" in content


async def test_head_of_a_page_without_scripts(start, client):
    """It has a link to be loaded again, and loads itself again where that was asked for."""
    running = await start()
    _, content = await load(client, running)
    assert 'http-equiv="refresh"' not in content and 'href="/status?again=1"' in content
    _, content = await load(client, running, "/status?again=1")
    assert '<noscript><meta http-equiv="refresh" content="30"/></noscript>' in content


async def test_head(start, client):
    """For those who only look whether it is there."""
    running = await start()
    for path in ("/status", "/status.json"):
        async with client.head(f"{running.url}{path}") as got:
            assert (got.status, await got.read()) == (200, b"")


async def test_a_store_that_fails(start, client, monkeypatch, caplog):
    """A page that says so, without the words of the error, which may hold anything."""
    running = await start()

    def fail():
        raise OSError("redis://user:hunter2@host")

    monkeypatch.setattr(running.pool, "status", fail)
    running.clock.advance(10)
    status, content = await load(client, running)
    assert status == 500 and "hunter2" not in content + caplog.text
