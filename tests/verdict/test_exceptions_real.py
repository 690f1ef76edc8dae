"""Exceptions as the installed libraries really raise them, against a provider on loopback."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import urllib.error
import urllib.request

import pytest

from stable_openai.verdict import Reason, judge

openai = pytest.importorskip("openai")
requests = pytest.importorskip("requests")
aiohttp = pytest.importorskip("aiohttp")

LIMIT = Reason.RATE_LIMITED_REQUESTS_MINUTE
ASK = {"model": "acme-4o", "messages": [{"role": "user", "content": "hi"}]}


def verdict_of(call, *args, **kwargs):
    """The verdict on what a call returns or raises."""
    try:
        result = call(*args, **kwargs)
    except BaseException as exc:  # noqa: BLE001  # the verdict on it is what is tested
        return judge(exc)
    return judge(result)


@pytest.fixture
def free_port():
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("ok", Reason.OK),
        ("limit", LIMIT),
        ("plain", Reason.SERVER_ERROR),
        ("drop", Reason.CONNECTION_LOST),
        ("hang", Reason.TIMEOUT),
    ],
)
def test_openai(provider, path, reason):
    """The installed client, sync and async."""
    options = {"api_key": "sk-abcdefgh12345678", "base_url": f"{provider}/{path}", "max_retries": 0}
    options["timeout"] = 0.1 if path == "hang" else 10.0

    def ask():
        with openai.OpenAI(**options) as client:
            return client.chat.completions.create(**ASK)

    async def ask_async():
        async with openai.AsyncOpenAI(**options) as client:
            return await client.chat.completions.create(**ASK)

    verdict = verdict_of(ask)
    assert verdict.reason is reason
    assert verdict_of(lambda: asyncio.run(ask_async())).reason is reason
    if reason is LIMIT:
        assert (verdict.wait_s, verdict.owner, verdict.model) == (1.5, "org-a1b2c3", "acme-4o")


@pytest.mark.parametrize(
    ("path", "reason"), [("event", Reason.OVERLOADED), ("half", Reason.CONNECTION_LOST), ("limit", LIMIT)]
)
def test_openai_streams(provider, path, reason):
    """An error event inside a 200 stream, a stream that is cut, a stream that never starts."""

    def read():
        with openai.OpenAI(api_key="sk-x", base_url=f"{provider}/{path}", max_retries=0) as client:
            return list(client.chat.completions.create(stream=True, **ASK))

    assert verdict_of(read).reason is reason


def test_openai_raw(provider):
    """A raw response is judged by the response inside it."""
    with openai.OpenAI(api_key="sk-x", base_url=f"{provider}/ok", max_retries=0) as client:
        assert judge(client.chat.completions.with_raw_response.create(**ASK)).reason is Reason.OK


@pytest.mark.parametrize("address", ["http://127.0.0.1:{port}", "http://nowhere.invalid"])
def test_openai_cannot_connect(address, free_port):
    """A refused connection and an unknown name are lost connections."""
    with openai.OpenAI(api_key="sk-x", base_url=address.format(port=free_port), max_retries=0) as client:
        assert verdict_of(client.chat.completions.create, **ASK).reason is Reason.CONNECTION_LOST


def test_openai_parsed_answers():
    """A parsed answer is a success unless it holds an error."""
    types = openai.types.chat
    fine = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": []}
    assert judge(types.ChatCompletion.model_validate(fine)).reason is Reason.OK
    failed = types.ChatCompletion.model_construct(**fine, error={"code": 429, "message": "Too many requests"})
    assert judge(failed).is_rate_limit


def test_a_key_that_cannot_be_sent(provider):
    """A key with a line break is refused by the HTTP library: the key is wrong."""
    with openai.OpenAI(api_key="sk-abcdefgh12345678\n", base_url=provider, max_retries=0) as client:
        verdict = verdict_of(client.chat.completions.create, **ASK)
    assert verdict.reason is Reason.INVALID_KEY
    assert "abcdefgh" not in repr(verdict)


def test_requests(provider, free_port):
    """Responses, raised statuses, lost connections, time-outs and a body that is no JSON."""
    with requests.Session() as session:
        get = lambda path, **options: session.get(f"{provider}/{path}", timeout=options.pop("timeout", 10), **options)  # noqa: E731
        assert verdict_of(get, "ok").reason is Reason.OK
        assert verdict_of(get, "limit").wait_s == 1.5
        assert verdict_of(lambda: get("limit").raise_for_status()).reason is LIMIT
        assert verdict_of(lambda: get("plain").json()).reason is Reason.SERVER_ERROR
        assert verdict_of(get, "drop").reason is Reason.CONNECTION_LOST
        assert verdict_of(get, "half").reason is Reason.CONNECTION_LOST
        assert verdict_of(get, "hang", timeout=0.1).reason is Reason.TIMEOUT
        assert verdict_of(session.get, f"http://127.0.0.1:{free_port}").reason is Reason.CONNECTION_LOST
        assert verdict_of(session.get, "nothing").reason is Reason.BAD_REQUEST
        with get("limit", stream=True) as unread:
            assert judge(unread).wait_s == 2.0  # the header is there, the body is not
            assert unread.json()["error"]["type"] == "requests"  # and still is to be read


def test_aiohttp(provider, free_port):
    """Responses, raised statuses, lost connections, both kinds of time-out."""

    async def ask(path, *, raises=False, seconds=10.0, deadline=None, address=provider):
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=seconds)) as session:

            async def read():
                async with session.post(f"{address}/{path}") as response:
                    if raises:
                        response.raise_for_status()
                    await response.read()
                    return response

            return await (asyncio.wait_for(read(), deadline) if deadline else read())

    def judged(path, **options):
        return verdict_of(lambda: asyncio.run(ask(path, **options)))

    assert judged("ok").reason is Reason.OK
    assert judged("limit").reason is LIMIT
    assert judged("limit", raises=True).wait_s == 2.0
    assert judged("drop").reason is Reason.CONNECTION_LOST
    assert judged("half").reason is Reason.CONNECTION_LOST
    assert judged("hang", seconds=0.1).reason is Reason.TIMEOUT
    assert judged("hang", deadline=0.1).reason is Reason.TIMEOUT
    assert judged("", address=f"http://127.0.0.1:{free_port}").reason is Reason.CONNECTION_LOST


def test_urllib(provider, free_port):
    """The standard library's own client."""

    def ask(path, seconds=10.0, address=provider):
        with urllib.request.urlopen(f"{address}/{path}", timeout=seconds) as response:
            response.read()
            return response

    assert verdict_of(ask, "ok").reason is Reason.OK
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask("limit")
    with refused.value as exc:
        assert judge(exc).wait_s == 2.0
        assert json.loads(exc.read())["error"]["type"] == "requests"  # nothing was consumed
    assert verdict_of(ask, "drop").reason is Reason.CONNECTION_LOST
    assert verdict_of(ask, "half").reason is Reason.CONNECTION_LOST
    assert verdict_of(ask, "hang", 0.1).reason is Reason.TIMEOUT
    assert verdict_of(ask, "", address=f"http://127.0.0.1:{free_port}").reason is Reason.CONNECTION_LOST


def test_sockets(free_port):
    """Sockets without a library, and errors that were never raised."""
    assert verdict_of(socket.create_connection, ("127.0.0.1", free_port)).reason is Reason.CONNECTION_LOST
    for exc in (ConnectionResetError(), socket.gaierror(), ssl.SSLError(), BrokenPipeError(), OSError(113, "no route")):
        assert judge(exc).reason is Reason.CONNECTION_LOST
    assert judge(TimeoutError()).reason is Reason.TIMEOUT


class _Own(Exception):
    status = 429


def _raise(exc):
    raise exc


async def _wait_for_oneself():
    await asyncio.wait_for(asyncio.Event().wait(), 0.01)


@pytest.mark.parametrize(
    "call",
    [
        lambda: int("x"),
        lambda: {}["x"],
        lambda: open("/no/such/file"),  # noqa: PTH123, SIM115
        lambda: json.loads("x"),
        lambda: _raise(_Own()),
        lambda: _raise(TimeoutError("mine")),
        lambda: _raise(BrokenPipeError("a pipe of mine")),
        lambda: asyncio.run(_wait_for_oneself()),
        lambda: _raise(KeyboardInterrupt()),
        lambda: _raise(SystemExit()),
        lambda: _raise(GeneratorExit()),
        lambda: _raise(asyncio.CancelledError()),
        lambda: _raise(StopIteration()),
        lambda: _raise(MemoryError()),
        lambda: _raise(OSError(28, "disk full")),
    ],
)
def test_what_is_not_the_providers(call):
    """A user's own errors, cancellation and the like are left alone."""
    verdict = verdict_of(call)
    assert verdict.reason is Reason.NOT_PROVIDER
    assert not verdict.retry_elsewhere
