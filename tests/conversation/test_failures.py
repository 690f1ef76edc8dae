"""Whatever goes wrong: the error is raised as it is, the history is as it was, and the next request works."""

from __future__ import annotations

import asyncio
import gc

import openai
import pytest

from stable_openai import NoKeyAvailable, assistant_msg, system_msg, user_msg

BEFORE = [system_msg("be kind"), user_msg("hello"), assistant_msg("good day")]


def begun(chat):
    """A chat with something to lose."""
    chat.add_dialogs(*BEFORE)
    chat.pin(1)
    return chat


def is_as_before(chat):
    return chat.fetch_messages() == BEFORE and chat._history.pinned() == [1]


OUTAGES = {"500": openai.InternalServerError, "503": openai.InternalServerError, "html502": openai.InternalServerError, "reset": openai.APIConnectionError}  # fmt: skip


@pytest.mark.parametrize("outage", OUTAGES)
def test_the_provider_fails(talk, way, outage):
    """Server errors and lost connections: openai's own error; once it is over, all is well."""
    here = talk()
    chat = begun(here.chat(max_retries=0))
    here.sim.provider.outage(outage)
    with pytest.raises(OUTAGES[outage]) as caught:
        way.ask(chat, "fails")
    assert is_as_before(chat)
    assert getattr(caught.value, "partial_text", None) == ("" if way.streams else None)
    here.sim.provider.recover()
    assert way.ask(chat, "works") == "You said: works"
    assert [message["content"] for message in here.asked[-1]["messages"]] == ["be kind", "hello", "good day", "works"]
    assert chat.fetch_messages() == [*BEFORE, user_msg("works"), assistant_msg("You said: works")]


def test_it_is_retried(talk, way, monkeypatch):
    """openai's retries happen within one round, and the round is told once."""
    monkeypatch.setattr(openai._base_client, "INITIAL_RETRY_DELAY", 0.0)
    monkeypatch.setattr(openai._base_client, "MAX_RETRY_DELAY", 0.0)
    here = talk(server_error_rate=0.5, seed=1)
    chat = here.chat(max_retries=30)
    for number in range(4):
        assert way.ask(chat, f"question {number}") == f"You said: question {number}"
    assert len(chat) == 8
    assert here.sim.stats().total.outcomes["server_error"] >= 1


def test_it_is_refused(talk, way):
    """A request that the provider finds wrong."""
    chat = begun(talk(context_length=60).chat())
    with pytest.raises(openai.BadRequestError):
        way.ask(chat, "word " * 100)
    assert is_as_before(chat)
    assert way.ask(chat, "hi") == "You said: hi"


def test_no_key_is_left(talk, way):
    """Dead keys are out; the provider's error is raised, then that there is no key."""
    chat = begun(talk(("one", {"state": "dead"}), ("two", {"state": "unpaid"})).chat(max_wait=0))
    with pytest.raises(openai.OpenAIError):
        way.ask(chat, "fails")
    with pytest.raises(NoKeyAvailable):
        way.ask(chat, "fails")
    assert is_as_before(chat)


def test_the_next_key_answers(talk, way):
    """A chat fails over within its rounds: whoever uses it sees nothing of it."""
    here = talk(("dead", {"state": "dead"}), ("unpaid", {"state": "unpaid"}), ("small", {"rpm": 1}), "good")
    chat = here.chat()
    for number in range(3):
        assert way.ask(chat, f"question {number}") == f"You said: question {number}"
    assert len(chat) == 6
    assert {tally.served for name, tally in here.sim.stats().keys.items() if name in {"dead", "unpaid"}} <= {0}


def test_it_takes_too_long(talk, way):
    """A timeout: nobody answers."""
    here = talk(hang_rate=1.0)
    chat = begun(here.chat(max_retries=0))
    with pytest.raises(openai.APITimeoutError):
        way.ask(chat, "fails", timeout=0.05)
    assert is_as_before(chat)
    here.sim.provider.tune(hang_rate=0.0)
    assert way.ask(chat, "works") == "You said: works"


def test_an_answer_that_says_nothing(over, way, made):
    """No choices at all, or a choice without a message."""
    nothing = lambda body: made.Response(200, json={"id": "1", "object": "chat.completion", "created": 1, "model": "m", **body})  # noqa: E731  # fmt: skip
    if way.streams:
        answers = [made.streamed(made.event("[DONE]")), made.streamed()]
    else:
        answers = [
            nothing({"choices": []}),
            nothing({"choices": [{"index": 0, "finish_reason": "stop", "message": None}]}),
        ]
    chat = begun(over(way, *answers))
    for _ in answers:
        with pytest.raises((ValueError, ConnectionError), match="nothing was said|broke off"):
            way.ask(chat, "hello?")
    assert is_as_before(chat)


# -- streams


def test_cut_in_the_middle(over, streaming, made):
    """The connection is lost, or ends too early: what came of the answer stands on the exception."""
    lost = made.streamed("Once ", "upon ", OSError("lost"))
    short = made.streamed("Once ", "upon ")
    chat = begun(over(streaming, lost, short, made.whole("fine")))
    for error in (Exception, ConnectionError):
        with pytest.raises(error) as caught:
            streaming.pieces(chat, "a tale")
        assert caught.value.partial_text == "Once upon "
        assert is_as_before(chat)
    assert streaming.ask(chat, "again") == "fine"
    assert len(chat) == 5


def test_cut_by_the_provider(talk, streaming):
    """The same on loopback: half a stream, then the connection is gone; and an error event in place of the rest."""
    here = talk(script=lambda request: "one two three four five six")
    for fault in ("cut_stream_rate", "stream_error_rate"):
        chat = begun(here.chat(max_retries=0))
        here.sim.provider.tune(**{fault: 1.0})
        with pytest.raises(Exception) as caught:
            streaming.pieces(chat, "count")
        assert "one two three four five six".startswith(caught.value.partial_text)
        assert 0 < len(caught.value.partial_text) < 20
        assert is_as_before(chat)
        here.sim.provider.tune(**{fault: 0.0})
        assert streaming.ask(chat, "count") == "one two three four five six"


def test_an_error_event(over, streaming, made):
    """Before any content the next key goes on; after it, openai's error is raised with what came."""
    failed = made.event({"error": {"message": "bad day", "type": "server_error", "code": "rate_limit_exceeded"}})
    role = made.chunk(role="assistant")
    chat = begun(
        over(
            streaming,
            made.streamed(role, failed),
            made.whole("fine"),
            made.streamed("Once ", failed),
            keys=("one", "two"),
        )
    )
    assert streaming.ask(chat, "hello") == "fine"
    assert len({request.headers["authorization"] for request in chat.sent}) == 2
    assert len(chat) == 5
    with pytest.raises(openai.APIError) as caught:
        streaming.pieces(chat, "a tale")
    assert caught.value.partial_text == "Once "
    assert len(chat) == 5


@pytest.mark.parametrize("end", ["close", "forget", "throw"])
def test_left_in_the_middle(over, streaming, made, end):
    """Closed, forgotten, or ended by an exception of the caller's: nothing is remembered, and the turn is free."""
    answers = [made.whole("Once ", "upon ", "a time"), made.whole("fine")]
    chat = begun(over(streaming, *answers))

    def sync():
        stream = chat.stream_request("a tale")
        assert next(stream) == "Once "
        if end == "close":
            stream.close()
        elif end == "throw":
            with pytest.raises(KeyError):
                stream.throw(KeyError("mine"))
        del stream
        assert is_as_before(chat)
        return "".join(chat.stream_request("again"))

    async def asynchronous():
        stream = chat.async_stream_request("a tale")
        assert await anext(stream) == "Once "
        if end == "close":
            await stream.aclose()
        elif end == "throw":
            with pytest.raises(KeyError):
                await stream.athrow(KeyError("mine"))
        del stream  # its event loop closes it later: the next request waits for that
        text = "".join([piece async for piece in chat.async_stream_request("again")])
        assert chat.fetch_messages()[:-2] == BEFORE
        return text

    assert (asyncio.run(asynchronous()) if streaming.is_async else sync()) == "fine"
    assert answers[0].is_closed
    assert chat.fetch_messages() == [*BEFORE, user_msg("again"), assistant_msg("fine")]


async def test_break_and_go_on(over, made):
    """``break`` out of ``async for``, and the next request in the same breath."""
    way = type("Way", (), {"is_async": True})
    chat = over(way, made.whole("Once ", "upon "), made.completion("fine"))
    async for _ in chat.async_stream_request("a tale"):
        break
    assert await chat.async_request("hello") == "fine"
    assert chat.fetch_messages() == [user_msg("hello"), assistant_msg("fine")]


def test_the_last_piece_is_not_the_end(over, streaming, made):
    """Who stops after the last piece has not read the stream to its end: it may yet break."""
    chat = over(streaming, made.whole("all"), made.whole("all"))

    async def asynchronous():
        stream = chat.async_stream_request("hello")
        assert await anext(stream) == "all"
        assert len(chat) == 0
        assert await anext(stream, None) is None

    if streaming.is_async:
        asyncio.run(asynchronous())
    else:
        stream = chat.stream_request("hello")
        assert next(stream) == "all"
        assert len(chat) == 0
        assert next(stream, None) is None
    assert len(chat) == 2


def test_a_stream_that_never_begins(over, streaming, made):
    """Made and not iterated: nothing is sent, no turn is taken."""
    chat = over(streaming, made.whole("fine"))
    if streaming.is_async:
        asyncio.run(chat.async_stream_request("never").aclose())
    else:
        chat.stream_request("never")
    gc.collect()
    assert streaming.ask(chat, "hello") == "fine"
    assert len(chat.sent) == 1


# -- cancellation


async def test_cancelled_while_it_is_asked(over, made):
    """A task that is cancelled in the middle of its request."""
    asked = asyncio.Event()

    class Hanging(openai.DefaultAsyncHttpxClient):
        async def send(self, request, **options):
            asked.set()
            await asyncio.Event().wait()

    way = type("Way", (), {"is_async": True})
    chat = begun(over(way, http_client=Hanging()))

    async def stream():
        return [piece async for piece in chat.async_stream_request("never")]

    for asking in (chat.async_request("never"), stream()):
        asked.clear()
        task = asyncio.create_task(asking)
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert is_as_before(chat)
    assert len(chat._turns._line) == 0


async def test_cancelled_while_it_reads(over, made):
    """A task that is cancelled between two pieces: the connection is closed, and the history is as it was."""
    way = type("Way", (), {"is_async": True})
    answer = made.streamed("Once ", asyncio.Event(), "upon ")
    chat = begun(over(way, answer, made.completion("fine")))
    first = asyncio.Event()

    async def read():
        async for _ in chat.async_stream_request("a tale"):
            first.set()

    task = asyncio.create_task(read())
    await first.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert answer.is_closed
    assert is_as_before(chat)
    assert await chat.async_request("hello") == "fine"


def test_interrupted(over, way, made):
    """Ctrl-C while it waits for the answer."""

    def interrupt(request):
        raise KeyboardInterrupt

    chat = begun(over(way, interrupt, made.whole("fine") if way.streams else made.completion("fine")))
    with pytest.raises(KeyboardInterrupt):
        way.ask(chat, "never")
    assert is_as_before(chat)
    assert way.ask(chat, "hello") == "fine"
