"""A headless Chromium that is spoken to by the DevTools protocol, over its websocket."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import shutil
from pathlib import Path

import aiohttp

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PLAYWRIGHT = Path.home() / ".cache" / "ms-playwright"
BUILT = (
    "chromium_headless_shell-*/*/headless_shell",
    "chromium_headless_shell-*/*/chrome-headless-shell",
    "chromium-*/*/chrome",
)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--mute-audio",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions", "--no-proxy-server",
    "--remote-debugging-port=0", "--remote-allow-origins=*",
)  # fmt: skip
TAB = {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}
ENTER = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}


def find():
    """Where there is one; None where there is none."""
    for name in NAMES:
        if (found := shutil.which(name)) is not None:
            return found
    return next((str(path) for pattern in BUILT for path in PLAYWRIGHT.glob(pattern)), None)


class Tab:
    """One page."""

    def __init__(self, browser, session):
        self.browser = browser
        self.session = session
        self.problems = []

    async def send(self, method, **params):
        return await self.browser.send(method, session=self.session, **params)

    async def run(self, script):
        """The value of an expression in the page."""
        got = await self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in got, got
        return got["result"].get("value")

    async def open(self, url):
        await self.send("Page.navigate", url=url)
        await self.until(f"location.href === {url!r} && document.readyState === 'complete'")

    async def until(self, condition):
        """Wait in the page for a condition; the whole is bounded by the test's timeout."""
        for _ in range(2_000):
            with contextlib.suppress(AssertionError, RuntimeError):  # between two pages
                if await self.run(f"Boolean({condition})"):
                    return
            await asyncio.sleep(0.01)
        raise AssertionError(f"never: {condition}")

    async def size(self, width, height=844, *, mobile=False):
        await self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile
        )

    async def scheme(self, value):
        await self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": value}])

    async def press(self, key):
        await self.send("Input.dispatchKeyEvent", type="keyDown", **key)
        await self.send("Input.dispatchKeyEvent", type="keyUp", **{k: v for k, v in key.items() if k != "text"})

    async def shoot(self, path):
        got = await self.send("Page.captureScreenshot", captureBeyondViewport=True)
        await asyncio.to_thread(Path(path).write_bytes, base64.b64decode(got["data"]))


class Browser:
    """A running one."""

    def __init__(self, socket):
        self._socket = socket
        self._numbers = itertools.count(1)
        self._waiting = {}
        self._tabs = {}

    async def send(self, method, session=None, **params):
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        told = {"id": number, "method": method, "params": params}
        await self._socket.send_json({**told, "sessionId": session} if session else told)
        return await self._waiting[number]

    async def listen(self):
        async for message in self._socket:
            data = message.json()
            if "id" in data:
                waiting = self._waiting.pop(data["id"])
                if "error" in data:
                    waiting.set_exception(RuntimeError(data["error"]["message"]))
                else:
                    waiting.set_result(data["result"])
            elif data.get("sessionId") in self._tabs:
                self._note(self._tabs[data["sessionId"]], data["method"], data["params"])

    @staticmethod
    def _note(tab, method, params):
        if method == "Runtime.exceptionThrown":
            tab.problems.append(params["exceptionDetails"]["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in {"error", "warning", "assert"}:
            tab.problems.append(str(params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in {"error", "warning"}:
            tab.problems.append(params["entry"]["text"])

    async def tab(self, *, scripts=True):
        context = (await self.send("Target.createBrowserContext"))["browserContextId"]
        target = (await self.send("Target.createTarget", url="about:blank", browserContextId=context))["targetId"]
        session = (await self.send("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        tab = self._tabs[session] = Tab(self, session)
        for domain in ("Page", "Runtime", "Log"):
            await tab.send(f"{domain}.enable")
        if not scripts:
            await tab.send("Emulation.setScriptExecutionDisabled", value=True)
        return tab


@contextlib.asynccontextmanager
async def started(program, folder):
    """Start one; it ends on leaving."""
    process = await asyncio.create_subprocess_exec(
        program, *FLAGS, f"--user-data-dir={folder}",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE, limit=1 << 20,
    )  # fmt: skip
    drained = None
    try:
        while b"DevTools listening on " not in (line := await asyncio.wait_for(process.stderr.readline(), 30)):
            assert line, "it has not started"
        drained = asyncio.ensure_future(process.stderr.read())
        async with (
            aiohttp.ClientSession() as client,
            client.ws_connect(line.split()[-1].decode(), max_msg_size=0) as socket,
        ):
            browser = Browser(socket)
            listening = asyncio.ensure_future(browser.listen())
            yield browser
            with contextlib.suppress(Exception):
                await asyncio.wait_for(browser.send("Browser.close"), 5)
            listening.cancel()
            await asyncio.wait({listening})
    finally:
        with contextlib.suppress(ProcessLookupError, asyncio.TimeoutError):
            await asyncio.wait_for(process.wait(), 5)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if drained is not None:
            await drained
