"""A function that asks for a client: which one it gets, what reaches the pool, and what is left behind."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from typing import Any

import openai
import pytest

from stable_openai import InjectionError, Key, KeyPool, ManualClock, stable
from stable_openai.simulator import SimKey

MESSAGES = [{"role": "user", "content": "What is seven times six?"}]


@pytest.fixture
def setting(openai_simulator):
    """A simulator, and a pool of its keys that sends them there."""
    pools = []

    def make(count=2, *, dead=0, options=None, **fields):
        keys = [SimKey(f"sk-lent-{n}-0123456789", name=f"k{n}", **fields) for n in range(count)]
        sim = openai_simulator(keys=keys)
        secrets = [*(f"sk-lent-dead-{n}-0123456789" for n in range(dead)), *sim.keys]
        pool = KeyPool([Key(secret, base_url=sim.base_url) for secret in secrets], **(options or {}))
        pools.append(pool)
        return sim, pool

    yield make
    for pool in pools:
        pool.close()


def answer_of(client, **more):
    return client.chat.completions.create(model="gpt-4o", messages=MESSAGES, **more)


# -- which client


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        (openai.OpenAI, openai.OpenAI),
        ("openai.OpenAI", openai.OpenAI),
        (openai.OpenAI | None, openai.OpenAI),
        (openai.Client, openai.OpenAI),
        ("openai.Client | None", openai.OpenAI),
        (Any, openai.OpenAI),
        (openai.AsyncOpenAI, openai.AsyncOpenAI),
        ("AsyncOpenAI", openai.AsyncOpenAI),
        ("openai.AsyncClient", openai.AsyncOpenAI),
    ],
)
def test_the_annotation_says_which_client(setting, annotation, kind):
    """By class, by name, in a union; where it says nothing, a sync function gets the sync one."""
    _, pool = setting()

    def ask(client=None):
        return client

    ask.__annotations__["client"] = annotation
    assert isinstance(stable(pool=pool)(ask)(), kind)


def test_an_async_function_gets_the_async_client(setting):
    """Where nothing is said."""
    _, pool = setting()

    @stable(pool=pool)
    async def ask(client):
        return client

    @stable(pool=pool)
    async def tell(client):
        yield client

    async def both():
        return [await ask(), *[item async for item in tell()]]

    assert all(isinstance(client, openai.AsyncOpenAI) for client in asyncio.run(both()))


def test_azure_clients_carry_endpoint_and_key(monkeypatch):
    """The endpoint is the key's; the version of the API is the environment's."""
    monkeypatch.setenv("OPENAI_API_VERSION", "2024-10-21")
    with KeyPool([Key("sk-azure-0123456789", base_url="https://eu.openai.azure.com/openai")]) as pool:

        @stable(pool=pool)
        def ask(*, client: openai.AzureOpenAI):
            return client

        client = ask()
        assert isinstance(client, openai.AzureOpenAI)
        assert str(client.base_url) == "https://eu.openai.azure.com/openai/"
        assert client.api_key == "sk-azure-0123456789"


def test_a_client_of_another_kind_is_the_callers_own():
    """`client: httpx.Client` beside `api_key` is not ours to fill; alone, there is nothing to fill."""

    def crawl(client: threading.Thread, api_key: str = ""):
        return client, api_key

    def fetch(client: threading.Thread):
        return client

    with KeyPool(["sk-lent-0-0123456789"]) as pool:
        assert stable(pool=pool)(crawl)("mine") == ("mine", "sk-lent-0-0123456789")
        with pytest.raises(InjectionError, match="client"):
            stable(pool=pool)(fetch)


def test_a_client_of_the_callers_wins(setting):
    """As an explicit key does: no key is taken for the call."""
    _, pool = setting()

    @stable(pool=pool)
    def ask(client: openai.OpenAI):
        return client

    own = object()
    assert ask(own) is own
    assert ask(client=own) is own
    assert [row.uses for row in pool.status()] == [0, 0]


def test_key_and_client_go_together(setting):
    """A function may ask for both: they are of one attempt."""
    _, pool = setting()

    @stable(pool=pool)
    def ask(*, api_key, client: openai.OpenAI):
        return api_key == client.api_key

    assert ask()
    assert ask()


def test_clients_are_light_and_share_nothing_that_changes(setting):
    """Two attempts have two clients over one HTTP client; what one's user does to it stays there."""
    _, pool = setting(1)

    @stable(pool=pool)
    def ask(*, client: openai.OpenAI):
        return client

    one, two = ask(), ask()
    assert one is not two
    assert one._client is two._client
    assert one.max_retries == 0
    one.api_key = "sk-changed-0123456789"
    one.close()
    assert one.is_closed()
    assert not two.is_closed()
    assert two.api_key == ask().api_key == "sk-lent-0-0123456789"
    assert answer_of(ask()).choices[0].message.content


def test_with_options_stays_with_the_attempt(setting):
    """A copy that the function makes reports to the same attempt."""
    _, pool = setting(1, rpm=50)

    @stable(pool=pool)
    def ask(*, client: openai.OpenAI):
        return answer_of(client.with_options(timeout=20)).choices[0].message.content

    assert "seven times six" in ask()
    assert pool.status()[0].lanes[0].windows[0].limit == 50


# -- what reaches the pool


def test_limits_and_usage_reach_the_pool_without_the_functions_help(setting):
    """The function returns a text alone; the headers' limit and the answer's usage are counted even so."""
    _, pool = setting(1, options={"tpm": 50_000}, rpm=50)

    @stable(pool=pool)
    def ask(*, client: openai.OpenAI):
        answer = answer_of(client)
        used.append(answer.usage.total_tokens)
        return answer.choices[0].message.content

    used = []
    ask()
    windows = {window.what: window for lane in pool.status()[0].lanes for window in lane.windows}
    assert windows["requests"].limit == 50
    assert windows["tokens"].used == used[0]


def test_several_requests_of_one_attempt_add_up(setting):
    """Their tokens are counted together."""
    _, pool = setting(1, options={"tpm": 50_000})

    @stable(pool=pool)
    def ask(*, client: openai.OpenAI):
        return sum(answer_of(client).usage.total_tokens for _ in range(3))

    used = ask()
    windows = {window.what: window for lane in pool.status()[0].lanes for window in lane.windows}
    assert windows["tokens"].used == used


def test_fails_over_like_any_function(setting):
    """Sync, async, and both kinds of generator go on with the next key."""
    sim, pool = setting(2, dead=4)

    @stable(pool=pool)
    def ask(*, client: openai.OpenAI):
        return answer_of(client).choices[0].message.content

    @stable(pool=pool)
    async def aask(*, client: openai.AsyncOpenAI):
        return (await answer_of(client)).choices[0].message.content

    @stable(pool=pool)
    def stream(*, client: openai.OpenAI):
        for chunk in answer_of(client, stream=True):
            yield chunk.choices[0].delta.content or ""

    @stable(pool=pool)
    async def astream(*, client: openai.AsyncOpenAI):
        async for chunk in await answer_of(client, stream=True):
            yield chunk.choices[0].delta.content or ""

    async def in_tasks():
        return [await aask(), "".join([piece async for piece in astream()])]

    answers = [ask(), "".join(stream()), *asyncio.run(in_tasks())]
    assert len(set(answers)) == 1
    assert sim.stats().total.served == 4
    assert [row.standing for row in pool.status()].count("retired") >= 1


# -- streams


def test_the_lease_of_a_returned_stream_lasts_until_it_is_over(setting):
    """A function may return openai's stream: the key is in use, and its tokens unknown, until the last event."""
    _, pool = setting(1, options={"tpm": 50_000})

    @stable(pool=pool)
    def ask(*, client: openai.OpenAI):
        return answer_of(client, stream=True, stream_options={"include_usage": True})

    stream = ask()
    assert pool.status()[0].in_flight == 1
    *_, last = stream
    assert pool.status()[0].in_flight == 0
    windows = {window.what: window for lane in pool.status()[0].lanes for window in lane.windows}
    assert windows["tokens"].used == last.usage.total_tokens


def test_a_returned_stream_that_is_closed_or_forgotten_gives_its_key_back(setting):
    """Neither holds a place in flight."""
    _, pool = setting(1)

    @stable(pool=pool)
    def ask(*, client: openai.OpenAI):
        return answer_of(client, stream=True)

    with ask() as stream:
        next(iter(stream))
    assert pool.status()[0].in_flight == 0
    stream = ask()
    response = stream.response
    del stream
    response.close()
    assert pool.status()[0].in_flight == 0


def test_a_returned_stream_of_a_task(setting):
    """Likewise for tasks."""
    _, pool = setting(1)

    @stable(pool=pool)
    async def ask(*, client: openai.AsyncOpenAI):
        return await answer_of(client, stream=True)

    async def main():
        stream = await ask()
        during = pool.status()[0].in_flight
        chunks = [chunk async for chunk in stream]
        return during, len(chunks)

    during, chunks = asyncio.run(main())
    assert (during, pool.status()[0].in_flight) == (1, 0)
    assert chunks > 2


def test_a_returned_stream_that_breaks_is_told_to_the_pool(openai_simulator):
    """It is too late for another key, and the error is the caller's; but the key's record shows it."""
    sim = openai_simulator(keys=[SimKey("sk-lent-0-0123456789")], stream_error_rate=1.0)
    with KeyPool([Key(sim.keys[0], base_url=sim.base_url)]) as pool:

        @stable(pool=pool)
        def ask(*, client: openai.OpenAI):
            return answer_of(client, stream=True)

        with pytest.raises(openai.APIError):
            list(ask())
        row = pool.status()[0]
        assert (row.in_flight, row.failed) == (0, 1)


def test_a_stream_that_breaks_inside_the_function_fails_over(openai_simulator):
    """As long as the function runs, the failure is its own, and the next attempt may do better."""
    sim = openai_simulator(keys=[SimKey(f"sk-lent-{n}-0123456789") for n in range(2)], stream_error_rate=1.0)
    clock = ManualClock()
    clock.sleep = clock.advance
    with KeyPool([Key(secret, base_url=sim.base_url) for secret in sim.keys], clock=clock) as pool:

        @stable(pool=pool)
        def ask(*, client: openai.OpenAI):
            try:
                return [chunk.choices[0].delta.content or "" for chunk in answer_of(client, stream=True)]
            except openai.APIError:
                sim.provider.tune(stream_error_rate=0.0)
                raise

        assert "seven" in "".join(ask())
        assert [(row.in_flight, row.failed) for row in pool.status()] == [(0, 1), (0, 0)]


# -- many, and the end


def test_many_threads_over_one_pool_each_with_its_own_key(setting):
    """The client of an attempt sends the key of that attempt, and no other."""
    sim, pool = setting(8)
    start = threading.Barrier(16)

    @stable(pool=pool)
    def ask(*, key, client: openai.OpenAI):
        assert client.api_key == key.secret
        return answer_of(client).choices[0].message.content

    def work():
        start.wait()
        for _ in range(5):
            ask()

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sim.stats().total.served == 80
    assert sorted(row.uses for row in pool.status()) == sorted(tally.served for tally in sim.stats().keys.values())


def test_one_pool_in_several_event_loops(setting):
    """One after the other: each loop has its own connections, and closes them."""
    _, pool = setting(1)

    @stable(pool=pool)
    async def ask(*, client: openai.AsyncOpenAI):
        return (await answer_of(client)).choices[0].message.content

    assert len({asyncio.run(ask()) for _ in range(3)}) == 1


def test_nothing_is_left_open(setting, sockets):
    """Neither after many calls nor after `pool.close()`: no connection, no thread."""
    sim, pool = setting(4)

    @stable(pool=pool)
    def ask(*, client: openai.OpenAI):
        return answer_of(client).id

    @stable(pool=pool)
    async def aask(*, client: openai.AsyncOpenAI):
        return (await answer_of(client)).id

    async def in_tasks():
        await asyncio.gather(*[aask() for _ in range(5)])

    def used():
        gc.collect()
        return sockets(sim), threading.active_count()

    before = used()
    ask()
    asyncio.run(in_tasks())
    warm = used()
    for _ in range(100):
        ask()
    asyncio.run(in_tasks())
    assert used() == warm
    pool.close()
    assert used()[0] == before[0] == 0
    assert used()[1] <= warm[1]


def test_aclose_waits_for_the_loops_connections(setting):
    """Inside of the loop, nothing of the pool is left when it returns."""
    _, pool = setting(1)

    @stable(pool=pool)
    async def ask(*, client: openai.AsyncOpenAI):
        return (await answer_of(client)).id

    async def main():
        async with pool:
            await ask()
        return len(asyncio.all_tasks())

    assert asyncio.run(main()) == 1


def test_a_closed_pool_lends_nothing(setting):
    """It says what to do."""
    _, pool = setting(1)

    @stable(pool=pool)
    def ask(*, client: openai.OpenAI):
        return client

    pool.close()
    with pytest.raises(Exception, match="this pool is closed"):
        ask()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_opens_connections_of_its_own(setting):
    """The parent's are neither used nor closed."""
    sim, pool = setting(1)

    @stable(pool=pool)
    def ask(*, client: openai.OpenAI):
        return answer_of(client).choices[0].message.content

    ask()
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if "seven" in ask() else 1)
        except BaseException:  # noqa: BLE001  # a child must not go on with the parent's tests
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert "seven" in ask()
    assert sim.stats().total.served == 3
