"""A stream fails over until its first content; its lease lasts until it is exhausted, closed or collected."""

from __future__ import annotations

import asyncio
import gc

import openai
import pytest

from stable_openai import KeyPool

with_responses = pytest.mark.skipif(not hasattr(openai.OpenAI, "responses"), reason="came with openai 1.66")


def running(pool):
    return [row.in_flight for row in pool.status()]


def failed(pool):
    return [row.failed for row in pool.status()]


async def text(kind, client, **options):
    chunks = await kind.listed(client.chat.completions.create(**kind.request(), stream=True, **options))
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


async def begun(kind, client):
    """A stream of which the caller has had the first content, and how to go on."""
    stream = await kind.settled(client.chat.completions.create(**kind.request(), stream=True))
    items = aiter(stream) if kind.is_async else iter(stream)

    async def go_on():
        return await kind.settled(anext(items) if kind.is_async else next(items))

    assert (await go_on()).choices[0].delta.role == "assistant"
    assert (await go_on()).choices[0].delta.content == "Hello"
    return stream, go_on


@pytest.mark.parametrize("before", [0, 1], ids=["at the start", "after the role"])
@pytest.mark.parametrize("how", ["limited", "failed"])
async def test_an_error_event_before_content(kind, over, make, before, how):
    """The next key; the caller sees one whole stream. The pool knows what each met."""
    event = make.LIMITED if how == "limited" else make.FAILED
    answers, pool, client = over(
        {"one": lambda: make.streamed(*[make.ROLE][:before], event), "two": make.whole}, "one", "two"
    )
    assert await text(kind, client) == "Hello you"
    assert answers.keys == ["one", "two"]
    assert failed(pool) == [1, 0]
    assert running(pool) == [0, 0]
    assert pool.status()[0].lanes[0].reason == "" or how == "limited"


async def test_an_error_event_in_a_piece_with_content(kind, over, make):
    """Nothing has left yet: it is not too late."""
    answers, _pool, client = over(
        {"one": lambda: make.streamed(make.ROLE + make.HELLO + make.LIMITED), "two": make.whole}, "one", "two"
    )
    assert await text(kind, client) == "Hello you"
    assert answers.keys == ["one", "two"]


@pytest.mark.parametrize("how", ["limited", "failed"])
async def test_an_error_event_after_content(kind, over, make, how):
    """openai raises it, as ever, with what came before it; the pool learns, no other key is asked."""
    event = make.LIMITED if how == "limited" else make.FAILED
    answers, pool, client = over(
        {"one": lambda: make.streamed(make.ROLE, make.HELLO, event), "two": make.whole}, "one", "two"
    )
    _, go_on = await begun(kind, client)
    assert running(pool) == [1, 0]
    with pytest.raises(openai.APIError):
        await go_on()
    assert answers.keys == ["one"]
    assert failed(pool) == [1, 0]
    assert running(pool) == [0, 0]
    assert await text(kind, client) == "Hello you"


async def test_where_every_stream_tells_of_an_error(kind, over, make):
    """The last one reaches the caller, and openai raises its error."""
    answers, pool, client = over(lambda name: make.streamed(make.ROLE, make.LIMITED), "one", "two", max_wait=0)
    with pytest.raises(openai.APIError, match="Rate limit reached"):
        await text(kind, client)
    assert answers.keys == ["one", "two"]
    assert failed(pool) == [1, 1]
    assert running(pool) == [0, 0]


@pytest.mark.parametrize("retries", [0, 2])
async def test_trouble_that_streams_tell_of(kind, over, make, retries):
    """``max_retries`` counts it like any other trouble of the provider's; then openai raises it."""
    answers, pool, client = over(lambda name: make.streamed(make.FAILED), "one", "two", max_retries=retries)
    with pytest.raises(openai.APIError, match="bad day"):
        await text(kind, client)
    assert answers.keys == ["one", "two", "one"][: retries + 1]
    assert running(pool) == [0, 0]


async def test_both_kinds_of_trouble_together(kind, over, make):
    """A 500, then a stream that tells of one, then another 500: no more than ``max_retries`` in all."""
    replies = iter([make.error(500, "x"), make.streamed(make.FAILED), make.error(500, "x"), make.completion()])
    answers, _, client = over(lambda name: next(replies), "one", "two", max_retries=2)
    with pytest.raises(openai.InternalServerError):
        await text(kind, client)
    assert len(answers.keys) == 3


async def test_cut_before_content(kind, over, make):
    """openai's loop tries again, elsewhere; no key is blamed."""
    cut = make.HTTPX.RemoteProtocolError("cut")
    answers, pool, client = over({"one": lambda: make.streamed(make.ROLE, cut), "two": make.whole}, "one", "two")
    assert await text(kind, client) == "Hello you"
    assert answers.keys == ["one", "two"]
    assert [row.standing for row in pool.status()] == ["open", "open"]
    answers, pool, client = over(lambda name: make.streamed(cut), "one", "two", max_retries=0)
    with pytest.raises(openai.APIConnectionError):
        await text(kind, client)
    assert answers.keys == ["one"]
    assert running(pool) == [0, 0]


async def test_cut_after_content(kind, over, make):
    """It is raised; nobody gets the beginning twice."""
    cut = make.HTTPX.RemoteProtocolError("cut")
    answers, pool, client = over({"one": lambda: make.streamed(make.ROLE, make.HELLO, cut)}, "one")
    _, go_on = await begun(kind, client)
    with pytest.raises((openai.APIConnectionError, make.HTTPX.RemoteProtocolError)):
        await go_on()
    assert answers.keys == ["one"]
    assert (running(pool), failed(pool)) == ([0], [1])


@pytest.mark.parametrize("end", ["exhausted", "closed", "left", "collected"])
async def test_how_long_a_lease_lasts(kind, over, make, end):
    """With one call at once allowed, the second waits for the first's stream, however that ends."""
    answers, pool, client = over({"one": make.whole}, "one", told={"max_concurrency": 1})
    stream, go_on = await begun(kind, client)
    assert running(pool) == [1]
    with pytest.raises(openai.OpenAIError):
        await kind.chat(client.with_options(max_wait=0))
    if end == "exhausted":
        assert len(await kind.listed(stream)) == 2
    elif end == "closed":
        await kind.settled(stream.close())
    elif end == "left":
        with pytest.raises(KeyError):
            async with kind.entered(stream):
                raise KeyError
    else:
        del stream, go_on
        answers.requests.clear()
        for _ in range(20):  # its loop finishes async generators, one within the other
            gc.collect()
            await asyncio.sleep(0)
            if running(pool) == [0]:
                break
    assert running(pool) == [0]
    assert failed(pool) == [0]
    assert await text(kind, client) == "Hello you"


async def test_the_connection_of_a_refused_stream_is_given_back(kind, over, make):
    """As is that of one that is closed early."""
    bad, good = make.streamed(make.LIMITED), make.whole()
    bad_body, good_body = bad.stream, good.stream
    _answers, _, client = over({"one": bad, "two": good}, "one", "two")
    stream, _ = await begun(kind, client)
    assert bad_body.closed
    assert not good_body.closed
    await kind.settled(stream.close())
    assert good_body.closed
    assert good_body.passed == 2


async def test_usage_counts(kind, over, make):
    """Tokens are reserved by estimate, and corrected by the stream's ``usage``."""
    usage = make.chunk(usage={"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30})
    told = [make.ROLE, make.HELLO, make.END, usage, make.DONE]
    answers, pool, client = over({"one": lambda: make.streamed(*told)}, "one", told={"tpm": 1000})

    def used():
        return pool.status()[0].lanes[0].windows[0].used

    await text(kind, client, stream_options={"include_usage": True})
    assert used() == 30
    _, _ = await begun(kind, client)
    assert used() > 250, "the estimate"
    answers.requests.clear()


async def test_usage_of_an_answer_counts(kind, over, make):
    """As that of an answer which comes whole."""
    _, pool, client = over({"one": make.completion}, "one", told={"tpm": 1000})
    await kind.chat(client)
    assert pool.status()[0].lanes[0].windows[0].used == 7


@with_responses
async def test_the_responses_api(kind, over, make):
    """``response.created`` and its like are no content yet; ``response.failed`` is an error."""
    response = {"id": "r", "object": "response", "created_at": 1, "status": "in_progress", "output": [], "model": "m"}
    response |= {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}

    def told(kind_of, **data):
        return make.event({"type": kind_of, "sequence_number": 1, **data}, kind_of)

    before = [told("response.created", response=response), told("response.in_progress", response=response)]
    broken = {**response, "status": "failed", "error": {"code": "rate_limit_exceeded", "message": "Rate limit"}}
    delta = told("response.output_text.delta", delta="hi", item_id="i", output_index=0, content_index=0, logprobs=[])
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    done = told("response.completed", response={**response, "status": "completed", "usage": usage})
    flat = told("error", code="rate_limit_exceeded", message="Rate limit", param=None)
    answers, pool, client = over(
        {
            "one": lambda: make.streamed(*before, told("response.failed", response=broken)),
            "two": lambda: make.streamed(*before, flat),
            "three": lambda: make.streamed(*before, delta, done),
        },
        "one", "two", "three",
    )  # fmt: skip
    events = await kind.listed(client.responses.create(model="gpt-4o", input="x", stream=True))
    assert [event.type.partition(".")[2] for event in events] == [
        "created",
        "in_progress",
        "output_text.delta",
        "completed",
    ]
    assert answers.keys == ["one", "two", "three"]
    assert failed(pool) == [1, 1, 0]


async def test_gzip(kind, over, make):
    """A stream that is packed is read all the same, and reaches the caller as it was sent."""
    import zlib

    def packed(*pieces):
        packer = zlib.compressobj(wbits=31)
        sent = [packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH) for piece in pieces]
        return make.streamed(*sent, packer.flush(), content_encoding="gzip")

    answers, pool, client = over(
        {"one": lambda: packed(make.ROLE, make.LIMITED), "two": lambda: packed(make.ROLE, make.HELLO, make.YOU, make.END, make.DONE)},
        "one", "two",
    )  # fmt: skip
    assert await text(kind, client) == "Hello you"
    assert answers.keys == ["one", "two"]
    assert failed(pool) == [1, 0]


async def test_streams_of_the_simulator(kind, setting):
    """Cut half-way or ended by an error event, as real sockets have it."""
    its = setting("one", "two", options={"max_retries": 0})
    its.sim.provider.tune(stream_error_rate=1.0)
    with pytest.raises(openai.APIError):
        await text(kind, its.client)
    its.sim.provider.tune(stream_error_rate=0.0, cut_stream_rate=1.0)
    with pytest.raises(Exception) as caught:  # openai 1.40 lets httpx's own pass
        await text(kind, its.client)
    assert "Error" in type(caught.value).__name__
    its.sim.provider.tune(cut_stream_rate=0.0)
    assert await text(kind, its.client) == "You said: hello"
    assert running(its.pool) == [0, 0]


async def test_a_stream_outlives_its_pool(kind, over, make):
    """What runs ends as it would."""
    _, pool, client = over({"one": make.whole}, "one")
    stream, _ = await begun(kind, client)
    pool.close()
    assert len(await kind.listed(stream)) == 2
    assert running(pool) == [0]
    assert isinstance(pool, KeyPool)
