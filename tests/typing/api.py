"""The public interface as type checkers see it. Checked by mypy (and pyright), never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from typing import Any

import httpx2
import requests
from tenacity import stop_after_attempt, wait_fixed, wait_random_exponential
from typing_extensions import assert_type

from stable_openai import (
    AKPool,
    Answer,
    AsyncTransport,
    Candidate,
    Event,
    HiddenRetriesWarning,
    Key,
    KeyManager,
    KeyPool,
    KeyStatus,
    Lease,
    Limits,
    ManualClock,
    NoKeyAvailable,
    PoolAdapter,
    PoolAuth,
    Reason,
    Strategy,
    Transport,
    Verdict,
    Window,
    judge,
    share_connections,
    stable,
)

# -- the four kinds of function


@stable
def ask(model: str, messages: list[str], api_key: str = "") -> str:
    return model


@stable
async def aask(prompt: str, *, temperature: float = 0.0, api_key: str = "") -> int:
    return len(prompt)


@stable
def stream(prompt: str, api_key: str = "") -> Iterator[bytes]:
    yield prompt.encode()


@stable
def talk(prompt: str, api_key: str = "") -> Generator[str, int, bool]:
    number = yield prompt
    return bool(number)


@stable
async def astream(prompt: str, api_key: str = "") -> AsyncIterator[bytes]:
    yield prompt.encode()


def passed_on(
    function: Callable[[str, list[str]], str], coroutine: Callable[[str], Coroutine[Any, Any, int]]
) -> None: ...


async def kinds() -> None:
    assert_type(ask("m", []), str)
    assert_type(ask(model="m", messages=[], api_key="mine"), str)
    assert_type(await aask("p", temperature=0.5), int)
    assert_type(list(stream("p")), list[bytes])
    assert_type(talk("p"), Generator[str, int, bool])
    assert_type([item async for item in astream("p")], list[bytes])
    passed_on(ask, aask)
    ask("m", [], temperature=1)  # type: ignore[call-arg]
    ask(1, [])  # type: ignore[arg-type]
    aask(prompt=b"p")  # type: ignore[arg-type, unused-coroutine]


# -- options


@stable(
    pool=KeyPool(["sk-a"]),
    model="gpt-4o",
    tokens=lambda prompt, **rest: len(prompt),
    max_wait=30,
    timeout=300.0,
    stop=stop_after_attempt(8),
    wait=wait_random_exponential(max=20),
)
def ask_with_options(prompt: str, key: Key | None = None, base_url: str | None = None) -> float:
    return float(len(prompt))


async def options() -> None:
    assert_type(ask_with_options("p"), float)
    assert_type(ask.options(max_wait=5)("m", []), str)
    assert_type(await aask.options(stop=stop_after_attempt(2), wait=wait_fixed(1))("p"), int)
    assert_type(list(stream.options(pool=KeyManager())("p")), list[bytes])
    assert_type([item async for item in astream.options(timeout=3)("p")], list[bytes])
    ask.options(max_wiat=5)  # type: ignore[call-arg]
    ask.options(max_wait="5")  # type: ignore[arg-type]
    stable(max_wiat=5)  # type: ignore[call-overload]


# -- methods


class Crawler:
    @stable
    def method(self, prompt: str, api_key: str = "") -> str:
        return prompt

    @stable(max_wait=5)
    async def coroutine(self, prompt: str, api_key: str = "") -> int:
        return len(prompt)

    @stable
    def generator(self, prompt: str, api_key: str = "") -> Iterator[str]:
        yield prompt

    @stable
    async def async_generator(self, prompt: str, api_key: str = "") -> AsyncIterator[str]:
        yield prompt

    @stable
    @classmethod
    def inner_classmethod(cls, prompt: str, api_key: str = "") -> str:
        return prompt

    @classmethod
    @stable
    def outer_classmethod(cls, prompt: str, api_key: str = "") -> str:
        return prompt

    @stable
    @staticmethod
    def inner_staticmethod(prompt: str, api_key: str = "") -> str:
        return prompt

    @staticmethod
    @stable
    def outer_staticmethod(prompt: str, api_key: str = "") -> str:
        return prompt

    async def from_within(self) -> None:
        assert_type(self.method("p"), str)
        assert_type(await self.coroutine("p"), int)


async def methods(crawler: Crawler) -> None:
    assert_type(crawler.method("p"), str)
    assert_type(crawler.method.options(max_wait=5)("p", api_key="mine"), str)
    assert_type(await crawler.coroutine("p"), int)
    assert_type(list(crawler.generator("p")), list[str])
    assert_type([item async for item in crawler.async_generator("p")], list[str])
    assert_type(Crawler.inner_classmethod("p"), str)
    assert_type(Crawler.outer_classmethod("p"), str)
    assert_type(crawler.inner_classmethod("p"), str)
    assert_type(Crawler.inner_classmethod.options(max_wait=5)("p"), str)
    assert_type(Crawler.inner_staticmethod("p"), str)
    assert_type(crawler.outer_staticmethod("p"), str)
    crawler.method(5)  # type: ignore[arg-type]
    crawler.method("p", 5)  # type: ignore[arg-type]


# -- a plain function, decorated where it is used


def legacy(prompt: str, api_key: str = "") -> list[str]:
    return [prompt]


assert_type(stable(legacy)("p"), list[str])
assert_type(stable(max_wait=5)(legacy)("p"), list[str])


# -- pools, keys, leases


class Quickest:
    def rank(self, candidate: Candidate) -> float:
        return candidate.in_flight / candidate.weight


async def pools() -> None:
    own: Strategy = Quickest()
    pool = KeyPool(["sk-a", Key("sk-b", name="lab"), {"secret": "sk-c"}], strategy=own, rpm=500, clock=ManualClock())
    assert_type(AKPool("sk-a"), KeyPool)
    assert_type(KeyPool.from_env("OPENAI_API_KEYS", rpm=5), KeyPool)
    assert_type(KeyPool.from_file("keys.toml"), KeyPool)
    assert_type(KeyManager(["sk-a"], rpm=500, windows=[Window("requests", 20, seconds=10)]), KeyManager)
    assert_type(pool.add("sk-c", name="lab", owner="org-1", limits={"gpt-4o": Limits(rpm=500, tpm=30_000)}), str)
    assert_type(pool.status(), list[KeyStatus])
    assert_type(pool.keys, list[Key])
    forget = pool.on_event(listen)
    forget()
    with pool.lease(model="gpt-4o", tokens=900) as lease:
        assert_type(lease, Lease)
        assert_type(lease.headers, dict[str, str])
        assert_type(lease.settle({"usage": {"total_tokens": 5}}), Verdict | None)
    async with pool.lease(max_wait=5) as lease:
        assert_type(lease.api_key, str)
    assert_type(pool.acquire(), Lease)
    assert_type(await pool.aacquire(), Lease)
    pool.lease(tokens="many")  # type: ignore[arg-type]
    KeyPool(5)  # type: ignore[arg-type]


def listen(event: Event) -> None:
    assert_type(event.kind, str)


def errors(error: NoKeyAvailable) -> None:
    assert_type(error.retry_after, float | None)
    assert_type(error.reasons, dict[str, str])


def verdicts() -> None:
    verdict = judge(Answer(429, {"retry-after": "5"}, b""))
    assert_type(verdict.reason, Reason)
    assert_type(verdict.wait_s, float | None)


# -- legacy code


def legacy_code() -> None:
    with stable.patch("pkg.module:Class.method", "other:function", max_wait=30, stop=stop_after_attempt(8)) as patch:
        patch.undo()
    stable.patch("other:function", max_wiat=5)  # type: ignore[call-arg]
    stable.patch(legacy)  # type: ignore[arg-type]
    with share_connections() as sharing:
        sharing.undo()
    assert_type(HiddenRetriesWarning("said"), HiddenRetriesWarning)


# -- other HTTP libraries


def transports(pool: KeyPool) -> None:
    session = requests.Session()
    httpx2.Client(transport=Transport(pool, base_url="https://api.openai.com/v1", max_wait=30, affinity="talk"))
    httpx2.AsyncClient(transport=AsyncTransport(stop=stop_after_attempt(8)))
    session.mount("https://", PoolAdapter(pool, max_wait=30, pool_maxsize=32))
    session.auth = PoolAuth(pool, timeout=60)
    Transport("sk-a")  # type: ignore[arg-type]
    PoolAuth(max_wiat=5)  # type: ignore[call-arg]
