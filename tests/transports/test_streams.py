"""Streams: another key until the first content, and a lease that lasts as long as the stream."""

from __future__ import annotations

import asyncio
import gc
import gzip
import threading

import pytest

import stable_openai

ROLE = b'data: {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}\n\n'
HELLO = b'data: {"choices": [{"index": 0, "delta": {"content": "Hello"}}]}\n\n'
USAGE = b'data: {"choices": [], "usage": {"total_tokens": 7}}\n\n'
DONE = b"data: [DONE]\n\n"
ERROR = b'data: {"error": {"message": "Rate limit reached", "type": "requests", "code": "rate_limit_exceeded"}}\n\n'
EVENTS = {"Content-Type": "text/event-stream"}


def running(pool):
    return sum(row.in_flight for row in pool.status())


def failed(pool):
    return {row.name: row.failed for row in pool.status()}


def after_a(first, then=(ROLE, HELLO, DONE), headers=EVENTS):
    """Answers for a scripted provider: these pieces under the key a, those under any other."""
    return lambda request: (200, headers, list(first if "-a-" in request.key else then))


def test_a_stream(way, setting, asked):
    """It comes whole; then the lease is over, and its usage is known."""
    s = setting([("dead", {"state": "dead"}), ("good", {})], told={"tpm": 100_000})
    client = way.open(s.pool)
    text = client.stream(s.url, json=asked("one two", stream=True, stream_options={"include_usage": True}))
    assert text.endswith("data: [DONE]\n\n")
    assert '"content":"two"' in text.replace(" ", "")
    assert running(s.pool) == 0
    good = s.pool.status()[1]
    used = [window.used for lane in good.lanes for window in lane.windows if window.what == "tokens"]
    assert 0 < max(used) < 50


def test_an_error_before_the_first_content(way, setting, scripted, asked):
    """The caller sees nothing of it."""
    s = setting([("a", {}), ("b", {})])
    server = scripted(after_a([ROLE, ERROR]))
    text = way.open(s.pool).stream(server.url + "/chat/completions", json=asked(stream=True))
    assert text == (ROLE + HELLO + DONE).decode()
    assert failed(s.pool) == {"a": 1, "b": 0}
    assert running(s.pool) == 0


def test_an_error_after_the_first_content(way, setting, scripted, asked):
    """It is the caller's to see, as it came; the pool knows of it, and there is no second attempt."""
    s = setting([("a", {}), ("b", {})])
    server = scripted(after_a([ROLE, HELLO, ERROR]))
    text = way.open(s.pool).stream(server.url + "/chat/completions", json=asked(stream=True))
    assert text == (ROLE + HELLO + ERROR).decode()
    assert failed(s.pool) == {"a": 1, "b": 0}
    assert running(s.pool) == 0
    assert len(server.seen) == 1


def test_every_stream_fails(way, setting, scripted, asked):
    """The last one is what the caller gets, with the error in it."""
    s = setting([("a", {}), ("b", {})])
    server = scripted(lambda _: (200, EVENTS, [ROLE, ERROR]))
    text = way.open(s.pool, max_wait=1).stream(server.url + "/chat/completions", json=asked(stream=True))
    assert text == (ROLE + ERROR).decode()
    assert failed(s.pool) == {"a": 1, "b": 1}
    assert running(s.pool) == 0


def test_an_error_in_the_place_of_a_stream(way, setting, asked):
    """It can be read as a stream even so."""
    s = setting([("a", {"state": "dead"})])
    text = way.open(s.pool).stream(s.url, json=asked(stream=True))
    assert '"invalid_api_key"' in text
    assert running(s.pool) == 0


def test_a_stream_that_breaks_early(way, setting, scripted, asked):
    """A connection lost before the first content is made good; the back-off is the pool's."""
    s = setting([("a", {}), ("b", {})])

    def answer(request):
        if "-a-" in request.key:
            return 200, {**EVENTS, "Content-Length": "9999", "Connection": "close"}, ROLE
        return 200, EVENTS, [ROLE, HELLO, DONE]

    server = scripted(answer)
    text = way.open(s.pool).stream(server.url + "/chat/completions", json=asked(stream=True))
    assert text == (ROLE + HELLO + DONE).decode()
    assert failed(s.pool) == {"a": 1, "b": 0}


def test_a_stream_of_the_only_key_that_breaks_early(way, setting, scripted, asked):
    """That key is asked again, after a rest."""
    s = setting([("a", {})])
    answers = iter([(200, {**EVENTS, "Content-Length": "9999", "Connection": "close"}, ROLE)])
    server = scripted(lambda _: next(answers, None) or (200, EVENTS, [ROLE, HELLO, DONE]))
    text = way.open(s.pool).stream(server.url + "/chat/completions", json=asked(stream=True))
    assert text == (ROLE + HELLO + DONE).decode()
    assert failed(s.pool) == {"a": 1}


def test_compressed_events(way, setting, scripted, asked):
    """They are read all the same."""
    s = setting([("a", {}), ("b", {})])
    server = scripted(
        lambda request: (
            200,
            {**EVENTS, "Content-Encoding": "gzip"},
            [gzip.compress(ROLE + (ERROR if "-a-" in request.key else HELLO + DONE))],
        )
    )
    text = way.open(s.pool).stream(server.url + "/chat/completions", json=asked(stream=True))
    assert text == (ROLE + HELLO + DONE).decode()
    assert failed(s.pool) == {"a": 1, "b": 0}


def test_events_that_end_with_the_connection(way, setting, scripted, asked):
    """No chunks, no length: some servers do it so."""
    s = setting([("a", {}), ("b", {})])
    server = scripted(lambda request: (200, EVENTS, ROLE + (ERROR if "-a-" in request.key else HELLO + USAGE + DONE)))
    text = way.open(s.pool).stream(server.url + "/chat/completions", json=asked(stream=True))
    assert text == (ROLE + HELLO + USAGE + DONE).decode()
    assert failed(s.pool) == {"a": 1, "b": 0}
    assert running(s.pool) == 0


def test_events_that_nobody_reads_as_a_stream(way, setting, scripted, asked):
    """Neither does it matter where the caller reads all at once."""
    s = setting([("a", {}), ("b", {})])
    server = scripted(after_a([ROLE, ERROR]))
    answer = way.open(s.pool).post(server.url + "/chat/completions", json=asked(stream=True))
    assert answer.content == ROLE + HELLO + DONE
    assert running(s.pool) == 0


def test_other_bodies_are_not_held_up(way, setting, scripted, asked):
    """What is neither an error nor JSON nor events comes as it comes."""
    s = setting([("a", {})])
    server = scripted(lambda _: (200, {"Content-Type": "audio/mpeg"}, [b"la", b"la" * 40_000]))
    client = way.open(s.pool)
    assert client.post(server.url + "/audio/speech", json=asked()).content == b"la" * 40_001
    assert client.stream(server.url + "/audio/speech", json=asked()) == "la" * 40_001
    assert running(s.pool) == 0


@pytest.fixture
def held(scripted):
    """A URL whose stream has content at once, and ends when ``go_on()`` is called."""
    goes_on = threading.Event()

    class Slow(list):
        def __iter__(self):
            yield ROLE + HELLO
            goes_on.wait(20)
            yield DONE

    server = scripted(lambda _: (200, EVENTS, Slow()))
    yield server.url + "/chat/completions", goes_on.set
    goes_on.set()


@pytest.mark.parametrize("ending", ["exhausted", "closed", "collected"])
@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_the_lease_of_a_stream(library, ending, held, setting, asked):
    """It lasts until the stream is exhausted, closed or collected."""
    library = pytest.importorskip(library)
    url, go_on = held
    s = setting([("a", {})])
    with library.Client(transport=stable_openai.Transport(s.pool)) as client:
        response = client.send(client.build_request("POST", url, json=asked(stream=True)), stream=True)
        pieces = response.iter_raw()
        assert next(pieces) == ROLE + HELLO
        assert running(s.pool) == 1
        if ending == "exhausted":
            go_on()
            assert b"".join(pieces) == DONE
        elif ending == "closed":
            response.close()
        go_on()
        del response, pieces
        gc.collect()
        assert running(s.pool) == 0
    assert failed(s.pool) == {"a": 0}


@pytest.mark.parametrize("ending", ["exhausted", "closed", "collected"])
@pytest.mark.parametrize("how", ["adapter", "auth", "both"])
def test_the_lease_of_a_stream_of_requests(how, ending, held, setting, asked):
    """So does it there."""
    requests = pytest.importorskip("requests")
    url, go_on = held
    s = setting([("a", {})])
    with requests.Session() as session:
        session.trust_env = False
        if how != "auth":
            session.mount("http://", stable_openai.PoolAdapter(s.pool))
        if how != "adapter":
            session.auth = stable_openai.PoolAuth(s.pool)
        response = session.post(url, json=asked(stream=True), stream=True)
        lines = response.iter_lines()
        assert next(lines) == ROLE.strip()
        assert running(s.pool) == 1
        if ending == "exhausted":
            go_on()
            assert list(lines)[-2:] == [DONE.strip(), b""]
        elif ending == "closed":
            response.close()
        del response, lines
        gc.collect()
        assert running(s.pool) == 0
        go_on()
    assert failed(s.pool) == {"a": 0}


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
async def test_a_cancelled_task_leaves_nothing(library, held, setting, asked):
    """Neither a lease nor a connection, and no key is blamed."""
    library = pytest.importorskip(library)
    url, go_on = held
    s = setting([("a", {})])
    begun = asyncio.Event()

    async def read(client):
        async with client.stream("POST", url, json=asked(stream=True)) as response:
            async for _ in response.aiter_bytes():
                begun.set()

    async with library.AsyncClient(transport=stable_openai.AsyncTransport(s.pool)) as client:
        task = asyncio.ensure_future(read(client))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert running(s.pool) == 0
        go_on()
    assert failed(s.pool) == {"a": 0}
