"""Many threads and tasks over one client: each request carries the key that was granted for it."""

from __future__ import annotations

import asyncio
import sys
import threading

import pytest

from stable_openai import Key, KeyPool
from stable_openai.simulator import SimKey

THREADS, EACH, KEYS = 32, 5, 8


@pytest.fixture
def switching():
    """The interpreter changes threads each 10 µs."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def crowd(openai_simulator, make):
    """A provider whose keys allow exactly as many requests a minute as will come, two dead keys, and the pool of them."""
    per_key = THREADS * EACH // KEYS
    told = [SimKey(make.secret(f"k{n}"), name=f"k{n}", rpm=per_key) for n in range(KEYS)]
    told += [SimKey(make.secret(f"dead{n}"), name=f"dead{n}", state="dead") for n in range(2)]
    sim = openai_simulator(told, limit_headers=False)
    pool = KeyPool([Key(key.secret, name=key.name) for key in told], rpm=per_key, max_wait=30)
    return sim, pool, per_key


def check(sim, pool, per_key, answers):
    """The provider is the witness: no limit met, and its counts are the pool's."""
    assert sorted(answers) == sorted(f"You said: {n}" for n in range(THREADS * EACH))
    stats, rows = sim.stats(), {row.name: row for row in pool.status()}
    assert stats.total.rate_limited == 0
    assert stats.total.served == THREADS * EACH
    for n in range(KEYS):
        assert stats.keys[f"k{n}"].attempts == rows[f"k{n}"].uses == per_key
    for n in range(2):
        assert stats.keys[f"dead{n}"].attempts == rows[f"dead{n}"].uses
        assert rows[f"dead{n}"].standing == "retired"
    assert not any(row.in_flight for row in rows.values())


@pytest.mark.parametrize("kind", ["sync"], indirect=True)
def test_threads(kind, crowd, switching):
    """32 threads, some of them with streams and copies; what each thread sends is what was granted in it."""
    sim, pool, per_key = crowd
    here, wrong, answers, failures = threading.local(), [], [], []
    obtain = pool.obtain

    def obtain_here(*args):
        here.granted = obtain(*args)
        return here.granted

    def hook(request):
        if request.headers["authorization"] != f"Bearer {here.granted.key.secret!s}":
            wrong.append(here.granted.name)

    pool.obtain = obtain_here
    client = kind.client(pool=pool, base_url=sim.base_url, http_client=kind.http(event_hooks={"request": [hook]}))

    def work(number):
        try:
            for place in range(EACH):
                prompt = f"{number * EACH + place}"
                own = client.with_options(timeout=30) if place % 3 == 0 else client
                made = own.chat.completions.create(**kind.request(prompt), stream=place % 2 == 0)
                if place % 2:
                    answers.append(made.choices[0].message.content)
                else:
                    answers.append("".join(chunk.choices[0].delta.content or "" for chunk in made))
        except BaseException as error:  # noqa: BLE001  # the test looks at it
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)
    assert failures == []
    assert wrong == []
    check(sim, pool, per_key, answers)


@pytest.mark.parametrize("kind", ["async"], indirect=True)
async def test_tasks(kind, crowd):
    """As many tasks in one loop."""
    sim, pool, per_key = crowd
    client = kind.client(pool=pool, base_url=sim.base_url)

    async def work(number):
        return [await kind.chat(client, f"{number * EACH + place}") for place in range(EACH)]

    answers = await asyncio.gather(*(work(number) for number in range(THREADS)))
    check(sim, pool, per_key, [answer for own in answers for answer in own])


@pytest.mark.parametrize("kind", ["sync"], indirect=True)
def test_a_request_within_a_request(kind, over, make):
    """A hook that asks through another client, or through a copy of this one: each has its own key."""
    answers, pool, client = over(lambda name: make.completion(), "one", "two")
    inner = kind.client(api_key=make.secret("inner"), answers=answers)
    asked = []

    def hook(request):
        if not asked:
            asked.append(request)
            inner.chat.completions.create(**kind.request())
            client.with_options(timeout=5).chat.completions.create(**kind.request())

    client._client.event_hooks = {"request": [hook]}
    client.chat.completions.create(**kind.request())
    assert sorted(answers.keys) == ["inner", "one", "two"]
    assert [row.uses for row in pool.status()] == [1, 1]
