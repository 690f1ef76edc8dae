"""The clients go on with the next key, whatever is asked for; with the real openai against the simulator."""

from __future__ import annotations

import openai
import pytest

with_responses = pytest.mark.skipif(not hasattr(openai.OpenAI, "responses"), reason="came with openai 1.66")
BAD = [("dead", {"state": "dead"}), ("disabled", {"state": "disabled"}), ("unpaid", {"state": "unpaid"})]
NAMES = ["dead", "disabled", "unpaid"]


def standings(setting):
    return {row.name: row.standing for row in setting.rows}


async def test_dead_unpaid_and_limited_keys(kind, setting):
    """Each refuses once; what is known of it stays known, and the caller sees answers alone."""
    its = setting(*BAD, ("limited", {"rpm": 1}), "good", limit_headers=False)
    assert [await kind.chat(its.client, f"{n}") for n in range(4)] == [f"You said: {n}" for n in range(4)]
    assert its.arrivals == [*NAMES, "limited", "good", "limited", "good", "good"]
    assert list(standings(its).values()) == ["retired", "retired", "parked", "cooling down", "open"]
    assert [row.owner for row in its.rows] == ["org-dead", "org-disabled", "org-unpaid", "org-limited", "org-good"]
    assert [row.in_flight for row in its.rows] == [0] * 5


async def test_embeddings(kind, setting):
    """Each bad key is asked once, and the vectors come from the good one."""
    its = setting(*BAD, "good")
    answer = await kind.settled(its.client.embeddings.create(model="text-embedding-3-small", input=["a", "b"]))
    assert len(answer.data) == 2
    assert its.arrivals == [*NAMES, "good"]


async def test_completions(kind, setting):
    """The legacy endpoint fails over as chat does."""
    its = setting(*BAD, "good")
    answer = await kind.settled(its.client.completions.create(model="gpt-3.5-turbo-instruct", prompt="hello"))
    assert answer.choices[0].text == "You said: hello"
    assert its.arrivals == [*NAMES, "good"]


@with_responses
async def test_responses(kind, setting):
    """The model of the request is known to the pool here too."""
    its = setting(*BAD, ("small", {"models": ("mini",)}), "good")
    answer = await kind.settled(its.client.responses.create(model="gpt-4o", input="hello"))
    assert answer.output_text == "You said: hello"
    assert its.arrivals == [*NAMES, "small", "good"]
    assert {lane.model for lane in its.row("small").lanes if lane.standing == "barred"} == {"gpt-4o"}


@with_responses
async def test_a_stream_of_responses(kind, setting):
    """Bad keys are refused before the stream begins; the caller gets all its events."""
    its = setting(*BAD, "good")
    events = await kind.listed(its.client.responses.create(model="gpt-4o", input="hello", stream=True))
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
    assert its.arrivals == [*NAMES, "good"]


async def test_models(kind, setting):
    """A GET, and its pages."""
    its = setting(*BAD, "good")
    assert "gpt-4o" in [model.id for model in await kind.listed(its.client.models.list())]
    assert standings(its)["dead"] == "retired"
    assert (await kind.settled(its.client.models.retrieve("gpt-4o"))).id == "gpt-4o"


async def test_raw_responses(kind, setting):
    """``with_raw_response`` gives the answer of the key that worked."""
    its = setting(*BAD, "good")
    raw = await kind.settled(its.client.chat.completions.with_raw_response.create(**kind.request()))
    assert its.sim.stats().key_of(raw.headers["x-request-id"]) == "good"
    assert (await kind.settled(raw.parse())).choices[0].message.content == "You said: hello"
    raw = await kind.settled(its.client.chat.completions.with_raw_response.create(**kind.request(), stream=True))
    assert len(await kind.listed(raw.parse())) > 2
    assert its.arrivals == [*NAMES, "good", "good"]


async def test_streaming_responses(kind, setting):
    """``with_streaming_response``: the lease ends with the block, however far it was read."""
    its = setting(*BAD, "good", told={"max_concurrency": 1})
    streaming = its.client.chat.completions.with_streaming_response
    async with kind.entered(streaming.create(**kind.request())) as response:
        assert its.row("good").in_flight == 1
        assert (await kind.settled(response.parse())).choices[0].message.content == "You said: hello"
    assert its.row("good").in_flight == 0
    async with kind.entered(streaming.create(**kind.request(), stream=True)) as response:
        lines = response.iter_lines()
        first = await anext(lines) if kind.is_async else next(lines)
        assert first.startswith("data: ")
        assert its.row("good").in_flight == 1
    assert its.row("good").in_flight == 0
    assert its.arrivals == [*NAMES, "good", "good"]


async def test_chat_streams(kind, setting):
    """The whole text, from the key that worked."""
    its = setting(*BAD, "good")
    chunks = await kind.listed(its.client.chat.completions.create(**kind.request("one two"), stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "You said: one two"
    assert its.arrivals == [*NAMES, "good"]


async def test_pages(kind, over, make):
    """Each page is a request of its own, and fails over by itself."""
    pages = {"first": ["a", "b"], "b": ["c"], "c": []}  # openai 1.40 asks until a page is empty
    refuse = iter([True, False, True, False])

    def answer(name):
        if next(refuse, False):
            return make.error()
        after = answers.requests[-1].url.params.get("after", "first")
        data = [
            {"id": name, "object": "batch", "created_at": 1, "endpoint": "/v1/x", "input_file_id": "f",
             "completion_window": "24h", "status": "completed"} for name in pages[after]
        ]  # fmt: skip
        return make.HTTPX.Response(200, json={"object": "list", "data": data, "has_more": after == "first"})

    answers, _pool, client = over(answer, "one", "two", "three", "four")
    assert [batch.id for batch in await kind.listed(client.batches.list(limit=2))] == ["a", "b", "c"]
    assert answers.keys[:4] == ["one", "two", "three", "four"]
    assert [request.url.params.get("after") for request in answers.requests][:4] == [None, None, "b", "b"]


async def test_a_bad_request_is_the_providers_error_at_once(kind, setting):
    """Only requests that fail over differ from plain openai's."""
    its = setting("one", "two", context_length=5)
    with pytest.raises(openai.BadRequestError) as caught:
        await kind.chat(its.client, "a prompt that is much too long for this model, by far and away")
    assert its.arrivals == ["one"]
    assert not getattr(caught.value, "__notes__", [])
    assert [row.failed for row in its.rows] == [0, 0]


async def test_a_model_that_one_key_has_not(kind, setting):
    """That key and model alone."""
    its = setting(("small", {"models": ("mini",)}), "large")
    assert await kind.chat(its.client) == "You said: hello"
    assert await kind.chat(its.client) == "You said: hello"
    assert its.arrivals == ["small", "large", "large"]
    assert [await kind.chat(its.client, model="mini") for _ in range(2)] == ["You said: hello"] * 2
    assert "small" in its.arrivals[3:]


async def test_an_error_with_a_200(kind, over, make):
    """Some gateways answer so: it is an error like any other."""
    body = {"error": {"message": "Rate limit reached", "code": "rate_limit_exceeded"}}
    answers, pool, client = over(
        {"one": lambda: make.HTTPX.Response(200, json=body), "two": make.completion}, "one", "two"
    )
    assert await kind.chat(client) == "fine"
    assert answers.keys == ["one", "two"]
    assert pool.status()[0].failed == 1


async def test_the_request_that_the_caller_holds_is_as_it_was(kind, over, make):
    """Each attempt is a copy: hooks and headers of one do not reach the other."""
    answers, _, client = over({"one": make.error, "two": make.completion}, "one", "two")
    await kind.chat(client, extra_headers={"x-mine": "1"})
    first, second = answers.requests
    assert first is not second
    assert first.headers["authorization"] == f"Bearer {make.secret('one')}"
    assert second.headers["authorization"] == f"Bearer {make.secret('two')}"
    assert first.headers["x-mine"] == second.headers["x-mine"] == "1"
    assert first.content == second.content
    assert first.headers.get("idempotency-key") == second.headers.get("idempotency-key")
