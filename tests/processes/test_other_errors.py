"""Other libraries' exceptions, and our own: raised by a decorated function, they are themselves again elsewhere."""

from __future__ import annotations

import asyncio
import pickle
import sys
import urllib.error
import urllib.request

import aiohttp
import httpx
import openai
import pytest
import requests

import stable_openai
from stable_openai import (
    ConfigurationError,
    KeyManager,
    MalformedAnswer,
    NoKeyAvailable,
    PoolClosed,
    RequestTooLarge,
    StoreError,
    Verdict,
    stable,
)
from stable_openai.errors import InjectionError
from stable_openai.failover.records import ProviderRefusal
from stable_openai.simulator import SimKey

NOTE = "attempt 1 with only (sk-…6789): invalid_key"


@pytest.fixture
def sim(openai_simulator, make):
    """A provider that knows the key, and says that it is wrong."""
    return openai_simulator(keys=[SimKey(make.SECRET, state="dead")])


@pytest.fixture
def request_of(sim, make):
    """Address, headers and body of a request."""
    return f"{sim.base_url}/chat/completions", {"Authorization": f"Bearer {make.SECRET}"}, make.CHAT


def test_httpx(make, request_of, travel):
    """``raise_for_status`` of httpx."""
    url, headers, body = request_of
    error = make.raised(lambda: httpx.post(url, headers=headers, json=body).raise_for_status())
    again = travel(error)
    assert type(again) is httpx.HTTPStatusError
    assert str(again) == str(error)
    assert (again.response.status_code, again.response.json()) == (401, error.response.json())
    assert again.response.headers == error.response.headers
    assert (again.request.method, str(again.request.url)) == ("POST", url)
    assert again.__notes__ == [NOTE]


def test_httpx_without_an_answer(make, request_of, travel):
    """A lost connection, whose address has the key in it."""
    _, headers, body = request_of

    def answer(request):
        raise httpx.ConnectError("it is gone", request=request)

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        error = make.raised(
            lambda: client.post(
                f"http://me:{make.SECRET}@x.invalid/v1?a=b&key={make.SECRET}#c", headers=headers, json=body
            )
        )
    again = travel(error)
    assert type(again) is httpx.ConnectError
    assert str(again) == "it is gone"
    assert str(again.request.url) == "http://x.invalid/v1?a=b&key=***#c"
    assert len(again.__notes__) == 1


def test_requests(make, request_of, travel):
    """``raise_for_status`` of requests."""
    url, headers, body = request_of
    error = make.raised(
        lambda: requests.post(
            f"{url}?api-version=1&api-key={make.SECRET}", headers=headers, json=body
        ).raise_for_status()
    )
    again = travel(error)
    assert type(again) is requests.HTTPError
    assert str(again) == str(error).replace(make.SECRET, "sk-…6789")
    assert (again.response.status_code, again.response.json()) == (401, error.response.json())
    assert again.response.headers == error.response.headers
    assert (again.request.method, again.request.url) == ("POST", f"{url}?api-version=1&api-key=***")
    assert again.response.request.headers == {}
    assert again.__notes__ == [NOTE]


def test_requests_without_an_answer(make, travel):
    """A lost connection: the arguments are exceptions themselves."""

    def ask():
        raise requests.ConnectionError(
            OSError(111, "refused"), request=requests.Request("GET", "http://x.invalid").prepare()
        )

    again = travel(make.raised(ask))
    assert type(again) is requests.ConnectionError
    assert type(again.args[0]) is ConnectionRefusedError
    assert again.request.url == "http://x.invalid/"


def test_aiohttp(make, request_of, travel):
    """``raise_for_status`` of aiohttp, which could not be pickled at all; a refused connection, with its number."""
    url, headers, body = request_of

    async def ask(url):
        @stable(pool=make.pool(), stop=lambda state: True)
        async def once(api_key=""):
            async with aiohttp.ClientSession() as session, session.post(url, headers=headers, json=body) as answer:
                answer.raise_for_status()

        with pytest.raises(aiohttp.ClientError) as caught:
            await once()
        return caught.value

    error = asyncio.run(ask(url))
    again = travel(error)
    assert type(again) is aiohttp.ClientResponseError
    assert str(again) == str(error)
    assert (again.status, again.message, again.history) == (401, "Unauthorized", ())
    assert dict(again.headers) == dict(error.headers)
    assert (again.request_info.method, str(again.request_info.real_url)) == ("POST", url)
    assert again.__notes__ == [NOTE]
    refused = asyncio.run(ask("http://127.0.0.1:9/v1"))
    again = travel(refused)
    assert type(again) is type(refused)
    assert (str(again), again.errno, again.host) == (str(refused), refused.errno, "127.0.0.1")


def test_urllib(make, request_of, travel):
    """What has been read of nothing: status, headers and address are there, the connection is not."""
    url, headers, _ = request_of
    error = make.raised(lambda: urllib.request.urlopen(urllib.request.Request(url, b"{}", headers)))
    with error:
        again = travel(error)
    assert type(again) is urllib.error.HTTPError
    assert str(again) == "HTTP Error 401: Unauthorized"
    assert (again.code, again.url, dict(again.headers)) == (401, url, dict(error.headers))
    assert again.read() == b""
    again.close()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 has no groups")
def test_of_a_task_group(make, request_of):
    """The provider's exception, which a task group has wrapped."""
    url, headers, body = request_of

    def ask():
        try:
            httpx.post(url, headers=headers, json=body).raise_for_status()
        except httpx.HTTPStatusError as error:
            raise ExceptionGroup("unhandled errors in a TaskGroup", [error]) from None  # noqa: F821  # since Python 3.11

    again = pickle.loads(pickle.dumps(make.raised(ask)))
    assert again.__notes__ == [NOTE]
    assert type(again.exceptions[0]) is httpx.HTTPStatusError
    assert again.exceptions[0].response.status_code == 401


def test_what_only_looks_like_a_request(make):
    """Odd attributes are in nobody's way."""

    class Odd:
        headers, url = 7, "http://[bad"

        def __init__(self, **told):
            vars(self).update(told)

        def __repr__(self):
            return "<odd>"

    def ask():
        error = httpx.ConnectError("it is gone")
        error.odd = [Odd(), Odd(headers={}), Odd(headers={b"a": None}, url=None)]
        error.url = "http://[bad"
        error.first = Odd(headers={"Authorization": b"Bearer abcdefgh"}, url="x")
        error.text = "abcdefgh-and-more"
        raise error

    again = pickle.loads(pickle.dumps(make.raised(ask)))
    assert type(again) is httpx.ConnectError
    assert again.odd == ["<odd>"] * 3
    assert again.url == "http://[bad"
    assert again.text == "…-and-more"


# -- ours


def own(make):
    """One of each of our own, as they are raised or as they could be."""
    yield ConfigurationError("limits.rpm", "must be a number")
    yield InjectionError("ask", "has no parameter")
    yield NoKeyAvailable("none is eligible", retry_after=3.5, reasons={"only": "cooling"}, model="gpt-4o")
    yield RequestTooLarge(900, 300)
    yield PoolClosed("this pool is closed")
    yield StoreError("can't be reached")
    yield MalformedAnswer("no JSON", "I am sorry")
    yield ProviderRefusal(make.pool().judge(ConnectionResetError()))


@pytest.mark.parametrize("place", range(8))
def test_our_own(place, make, travel):
    """All that they carry: attributes, notes and the cause."""
    error = list(own(make))[place]
    error.__cause__ = make.raised_by(make.refusal(429))
    error.__notes__ = ["a note"]
    again = travel(error)
    assert type(again) is type(error)
    assert (str(again), again.args) == (str(error), error.args)
    assert vars(again) == vars(error)
    assert type(again.__cause__) is openai.RateLimitError
    assert again.__cause__.response.headers["x-request-id"] == "req_1"
    assert again.__cause__.__notes__ == error.__cause__.__notes__


def test_no_key_is_left(make, travel):
    """What a call ends with when no key is eligible: with the provider's last error as the cause, and its notes."""
    error = make.raised_by(make.refusal(429), stop=None, pool=make.pool(max_wait=0))
    assert type(error) is NoKeyAvailable
    again = travel(error)
    assert type(again) is NoKeyAvailable
    assert (again.retry_after, again.reasons, again.model) == (error.retry_after, error.reasons, error.model)
    assert again.retry_after > 0
    assert again.__notes__ == ["attempt 1 with only (sk-…6789): rate_limited_unspecified"]
    assert type(again.__cause__) is openai.RateLimitError
    assert again.__cause__.status_code == 429


def test_no_key_is_left_for_a_client(make, travel):
    """Our clients' kind of it is openai's as well, here and there."""
    pool = make.pool(max_wait=0)
    pool.park("only")
    client = make.client(
        make.refusal(429), stable_openai.OpenAI, api_key=None, pool=pool, base_url="http://x.invalid/v1"
    )
    with pytest.raises(NoKeyAvailable) as caught:
        client.chat.completions.create(**make.CHAT)
    again = travel(caught.value)
    assert type(again) is type(caught.value)
    assert isinstance(again, openai.OpenAIError)
    assert again.reasons == caught.value.reasons


def test_a_cause_that_cannot_be_pickled():
    """Something stands for it, and nothing else is lost."""

    class Local(Exception):
        def __reduce__(self):
            raise RuntimeError("no")

    error = NoKeyAvailable("none", retry_after=3)
    error.__cause__ = Local()
    again = pickle.loads(pickle.dumps(error))
    assert again.retry_after == 3
    assert str(again.__cause__).endswith("Local caused it, and could not be pickled")


def test_a_cause_that_is_unknown_there(monkeypatch):
    """Likewise."""
    gone = type("Gone", (Exception,), {"__module__": __name__})
    monkeypatch.setitem(globals(), "Gone", gone)
    error = PoolClosed("closed")
    error.__cause__ = gone()
    sent = pickle.dumps(error)
    monkeypatch.delitem(globals(), "Gone")
    assert "could not be pickled" in str(pickle.loads(sent).__cause__)


def test_a_verdict_travels(make, travel):
    """It is plain data."""
    verdict = make.pool().judge(ConnectionResetError())
    assert isinstance(verdict, Verdict)
    assert travel(verdict) == verdict


def test_a_pool_does_not(make):
    """It holds secrets; a function that was decorated with one is another matter."""
    for pool in (make.pool(), KeyManager([make.SECRET])):
        with pytest.raises(TypeError, match="a pool can't be pickled"):
            pickle.dumps(pool)
