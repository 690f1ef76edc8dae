"""What answers tell reaches the pool without any work of the user's: limits, owners, the use of tokens."""

from __future__ import annotations

import openai
import pytest


def windows(row):
    return {(window.what, window.per): window for lane in row.lanes for window in lane.windows}


async def test_limits_and_owners_of_successes(kind, setting):
    """The headers of plain answers, of streams, and of refusals."""
    its = setting(("one", {"rpm": 50, "tpm": 9000}), ("two", {"rpm": 70}))
    await kind.chat(its.client)
    for _ in range(2):  # a key whose owner has just been found may be asked once more
        await kind.listed(its.client.chat.completions.create(**kind.request(), stream=True))
    one, two = its.rows
    assert (one.owner, two.owner) == ("org-one", "org-two")
    assert (windows(one)["requests", "minute"].limit, windows(two)["requests", "minute"].limit) == (50, 70)
    assert windows(one)["tokens", "minute"].limit == 9000
    assert windows(one)["requests", "minute"].learned
    assert (one.uses + two.uses, one.failed, two.failed) == (3, 0, 0)


async def test_keys_of_one_owner_share_what_was_learnt(kind, openai_simulator, clock):
    """One 429 of an organisation, and its other key is not asked in vain."""
    from stable_openai import KeyPool
    from stable_openai.simulator import SimKey, SimOwner

    keys = [SimKey(f"sk-learning-{name}-0123456789", name=name, owner=owner) for name, owner in ("aX", "bX", "cY")]
    sim = openai_simulator(keys, [SimOwner("X", rpm=1), SimOwner("Y")], limit_headers=False)
    client = kind.client(pool=KeyPool([key.secret for key in keys], clock=clock), base_url=sim.base_url)
    for _ in range(6):
        await kind.chat(client)
    arrivals = [(arrival.key, arrival.accepted) for arrival in sim.stats().arrivals]
    assert sum(not accepted for _, accepted in arrivals) == 1
    assert {row.owner for row in client.pool.status()} == {"org-X", "org-Y"}


async def test_what_the_client_was_not_told_it_learns(kind, setting):
    """After a few answers no limit of the provider's is met any more: the pool counts as it does."""
    its = setting(("one", {"rpm": 3}), ("two", {"rpm": 4}), options={"max_wait": 0})
    answered = 0
    with pytest.raises(openai.OpenAIError):
        for _ in range(20):
            await kind.chat(its.client)
            answered += 1
    assert answered == 7
    assert its.sim.stats().total.rate_limited == 0
    assert [row.uses for row in its.rows] == [3, 4]


async def test_tokens(kind, setting):
    """What was reserved by estimate is corrected by ``usage``; with no limit of tokens nothing is estimated."""
    its = setting("one", told={"tpm": 500}, options={"max_wait": 0})
    await kind.chat(its.client, max_tokens=400)
    spent = its.sim.stats().total.tokens
    assert windows(its.row("one"))["tokens", "minute"].used == spent < 50
    from stable_openai import NoKeyAvailable

    await kind.chat(its.client, max_tokens=400)
    with pytest.raises(NoKeyAvailable):
        await kind.chat(its.client, max_tokens=485)


async def test_conversations_of_one_model_do_not_rest_another(kind, over, make):
    """A limit that names the model rests that alone: the request's ``model`` is known to the pool."""
    answers, _pool, client = over(lambda name: next(replies), "one", max_wait=0)
    replies = iter([make.error(retry_after="50"), make.completion()])
    with pytest.raises(openai.RateLimitError):
        await kind.chat(client, model="large")
    assert await kind.chat(client, model="small") == "fine"
    with pytest.raises(openai.OpenAIError):
        await kind.chat(client, model="large")
    assert len(answers.keys) == 2
