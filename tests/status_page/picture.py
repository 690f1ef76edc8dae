"""The picture of the status page that the READMEs show: `python tests/status_page/picture.py .github/status.png`.

An hour of a gateway's life in a moment, by a clock that is turned by hand: real leases, settled by answers such as
providers give. Other pictures, for a look: `--dark`, `--width 390`, `--path /status/keys/spare/remove`, `--token`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import random
import sys
import tempfile

from browser import find, started
from PIL import Image

from stable_openai import Key, KeyPool
from stable_openai.clock import ManualClock
from stable_openai.gateway import GatewayOptions, create_app, serve
from stable_openai.gateway.status import STATUS
from stable_openai.serving import Address, Tokens
from stable_openai.verdict import Answer

KEYS = [
    Key("sk-picture-0000-qX7v", name="research", owner="org-research", weight=4),
    Key("sk-picture-0000-Lm2d", name="crawler", owner="org-data", weight=5),
    Key("sk-picture-0000-w9Rt", name="evaluation", owner="org-eval", weight=3),
    Key("sk-picture-0000-8KbN", name="eu-west", owner="org-europe", weight=11),
    Key("sk-picture-0000-Hc4e", name="partner", owner="org-partner", weight=2),
    Key("sk-picture-0000-Zu1a", name="old-laptop", weight=1),
]
LOOKS = 3  # in a minute
TROUBLE = {  # a key's, by the minute
    17: ("old-laptop", 401, "Incorrect API key provided.", "invalid_request_error", "invalid_api_key"),
    56: ("partner", 429, "You exceeded your current quota, please check your plan and billing details.",
         "insufficient_quota", "insufficient_quota"),
    59: ("eu-west", 429, "Rate limit reached on requests per min (RPM): Limit 500, Used 500. Please try again in 42s.",
         "requests", "rate_limit_exceeded"),
}  # fmt: skip


def wanted(minute, dice):
    """Requests in a minute: a slow start, a crawl with its ups and downs, a lull, and another one."""
    wave = 0.75 + 0.2 * math.sin(minute / 4) + 0.05 * math.sin(minute * 1.7)
    lull = 0.25 if 33 <= minute <= 38 else 1.0
    return round(1_100 * min((minute + 1) / 9, 1.0) * wave * lull * dice.uniform(0.92, 1.08))


def error(status, message, kind, code):
    return Answer(status, {}, {"error": {"message": message, "type": kind, "param": None, "code": code}})


def ask(pool, dice, answer=None, of=None):
    """One call; with an answer, as many as it takes until it is of that key."""
    while True:
        tokens = dice.randint(300, 1_300)
        with pool.lease(model="gpt-4o", tokens=tokens, max_wait=0) as lease:
            if of is None or lease.name == of:
                fails = dice.random() < 0.002
                lease.settle(answer or (error(503, "Overloaded.", "server_error", None) if fails else None))
                return


async def live(pool, clock, watch):
    """An hour; the last minute is not over yet."""
    dice = random.Random(4)
    await watch.look()
    for minute in range(60):
        count = wanted(minute, dice)
        for look in range(LOOKS):
            for _ in range(count // LOOKS):
                ask(pool, dice)
            if minute in TROUBLE and look == 1:
                name, *said = TROUBLE[minute]
                ask(pool, dice, error(*said), of=name)
            await watch.look()
            if minute == 59 and look == 1:
                return dice
            clock.advance(60 / LOOKS)
    return dice


async def shoot(program, told):
    """Take the picture."""
    clock = ManualClock()
    async with contextlib.AsyncExitStack() as stack:
        pool = await stack.enter_async_context(
            KeyPool(KEYS, clock=clock, strategy="weighted", rpm=500, tpm=450_000, max_wait=0)
        )
        app = create_app(pool, GatewayOptions(tokens=Tokens(["ops=a-token-for-a-picture"] if told.token else [])))
        (address,) = await stack.enter_async_context(serve(app, Address("127.0.0.1", 0)))
        dice = await live(pool, clock, app[STATUS].watch)
        for _ in range(23):
            stack.enter_context(pool.lease(model="gpt-4o", tokens=dice.randint(300, 1_300)))
        await app[STATUS].watch.look()
        browser = await stack.enter_async_context(started(program, stack.enter_context(tempfile.TemporaryDirectory())))
        tab = await browser.tab()
        await tab.scheme("dark" if told.dark else "light")
        await tab.size(told.width, 400, mobile=told.width < 600)
        await tab.open(f"http://{address}{told.path}")
        if told.path == "/status" and not told.token:
            await tab.until("document.getElementById('live').textContent === 'Live'")
        await tab.size(told.width, await tab.run("document.documentElement.scrollHeight"), mobile=told.width < 600)
        await tab.shoot(told.out)


def in_few_colours(picture):
    """The same in its 256 most frequent colours, which takes a third of the bytes."""
    found = sorted(picture.getcolors(1 << 24), reverse=True)
    palette = [colour for _, colour in found[:256]]
    places = {bytes(colour): place for place, colour in enumerate(palette)}
    for _, colour in found[256:]:
        nearest = min(palette, key=lambda other: sum((a - b) ** 2 for a, b in zip(colour, other, strict=True)))
        places[bytes(colour)] = places[bytes(nearest)]
    points = picture.tobytes()
    small = Image.frombytes("P", picture.size, bytes(places[points[at : at + 3]] for at in range(0, len(points), 3)))
    small.putpalette([part for colour in palette for part in colour])
    return small


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out")
    parser.add_argument("--width", type=int, default=1_200)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--path", default="/status")
    parser.add_argument("--token", action="store_true", help="ask for a token: the page to log in")
    told = parser.parse_args()
    program = find()
    if program is None:
        sys.exit("there is no Chromium: neither on PATH nor of Playwright's")
    asyncio.run(shoot(program, told))
    with Image.open(told.out) as picture:
        small = in_few_colours(picture.convert("RGB"))
    small.save(told.out, optimize=True)


if __name__ == "__main__":
    main()
