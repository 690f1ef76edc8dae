"""Many threads and tasks share one pool against a provider that counts for itself."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

from stable_openai import Key, KeyPool, Window, stable
from stable_openai.simulator import SimKey

THREADS, TASKS, KEYS = 64, 200, 20
EACH_THREAD, EACH_TASK = 5, 2
PER_SECOND = 15


@pytest.mark.stress
def test_64_threads_and_200_tasks_share_20_keys(openai_simulator):
    """No window exceeded, no request lost, each served exactly once, each lease settled once, nobody left in line."""
    secrets = [f"sk-stress-{index:030d}" for index in range(KEYS)]
    sim = openai_simulator(
        keys=[SimKey(secret, name=f"key-{index + 1}", rpm=PER_SECOND) for index, secret in enumerate(secrets)],
        minute=1.0,
        style="plain",  # names no minute, which lasts a second here
        limit_headers=False,
    )
    window = Window("requests", PER_SECOND, seconds=1.0)
    pool = KeyPool([Key(secret) for secret in secrets], windows=[window], max_wait=60, store="memory://")
    client = openai.OpenAI(api_key="-", base_url=sim.base_url, max_retries=0)
    together = threading.Barrier(THREADS + 1)

    @stable(pool=pool)
    def ask(prompt, api_key=""):
        answer = client.with_options(api_key=api_key).chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": prompt}]
        )
        return answer.choices[0].message.content

    def in_thread(number):
        together.wait()
        return [ask(f"thread {number} asks {turn}") for turn in range(EACH_THREAD)]

    async def in_tasks():
        async with openai.AsyncOpenAI(api_key="-", base_url=sim.base_url, max_retries=0) as async_client:

            @stable(pool=pool)
            async def aask(prompt, api_key=""):
                answer = await async_client.with_options(api_key=api_key).chat.completions.create(
                    model="gpt-4o", messages=[{"role": "user", "content": prompt}]
                )
                return answer.choices[0].message.content

            async def in_task(number):
                return [await aask(f"task {number} asks {turn}") for turn in range(EACH_TASK)]

            await asyncio.to_thread(together.wait)
            return await asyncio.gather(*(in_task(number) for number in range(TASKS)))

    with client, ThreadPoolExecutor(THREADS) as threads:
        running = threads.map(in_thread, range(THREADS))
        of_tasks = asyncio.run(in_tasks())
        of_threads = list(running)

    expected = [[f"You said: thread {n} asks {turn}" for turn in range(EACH_THREAD)] for n in range(THREADS)]
    assert of_threads == expected
    assert of_tasks == [[f"You said: task {n} asks {turn}" for turn in range(EACH_TASK)] for n in range(TASKS)]
    stats = sim.stats()
    for index in range(KEYS):
        assert stats.max_in_window(f"key-{index + 1}", 1.0) <= PER_SECOND
    prompts = [f"thread {n} asks {turn}" for n in range(THREADS) for turn in range(EACH_THREAD)]
    prompts += [f"task {n} asks {turn}" for n in range(TASKS) for turn in range(EACH_TASK)]
    assert {stats.served_times(prompt) for prompt in prompts} == {1}
    assert stats.total.served == len(prompts)
    rows = pool.status()
    assert sum(row.uses for row in rows) == stats.total.attempts, "each grant was one request"
    assert all(row.in_flight == 0 for row in rows), "each lease was settled"
    assert {row.standing for row in rows} <= {"open", "cooling down"}
    assert len(pool.line) == 0
