"""Sending one request of a file, under one key after the other until there is an answer; its body goes out as it is.

By aiohttp: what httpx spends on each request grows with the number of its connections, and here are hundreds.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from stable_openai.bulk.items import StopRun
from stable_openai.connections.ways import proxy_for, trust
from stable_openai.errors import StableError
from stable_openai.failover.calls import Call
from stable_openai.failover.notes import note_attempts
from stable_openai.failover.patience import Patience
from stable_openai.verdict import Answer

from .counting import used
from .output import success_line, usage_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from stable_openai.failover.attempts import Attempt
    from stable_openai.keys import Key
    from stable_openai.pool.pool import KeyPool
    from stable_openai.verdict import Verdict

    from .budget import Budget
    from .request import Request

__all__ = ["BudgetSpent", "Refused", "Sender"]

_ERRORS_FROM: Final = 400  # statuses of errors (RFC 9110, 15.5 and 15.6)
_NO_ANSWER: Final = 502  # what a good status without a JSON object amounts to: something in between has failed
_ID_HEADERS: Final = ("x-request-id", "apim-request-id", "cf-ray")
_JSON: Final = {"Content-Type": "application/json", "Accept": "application/json"}
_SHOWN: Final = 500  # characters of a body that is no JSON
_PATIENCE: Final = Patience()


class BudgetSpent(StableError):
    """The budget does not hold another request."""


class Refused(StableError):
    """The provider has answered with an error, or with what is no answer.

    Attributes:
        status_code: The status.
        body: The answer's body: what JSON made of it, or its beginning.
        request_id: What the provider calls the exchange, where it says so.
        verdict: What it means; None until that is known.
    """

    def __init__(self, status: int, body: Any, request_id: str | None) -> None:
        error = body.get("error") if isinstance(body, dict) else None
        told = error.get("message") if isinstance(error, dict) else error
        super().__init__(told if isinstance(told, str) and told else f"status {status}, and no JSON object")
        self.status_code = status
        self.body = body
        self.request_id = request_id
        self.verdict: Verdict | None = None


class Sender:
    """Sends requests. Made and used in one event loop, in ``async with``.

    Args:
        pool: Where keys come from.
        base_url: The provider's, such as ``https://api.openai.com/v1``; keys with one of their own go there.
        budget: What may be spent.
        use: Called with the tokens of each answer: all of them, and the prompt's.
        attempt_took: Called with the seconds that the provider took to answer.
        timeout: Seconds that one attempt may take.
    """

    def __init__(
        self,
        pool: KeyPool,
        base_url: str,
        budget: Budget,
        *,
        use: Callable[[int, int], object],
        attempt_took: Callable[[float], object],
        timeout: float,
    ) -> None:
        self._pool = pool
        self._base_url = base_url
        self._budget = budget
        self._use = use
        self._took = attempt_took
        self._flying = 0
        self._waiting: list[asyncio.Future[None]] = []
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=trust()),  # it is the keys that limit
            timeout=aiohttp.ClientTimeout(total=timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def send(self, request: Request) -> dict[str, Any]:
        """Get the answer to a request, as a line of OpenAI's Batch API.

        Raises:
            StopRun: The budget does not hold it; nothing was sent.
            Refused: The provider has refused it, or answers with what is no JSON object, again and again.
            Exception: The connection's, or ``NoKeyAvailable``.
        """
        await self._reserve(request)
        usage: Mapping[str, Any] | None = None
        try:
            line = await self._answer(request)
            usage = usage_of(line["response"]["body"]) or {}
        except Refused as error:
            usage = {} if error.status_code < _ERRORS_FROM else None  # what is no answer may be charged all the same
            raise
        finally:
            self._budget.settle(request, usage)
            self._flying -= 1
            self._wake()
        tokens = used(usage)
        if tokens is not None:
            self._use(sum(tokens), tokens[0])
        return line

    async def _reserve(self, request: Request) -> None:
        """Have the budget hold a request; what is under way may leave more of it than was set aside."""
        while not self._budget.reserve(request):
            if not self._flying:
                raise StopRun(BudgetSpent("the budget does not hold another request (a higher --budget goes on)"))
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter
        self._flying += 1

    def _wake(self) -> None:
        """Have those look again who wait for the budget."""
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    async def _answer(self, request: Request) -> dict[str, Any]:
        content = json.dumps(request.body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        tokens = sum(request.tokens()) if self._pool.counts_tokens else 0
        call = Call(self._pool, _PATIENCE, request.model or None, tokens)
        async for attempt in call.attempts():
            goes_on = True  # where the attempt swallows what it has met
            with attempt:
                status, headers, body = await self._post(attempt.key, request.url, content)
                name = next((headers[name] for name in _ID_HEADERS if name in headers), None)
                if status < _ERRORS_FROM and isinstance(body, dict):
                    _note_use(attempt, Answer(status, headers, body))
                    return success_line(request.id, status, name, body)
                refused = Refused(status, body, name)
                answer = Answer(max(status, _NO_ANSWER) if status < _ERRORS_FROM else status, headers, body)
                goes_on = call.rejected(answer, error=refused)
                refused.verdict = call.verdict
            if not goes_on:
                note_attempts(refused, call.records)
                raise refused
        raise AssertionError("a call ends with an answer or an exception")

    async def _post(self, key: Key, url: str, content: bytes) -> tuple[int, Mapping[str, str], Any]:
        address = (key.base_url or self._base_url).rstrip("/") + url.removeprefix("/v1")
        headers = {**_JSON, "Authorization": f"Bearer {key.secret}"}
        began = time.monotonic()
        post = self._session.post(
            address, data=content, headers=headers, allow_redirects=False, proxy=proxy_for(address)
        )
        async with post as response:
            raw = await response.read()
        if response.status < _ERRORS_FROM:
            self._took(time.monotonic() - began)
        return response.status, response.headers, _read(raw)

    async def __aenter__(self) -> Sender:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._session.close()


def _note_use(attempt: Attempt, answer: Answer) -> None:
    """Have the pool know what an answer says of its use of tokens, and of limits."""
    told = used(usage_of(answer.body) or {})
    if told is not None:
        attempt.use(sum(told))
    attempt.see(answer)


def _read(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return raw[:_SHOWN].decode("utf-8", "replace")
