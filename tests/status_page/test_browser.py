"""The page in a real browser: Chromium, headless, by the DevTools protocol."""

from __future__ import annotations

import pytest

from stable_openai import Key
from stable_openai.clock import SYSTEM_CLOCK

from . import browser as chromium
from .conftest import TOKEN

PROGRAM = chromium.find()
pytestmark = [
    pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium: neither on PATH nor of Playwright's"),
    pytest.mark.timeout(90),
]
LONG = "a-crawler-with-a-name-that-somebody-has-thought-about-for-much-too-long-" + "x" * 40
CONTRAST = """(() => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => parts(colour).slice(0, 3).map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if (parts(colour)[3] !== 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const worst = [];
  for (const element of document.querySelectorAll("body *")) {
    const words = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!words || !element.checkVisibility() || element.closest("script, style, svg")) continue;
    const [low, high] = [light(getComputedStyle(element).color), light(ground(element))].sort((a, b) => a - b);
    if ((high + 0.05) / (low + 0.05) < 4.5) worst.push(element.outerHTML.slice(0, 80));
  }
  return worst;
})()"""
NAME = "document.activeElement.textContent"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("chromium")


@pytest.fixture
async def tab(folder):
    async with chromium.started(PROGRAM, folder) as browser:
        yield await browser.tab()


@pytest.fixture
async def running(start):
    keys = [Key("status-secret-one-1111", name="lab", owner="org-1"), Key("status-secret-two-2222", name=LONG)]
    keys += [Key("status-secret-six-6666", name="<img src=x onerror=document.title=1>")]
    return await start(keys, clock=SYSTEM_CLOCK, rpm=60, tpm=90_000)


LIVE = "document.getElementById('live').textContent === 'Live'"


def row(name):
    return f"[...document.querySelectorAll('#keys tr')].find((row) => row.innerText.includes({name!r}))"


async def tab_to(tab, words):
    """Press Tab until what these words are on has the focus."""
    for _ in range(60):
        await tab.press(chromium.TAB)
        if await tab.run(f"{NAME} === {words!r}"):
            return
    raise AssertionError(words)


async def test_it_is_kept_up_to_date(tab, running):
    """Without a word in the console and without being loaded again: a key is parked, counts down, is back, is removed."""
    await tab.open(f"{running.url}/status")
    await tab.until(LIVE)
    await tab.run("window.same = true")
    running.pool.park("lab", 3_600)
    await tab.until(f"{row('lab')}.innerText.includes('parked')")
    await tab.until("document.getElementById('said').innerText.startsWith('lab: parked for')")
    before = await tab.run("document.querySelector('time.left').textContent")
    await tab.until(f"document.querySelector('time.left').textContent !== {before!r}")
    with running.pool.lease(model="m"):
        pass
    await tab.until(f"{row(LONG)}.innerText.includes('1 of 60 requests per minute, 59 left')")
    running.pool.revive("lab")
    running.pool.remove(LONG)
    await tab.until(f"{row('lab')}.innerText.includes('open') && !{row(LONG)}")
    running.pool.add("status-secret-new-8888", name="new")
    await tab.until(row("new"))
    assert await tab.run("window.same && document.title") == "Status of the gateway"
    assert tab.problems == []


async def test_by_keyboard(tab, running):
    """Tab leads to each button, by a name that tells the key; Enter presses it; the focus stays where it was."""
    await tab.open(f"{running.url}/status")
    await tab.until(LIVE)
    await tab_to(tab, "Park lab")
    assert await tab.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    await tab.press(chromium.ENTER)
    await tab.until(f"{row('lab')}.innerText.includes('parked')")
    assert running.standing("lab") == "parked"
    assert await tab.run(NAME) == "Park lab"
    await tab.run("document.activeElement.blur()")
    await tab_to(tab, "Revive lab")
    await tab.press(chromium.ENTER)
    await tab.until(f"{row('lab')}.innerText.includes('open')")
    await tab_to(tab, "Remove… lab")
    await tab.press(chromium.ENTER)
    await tab.until("location.pathname === '/status/keys/lab/remove' && document.readyState === 'complete'")
    assert len(running.pool) == 3
    await tab_to(tab, "Remove lab")
    await tab.press(chromium.ENTER)
    await tab.until(f"location.pathname === '/status' && {LIVE} && !{row('lab')}")
    assert len(running.pool) == 2
    assert tab.problems == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_light_and_dark_on_a_phone_and_a_desk(tab, running, scheme, tmp_path):
    """Legible in both; nothing is wider than the screen; what can be pressed is large enough for a finger."""
    running.pool.park("lab", 3_600)
    await tab.scheme(scheme)
    for width, mobile in ((390, True), (1_280, False), (820, False)):
        await tab.size(width, mobile=mobile)
        await tab.open(f"{running.url}/status?{width}")
        await tab.until(LIVE)
        assert await tab.run("document.documentElement.scrollWidth") <= width
        assert await tab.run(CONTRAST) == []
        ground = await tab.run("getComputedStyle(document.body).backgroundColor")
        assert ground == {"light": "rgb(244, 246, 248)", "dark": "rgb(15, 19, 23)"}[scheme]
        if mobile:
            assert (
                await tab.run("Math.min(...[...document.querySelectorAll('button')].map((b) => b.offsetHeight))") >= 44
            )
        await tab.shoot(tmp_path / f"{scheme}-{width}.png")
    assert tab.problems == []


async def test_what_a_screen_reader_has(tab, running):
    """On a phone, too, where rows are cards, it is a table with headed rows; buttons tell their key."""
    await tab.size(390, mobile=True)
    await tab.open(f"{running.url}/status")
    await tab.until(LIVE)
    nodes = (await tab.send("Accessibility.getFullAXTree"))["nodes"]
    found = {(node.get("role", {}).get("value"), node.get("name", {}).get("value")) for node in nodes}
    roles = {role for role, _ in found}
    assert {
        "main",
        "banner",
        "contentinfo",
        "navigation",
        "table",
        "row",
        "rowheader",
        "cell",
        "status",
        "time",
    } - roles <= {"time"}
    assert {("button", "Revive lab"), ("button", "Park lab"), ("button", "Remove… lab")} <= found


async def test_with_tokens(tab, start):
    """Logging in by its form, pressing a button, logging out."""
    running = await start(tokens=[f"ops={TOKEN}"], clock=SYSTEM_CLOCK)
    await tab.open(f"{running.url}/status")
    await tab.run(f"document.getElementById('token').value = {TOKEN!r}; document.querySelector('button').click()")
    await tab.until(LIVE)
    assert await tab.run("document.cookie") == ""
    await tab.run(f"{row('key-1')}.querySelectorAll('button')[1].click()")
    await tab.until(f"{row('key-1')}.innerText.includes('parked')")
    await tab.run("document.querySelector('header button').click()")
    await tab.until("document.getElementById('token')")
    assert [problem for problem in tab.problems if "401" not in problem] == []


async def test_without_scripts(folder, running):
    """A plain table, with buttons that are forms."""
    async with chromium.started(PROGRAM, folder) as browser:
        tab = await browser.tab(scripts=False)
        await tab.open(f"{running.url}/status")
        assert await tab.run("document.querySelector('header noscript a').innerText") == "Refresh every 30 s"
        await tab_to(tab, "Park lab")
        await tab.press(chromium.ENTER)
        await tab.until(f"{row('lab')}.innerText.includes('parked')")
        assert await tab.run("document.getElementById('live').textContent") == ""
        assert running.standing("lab") == "parked"
