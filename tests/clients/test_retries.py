"""``max_retries`` counts the provider's own trouble alone; a timeout is such; no key is blamed for either."""

from __future__ import annotations

import openai
import pytest

from stable_openai import Reason, Verdict


@pytest.mark.parametrize("retries", [0, 1, 4])
@pytest.mark.parametrize("outage", ["500", "503", "reset"])
async def test_exactly_so_many_attempts(kind, setting, retries, outage):
    """One, and the retries; under another key each time, where there is one."""
    its = setting("one", "two", "three", options={"max_retries": retries})
    its.sim.provider.outage(outage)
    with pytest.raises(openai.APIError) as caught:
        await kind.chat(its.client)
    assert its.arrivals == ["one", "two", "three", "one", "two"][: retries + 1]
    assert len(caught.value.__notes__) == retries + 1
    assert [row.standing for row in its.rows] == ["open"] * 3
    its.sim.provider.recover()
    assert await kind.chat(its.client) == "You said: hello"


async def test_refusals_of_keys_are_not_counted(kind, over, make):
    """Three keys refuse and one has trouble in between: one retry is enough, and none is too few."""
    said = {
        "dead": lambda: make.error(401, "invalid_api_key"),
        "unpaid": lambda: make.error(429, "insufficient_quota"),
        "troubled": lambda: make.error(500, "server_error"),
        "limited": make.error,
        "good": make.completion,
    }
    answers, _, client = over(said, *said, max_retries=1)
    assert await kind.chat(client) == "fine"
    assert answers.keys == list(said)
    answers, _, client = over(said, *said, max_retries=0)
    with pytest.raises(openai.InternalServerError) as caught:
        await kind.chat(client)
    assert answers.keys == ["dead", "unpaid", "troubled"]
    assert len(caught.value.__notes__) == 3


async def test_retries_of_one_call(kind, over, make):
    """``with_options`` and a 500 that heals; ``x-should-retry`` and a 409 are openai's own business."""
    for status, code in ((500, "server_error"), (408, "timeout"), (409, "conflict")):
        replies = iter([make.error(status, code), make.error(status, code), make.completion()])
        answers, _pool, client = over(lambda name, replies=replies: next(replies), "one", "two", max_retries=0)
        assert await kind.chat(client.with_options(max_retries=2)) == "fine"
        assert len(answers.keys) == 3
    replies = iter([make.error(400, "odd", x_should_retry="true"), make.completion()])
    answers, _, client = over(lambda name: next(replies), "one", "two")
    assert await kind.chat(client) == "fine"
    replies = iter([make.error(500, "odd", x_should_retry="false"), make.completion()])
    answers, _, client = over(lambda name: next(replies), "one", "two")
    with pytest.raises(openai.InternalServerError):
        await kind.chat(client)


async def test_a_retry_goes_elsewhere_and_on(kind, over, make):
    """After a 500 the other key, which is out: on to the third, within the same retry."""
    answers, _, client = over(
        {"one": lambda: make.error(500, "x"), "two": make.error, "three": make.completion}, "one", "two", "three", max_retries=1
    )  # fmt: skip
    assert await kind.chat(client) == "fine"
    assert answers.keys == ["one", "two", "three"]


async def test_a_timeout(kind, over, make):
    """It is the provider's trouble: counted by ``max_retries``, raised as openai raises it, no key is blamed."""
    answers, pool, client = over(lambda name: make.HTTPX.ReadTimeout("slow"), "one", "two", max_retries=2)
    with pytest.raises(openai.APITimeoutError) as caught:
        await kind.chat(client)
    assert answers.keys == ["one", "two", "one"]
    assert [note.rpartition(": ")[2] for note in caught.value.__notes__] == ["timeout"] * 3
    assert [(row.standing, row.in_flight) for row in pool.status()] == [("open", 0)] * 2


async def test_a_timeout_of_a_real_socket(kind, setting):
    """The slow key is left for the fast one."""
    its = setting(("slow", {"latency_s": 30.0}), "fast", options={"timeout": 0.3})
    assert await kind.chat(its.client) == "You said: hello"
    assert (its.arrivals[0], its.arrivals[-1]) == ("slow", "fast")


async def test_where_nobody_listens(kind, over, make):
    """No connection: openai's own error, and the cause of it."""
    answers, pool, client = over(lambda name: make.HTTPX.ConnectError("nobody"), "one", max_retries=1)
    with pytest.raises(openai.APIConnectionError) as caught:
        await kind.chat(client)
    assert isinstance(caught.value.__cause__, make.HTTPX.ConnectError)
    assert answers.keys == ["one", "one"]
    assert pool.status()[0].in_flight == 0


async def test_a_fault_in_the_transport_is_no_keys_matter(kind, over, make):
    """What is not the provider's goes where openai takes it, and the place in flight is given back."""
    answers, pool, client = over(lambda name: ZeroDivisionError(), "one", "two", max_retries=0)
    with pytest.raises((ZeroDivisionError, openai.APIConnectionError)):
        await kind.chat(client)
    assert answers.keys == ["one"]
    assert [(row.failed, row.in_flight) for row in pool.status()] == [(0, 0)] * 2


async def test_rules_of_the_pool_are_asked(kind, over, make):
    """A user's own verdict on a 400 sends the request on."""

    def rule(answer):
        return Verdict(Reason.QUOTA_EXHAUSTED, retry_elsewhere=True) if "no credit" in str(answer.body) else None

    answers, _, client = over(
        {"one": lambda: make.error(400, "x", message="no credit left"), "two": make.completion},
        "one", "two", told={"rules": [rule]},
    )  # fmt: skip
    assert await kind.chat(client) == "fine"
    assert answers.keys == ["one", "two"]


async def test_no_retries_where_they_are_wrongly_told(kind, over, make):
    """openai's own check of ``max_retries`` speaks."""
    _, pool, client = over({"one": make.completion}, "one")
    with pytest.raises((TypeError, ValueError)):
        await kind.chat(client.with_options(max_retries=None))
    assert pool.status()[0].uses == 0
