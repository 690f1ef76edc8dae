"""Where all keys are out: the provider's own error with notes of each attempt; else ours, which are openai's too."""

from __future__ import annotations

import openai
import pytest

from stable_openai import KeyManager, NoKeyAvailable, PoolClosed, RequestTooLarge


async def test_the_providers_error(kind, setting):
    """Its own class, from the last key that was asked, with a note for each attempt and no secret."""
    its = setting(("dead", {"state": "dead"}), ("blocked", {"state": "blocked"}), ("unpaid", {"state": "unpaid"}))
    with pytest.raises(openai.RateLimitError) as caught:
        await kind.chat(its.client)
    assert type(caught.value) is openai.RateLimitError
    assert caught.value.status_code == 429
    assert its.arrivals == ["dead", "blocked", "unpaid"]
    assert [note.split(": ")[1] for note in caught.value.__notes__] == [
        "invalid_key",
        "permission_denied",
        "quota_exhausted",
    ]
    assert its.arrivals == ["dead", "blocked", "unpaid"], "openai's own retries would be in vain"


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ("dead", openai.AuthenticationError),
        ("blocked", openai.PermissionDeniedError),
        ("region", openai.PermissionDeniedError),
    ],
)
async def test_each_kind_of_refusal(kind, setting, state, error):
    """With streams as well; a region is asked of one key alone."""
    its = setting(("one", {"state": state}), ("two", {"state": state}))
    with pytest.raises(error):
        await kind.listed(its.client.chat.completions.create(**kind.request(), stream=True))
    assert its.arrivals == ["one", "two"][: 1 if state == "region" else 2]


async def test_rate_limits_for_longer_than_one_may_wait(kind, over, make):
    """The 429 with its headers, at once."""
    answers, _, client = over(lambda name: make.error(retry_after="500"), "one", "two", max_wait=100)
    with pytest.raises(openai.RateLimitError) as caught:
        await kind.chat(client)
    assert caught.value.response.headers["retry-after"] == "500"
    assert answers.keys == ["one", "two"]
    assert all("to come back in 500 s" in note for note in caught.value.__notes__)


async def test_it_waits_where_a_key_is_back_in_time(kind, over, make, clock, waiting_moves_the_clock):
    """As long as the provider says, and no longer; the caller sees an answer."""
    replies = iter([make.error(retry_after="30"), make.completion()])
    answers, _, client = over(lambda name: next(replies), "one", max_wait=100, max_retries=0)
    assert await kind.chat(client) == "fine"
    assert 1030 <= clock.monotonic() <= 1040
    assert answers.keys == ["one", "one"]


async def test_no_answer_at_all(kind, over, make):
    """``NoKeyAvailable`` with all that it tells; whoever catches openai's errors catches it."""
    answers, pool, client = over({}, "one", "two", max_wait=10)
    pool.park("one", 50)
    pool.park("two", 40)
    for caught_as in (openai.OpenAIError, NoKeyAvailable):
        with pytest.raises(caught_as) as caught:
            await kind.chat(client)
    assert caught.value.retry_after == pytest.approx(40, rel=0.1)
    assert set(caught.value.reasons) == {"one", "two"}
    assert caught.value.model == "gpt-4o"
    assert answers.keys == []
    assert caught.value.__suppress_context__


async def test_timeouts_and_then_no_key(kind, over, make):
    """The cause is what the attempts met."""
    answers, pool, client = over(
        lambda name: pool.park(name, 500) or make.HTTPX.ReadTimeout("slow"), "one", max_wait=10
    )
    with pytest.raises(NoKeyAvailable) as caught:
        await kind.chat(client)
    assert isinstance(caught.value.__cause__, make.HTTPX.TimeoutException)
    assert len(caught.value.__notes__) == 1
    assert answers.keys == ["one"]


async def test_a_request_that_is_too_large(kind, over, make):
    """It fails before it is sent."""
    answers, _pool, client = over({}, "one", told={"tpm": 100})
    for caught_as in (openai.OpenAIError, RequestTooLarge):
        with pytest.raises(caught_as) as caught:
            await kind.chat(client, max_tokens=1000)
    assert caught.value.largest == 100
    assert caught.value.tokens > 1000
    assert answers.keys == []


async def test_a_request_is_counted_for_its_model(kind, over, counted):
    """To the token, by the model's tokenizer; embeddings have no answer."""
    _answers, _pool, client = over({}, "one", told={"tpm": 1})
    with pytest.raises(RequestTooLarge) as caught:
        await kind.chat(client, "hello", model="gpt-4", max_tokens=10, n=2)
    assert caught.value.tokens == 4 + 5 + 2 * 10
    with pytest.raises(RequestTooLarge) as caught:
        await kind.settled(client.embeddings.create(model="mine", input="hello"))
    assert caught.value.tokens == 5
    assert counted.names == ["cl100k_base", "o200k_base"]


async def test_a_closed_pool(kind, over, make):
    """A clear error; and the client's own closing leaves the pool open."""
    answers, pool, client = over({"one": make.completion}, "one")
    other = client.copy(http_client=kind.http(transport=make.HTTPX.MockTransport(answers)))
    await kind.settled(client.close())
    assert not pool.closed
    assert await kind.chat(other) == "fine"
    pool.close()
    for caught_as in (openai.OpenAIError, PoolClosed):
        with pytest.raises(caught_as):
            await kind.chat(other)
    assert answers.keys == ["one"]
    await kind.settled(other.close())


async def test_the_process_wide_pool_is_closed(kind, make):
    """A client of the ``KeyManager`` never goes on without one; with the next one it does."""
    seen = []

    def answer(request):
        seen.append(request.headers["authorization"])
        return make.completion()

    KeyManager(make.keys("one", "two"))
    client = kind.client(answers=answer)
    KeyManager().close()
    with pytest.raises(PoolClosed):
        await kind.chat(client)
    assert "None" in repr(client)
    KeyManager.reset()
    with pytest.raises(PoolClosed):
        await kind.chat(client)
    KeyManager(make.keys("three"))
    assert await kind.chat(client) == "fine"
    assert seen == [f"Bearer {make.secret('three')}"]


async def test_bounds_in_all(kind, over, make, clock):
    """``total_timeout``: after it no other key is asked."""

    def slow(name):
        clock.advance(10)
        return make.error()

    answers, _, client = over(slow, "one", "two", "three", "four", total_timeout=25)
    with pytest.raises(openai.RateLimitError):
        await kind.chat(client)
    assert answers.keys == ["one", "two", "three"]


@pytest.mark.parametrize("broken", ["ReadTimeout", "ConnectError"])
async def test_bounds_of_connections_that_break(kind, over, make, clock, broken):
    """``total_timeout``: openai's own retries end with it; what is raised is as openai raises it, with its notes."""

    def slow(name):
        clock.advance(10)
        return getattr(make.HTTPX, broken)("gone")

    answers, pool, client = over(slow, "one", "two", total_timeout=25, max_retries=5)
    with pytest.raises(openai.APIConnectionError) as caught:
        await kind.chat(client)
    assert type(caught.value) is (openai.APITimeoutError if broken == "ReadTimeout" else openai.APIConnectionError)
    assert isinstance(caught.value.__cause__, getattr(make.HTTPX, broken))
    assert answers.keys == ["one", "two", "one"]
    assert len(caught.value.__notes__) == 3
    assert [row.in_flight for row in pool.status()] == [0, 0]


@pytest.mark.parametrize("broken", [True, False])
async def test_nothing_is_sent_after_openai_has_rested_for_too_long(kind, over, make, clock, broken):
    """``total_timeout``: its back-off counts, too."""

    def troubled(name):
        return make.HTTPX.ConnectError("gone") if broken else make.error(500, "server_error")

    answers, _, client = over(troubled, "one", "two", total_timeout=25, max_retries=5)

    def rest(*args, **kwargs):
        clock.advance(10)
        return 0.0

    client._calculate_retry_timeout = rest
    with pytest.raises(openai.APIConnectionError if broken else openai.InternalServerError) as caught:
        await kind.chat(client)
    assert answers.keys == ["one", "two", "one"]
    assert len(caught.value.__notes__) == 3


async def test_a_wait_that_is_told_and_does_not_fit_is_not_begun(kind, over, make, clock):
    """``total_timeout``: where the provider says when to come back, and that is too late, its error is raised at once."""
    answers, _, client = over(lambda name: make.error(503, "x", retry_after="30"), "one", "two", total_timeout=25)
    with pytest.raises(openai.InternalServerError):
        await kind.chat(client)
    assert answers.keys == ["one"]


async def test_what_is_not_the_providers_stays_what_it_is(kind, over, make, clock):
    """Also where it comes after the time is over."""
    replies = iter([make.error(500, "server_error"), ZeroDivisionError()])

    def slow(name):
        clock.advance(10)
        return next(replies)

    answers, _, client = over(slow, "one", "two", total_timeout=15, max_retries=1)
    with pytest.raises((ZeroDivisionError, openai.APIConnectionError)) as caught:
        await kind.chat(client)
    assert isinstance(caught.value, ZeroDivisionError) or isinstance(caught.value.__cause__, ZeroDivisionError)
    assert answers.keys == ["one", "two"]


async def test_a_provider_that_refuses_without_end(kind, over, make, waiting_moves_the_clock):
    """Attempts are bounded, however soon it says that one may come back."""
    answers, _, client = over(lambda name: make.error(retry_after="1"), "one", "two")
    with pytest.raises(openai.RateLimitError):
        await kind.chat(client)
    assert 2 < len(answers.keys) <= 2 * 2 + 10
