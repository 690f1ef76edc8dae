"""The drivers by themselves: where they back off, what can be sent again, and what is closed when it goes wrong."""

from __future__ import annotations

import io
import sys

import openai
import pytest

from stable_openai import KeyPool, ManualClock, NoKeyAvailable
from stable_openai.exchange import Aim, Ended, Exchange, asend, send
from stable_openai.exchange.exchange import is_replayable

HTTPX = sys.modules[openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0]]
KEYS = ["sk-drivers-one-0123456789", "sk-drivers-two-0123456789"]


@pytest.fixture
def clock():
    clock = ManualClock()
    clock.sleep = clock.advance

    async def asleep(seconds):
        clock.advance(seconds)

    clock.asleep = asleep
    return clock


@pytest.fixture(params=["sync", "async"])
def drive(request, clock):
    """``drive(answer)`` sends one request over two keys, and gives the response, the keys and the pool."""

    async def drive(answer, *, asked=None, rules=(), **options):
        pool = KeyPool(KEYS, clock=clock, max_wait=0, rules=rules)
        seen = []

        def transmit(outgoing):
            seen.append(outgoing.headers["authorization"].split("-")[2])
            got = answer(seen[-1])
            if isinstance(got, BaseException):
                raise got
            got.request = outgoing
            return got

        async def atransmit(outgoing):
            return transmit(outgoing)

        exchange = Exchange(pool, Aim(None, None), **options)
        asked = asked or HTTPX.Request("POST", "http://x/v1/chat/completions", json={})
        try:
            if request.param == "sync":
                response = send(exchange, asked, transmit)
            else:
                response = await asend(exchange, asked, atransmit)
        except BaseException as error:  # noqa: BLE001  # the test looks at it
            response = error
        return response, seen, pool

    drive.is_async = request.param == "async"
    return drive


def refused(status=429):
    return HTTPX.Response(status, json={"error": {"message": "no", "code": "rate_limit_exceeded"}})


async def test_trouble_is_met_here_where_nobody_else_does(drive, clock):
    """As a gateway wants it: back-off by the clock, then another key; the last answer where it does not end."""
    replies = iter([HTTPX.Response(500, text="x"), HTTPX.ReadTimeout("x"), HTTPX.Response(200, text="fine")])
    response, seen, pool = await drive(lambda name: next(replies))
    assert (response.status_code, seen) == (200, ["one", "two", "one"])
    assert clock.monotonic() > 1000
    response, seen, pool = await drive(lambda name: HTTPX.Response(500, text="x"))
    assert (response.status_code, len(seen)) == (500, 6)
    response, seen, pool = await drive(lambda name: HTTPX.ReadTimeout("x"))
    assert isinstance(response, HTTPX.ReadTimeout)
    assert [row.in_flight for row in pool.status()] == [0, 0]


async def test_ended(drive):
    """Without any answer: what carries the error past clients that catch every ``Exception``."""
    pool = KeyPool()
    exchange = Exchange(pool, Aim(None, None))
    with pytest.raises(Ended) as caught:
        send(exchange, HTTPX.Request("GET", "http://x"), None)
    assert isinstance(caught.value.error, NoKeyAvailable)
    assert not isinstance(caught.value, Exception)
    response, seen, _ = await drive(lambda name: refused(), model="m")
    assert (response.status_code, seen) == (429, ["one", "two"])


async def test_what_cannot_be_sent_again(drive):
    """A generator's body is sent once; the refusal is the answer, and so is what was raised."""

    def body():
        yield b"once"

    async def abody():
        yield b"once"

    for answer in (refused, lambda: HTTPX.ReadTimeout("x")):
        asked = HTTPX.Request("POST", "http://x", content=abody() if drive.is_async else body())
        response, seen, _ = await drive(lambda name, answer=answer: answer(), asked=asked)
        assert seen == ["one"]
        assert isinstance(response, (HTTPX.Response, HTTPX.ReadTimeout))


def test_what_can_be_sent_again(tmp_path):
    """Bytes, forms and files that go back; not generators, nor files that don't."""
    (tmp_path / "a").write_bytes(b"x")

    class Pipe:
        def read(self, size=-1):
            return b""

    class Once(io.BytesIO):
        def seekable(self):
            return False

    def asked(**body):
        return HTTPX.Request("POST", "http://x", **body)

    with (tmp_path / "a").open("rb") as file:
        for body in (
            {},
            {"content": b"x"},
            {"json": {}},
            {"data": {"a": "b"}},
            {"files": {"a": b"x"}},
            {"files": {"a": file}},
        ):
            assert is_replayable(asked(**body))
    for body in ({"content": iter([b"x"])}, {"files": {"a": Pipe()}}, {"files": {"a": b"x", "b": Once(b"x")}}):
        assert not is_replayable(asked(**body))


@pytest.mark.parametrize("error", [KeyboardInterrupt, HTTPX.ReadError("x")])
async def test_an_answer_that_breaks_while_it_is_read_is_closed(drive, error):
    """No connection stays open, no key is held; an interrupt is nobody's fault and is raised at once."""
    made = []

    class Broken(HTTPX.SyncByteStream, HTTPX.AsyncByteStream):
        closed = 0

        def __iter__(self):
            yield b": hello\n\n"
            raise error

        async def __aiter__(self):
            for piece in iter(self):
                yield piece

        def close(self):
            self.closed += 1

        async def aclose(self):
            self.closed += 1

    def answer(name):
        made.append(Broken())
        return HTTPX.Response(
            200 if len(made) % 2 else 500, stream=made[-1], headers={"content-type": "text/event-stream"}
        )

    response, seen, pool = await drive(answer)
    assert isinstance(response, (KeyboardInterrupt, HTTPX.ReadError))
    assert all(body.closed for body in made)
    assert len(seen) == (1 if error is KeyboardInterrupt else 6)
    assert [row.in_flight for row in pool.status()] == [0, 0]
    assert [row.failed for row in pool.status()][0] == (0 if error is KeyboardInterrupt else 3)


async def test_what_a_rule_raises_gives_the_key_back(drive):
    """A user's own rule that fails."""

    def rule(answer):
        raise ZeroDivisionError

    response, seen, pool = await drive(lambda name: refused(), rules=[rule])
    assert isinstance(response, ZeroDivisionError)
    assert seen == ["one"]
    assert [row.in_flight for row in pool.status()] == [0, 0]
