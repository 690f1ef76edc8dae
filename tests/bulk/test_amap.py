"""``amap``: the story of ``map``, told to tasks."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import functools
import gc
import itertools
import threading
import weakref

import pytest

import stable_openai
from stable_openai import ConfigurationError, KeyManager, KeyPool, stable
from stable_openai.bulk import tasks
from stable_openai.bulk.governor import Governor

PATIENCE = 20.0


class Trouble(Exception):
    """What functions raise here."""


def amap(fn, items, **options):
    return stable_openai.amap(fn, items, **{"progress": False, **options})


async def double(item):
    return item * 2


async def values_of(run):
    return [value async for value in run]


async def until(true):
    """Give others their turn until something holds."""
    while not true():
        await asyncio.sleep(0)


class Doors:
    """``doors(item)`` waits until ``doors.open(item)``, and returns ten times the item."""

    def __init__(self):
        self._doors = {}
        self._all = False
        self.entered = []
        self.cancelled = []

    async def __call__(self, item):
        self.entered.append(item)
        try:
            if not self._all:
                await self._doors.setdefault(item, asyncio.Event()).wait()
        except asyncio.CancelledError:
            self.cancelled.append(item)
            raise
        return item * 10

    async def wait_for(self, count):
        await until(lambda: len(self.entered) >= count)

    def open(self, *items):
        for item in items:
            self._doors.setdefault(item, asyncio.Event()).set()

    def open_all(self):
        self._all = True
        self.open(*self._doors)


@pytest.fixture
def doors():
    return Doors()


@pytest.fixture(autouse=True)
async def _no_task_is_left():
    yield
    if len(asyncio.all_tasks()) > 1:
        gc.collect()
    await until(lambda: len(asyncio.all_tasks()) == 1)


# -- what comes of it


@pytest.mark.parametrize("workers", [1, 2, 3, 16, "auto"])
async def test_values_in_the_order_of_the_input(workers):
    """Each item's value, in its place, whoever ended first; and the report counts them."""
    run = amap(double, iter(range(500)), workers=workers)
    assert await values_of(run) == [item * 2 for item in range(500)]
    assert (run.report.answered, run.report.total, run.report.stopped) == (500, 500, "")


async def test_in_the_order_of_the_input_the_first_is_waited_for(doors):
    """Those behind it that have ended are handed out after it."""
    reader = asyncio.create_task(values_of(amap(doors, range(4), workers=4)))
    await doors.wait_for(4)
    doors.open(1, 2, 3)
    await asyncio.sleep(0)
    doors.open(0)
    assert await reader == [0, 10, 20, 30]


async def test_as_completed(doors):
    """With ``order="completed"``, who ends first comes first."""
    run = amap(doors, range(4), workers=4, order="completed")
    doors.open(2)
    assert await anext(run) == 20
    doors.open(0)
    assert await anext(run) == 0
    doors.open_all()
    assert sorted(await values_of(run)) == [10, 30]


async def test_no_items():
    """Nothing comes of nothing, and no error."""
    assert await values_of(amap(double, [])) == []
    assert (await amap(double, iter(())).run()).total == 0


async def test_an_asynchronous_input():
    """Generators and iterators of that kind; one task at a time reads them."""
    reading = False

    async def items():
        nonlocal reading
        for item in range(100):
            assert not reading
            reading = True
            await asyncio.sleep(0)
            reading = False
            yield item

    assert await values_of(amap(double, items(), workers=5)) == [item * 2 for item in range(100)]


async def test_values_of_one_are_the_items_of_another():
    """A run is an asynchronous iterable itself."""
    found = amap(double, amap(double, range(100), buffer=5), workers=3)
    assert await values_of(found) == [item * 4 for item in range(100)]


async def test_functions_under_stable():
    """They get a key each time, and the run knows the pool; a method as well."""
    KeyManager(["sk-amap-aaaaaaaaaaaaaaaaaaa"])

    class Asker:
        @stable
        async def ask(self, prompt, api_key=""):
            return prompt, str(api_key)[-4:]

    run = amap(Asker().ask, ["a", "b"])
    assert await values_of(run) == [("a", "aaaa"), ("b", "aaaa")]
    assert [key.uses for key in run.report.keys] == [2]


async def test_whatever_can_be_awaited():
    """Coroutines, futures, objects with ``__await__``, generator-based coroutines of old."""
    import types

    @types.coroutine
    def old(item):
        yield from asyncio.sleep(0).__await__()
        return item

    class Promise:
        def __await__(self):
            yield from asyncio.sleep(0).__await__()
            return "kept"

    def future(item):
        made = asyncio.get_running_loop().create_future()
        made.set_result(item)
        return made

    assert await values_of(amap(functools.partial(double), [1])) == [2]
    assert await values_of(amap(old, [1])) == [1]
    assert await values_of(amap(lambda _: Promise(), [1])) == ["kept"]
    assert await values_of(amap(future, [1])) == [1]


async def test_a_function_that_is_not_awaited_is_sent_to_map():
    """At its first item, not at each of them: the calls would have been made in vain."""
    calls = []
    run = amap(lambda item: calls.append(item), range(100), workers=1)
    with pytest.raises(ConfigurationError, match="can't be awaited: use map"):
        await anext(run)
    assert len(calls) == 1


# -- errors


async def fails_at_3(item):
    if item == 3:
        raise Trouble(item)
    return item


@pytest.mark.parametrize("order", ["input", "completed"])
async def test_errors_are_raised_in_their_place_and_the_next_call_goes_on(order):
    """With ``errors="raise"``."""
    run = amap(fails_at_3, range(6), workers=1, order=order)
    assert [await anext(run) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(Trouble):
        await anext(run)
    assert await values_of(run) == [4, 5]


async def test_errors_as_values_and_as_results():
    """With ``errors="return"`` they stand among the values; ``results()`` tells of both."""
    found = await values_of(amap(fails_at_3, range(6), errors="return"))
    assert [type(one) for one in found] == [int, int, int, Trouble, int, int]
    found = [one async for one in amap(fails_at_3, range(2, 5)).results()]
    assert [(one.index, one.item, one.value, one.reason) for one in found] == [
        (0, 2, 2, ""),
        (1, 3, None, "Trouble"),
        (2, 4, 4, ""),
    ]


async def test_an_error_that_looks_like_the_end_is_none():
    """A function that raises ``StopAsyncIteration`` must not end the loop over its values."""

    async def fn(item):
        if item == 1:
            raise StopAsyncIteration
        return item

    run = amap(fn, range(3))
    assert await anext(run) == 0
    with pytest.raises(RuntimeError, match="StopAsyncIteration"):
        await anext(run)
    assert await values_of(run) == [2]


async def test_a_call_that_was_cancelled_from_within_has_failed():
    """The item is not lost, nobody else is cancelled by that, and the others go on."""

    async def fn(item):
        if item == 1:
            raise asyncio.CancelledError
        if item == 2:
            inner = asyncio.create_task(asyncio.Event().wait())
            asyncio.get_running_loop().call_soon(inner.cancel)
            await inner
        return item

    found = await values_of(amap(fn, range(5), errors="return"))
    assert [type(one) for one in found] == [
        int,
        concurrent.futures.CancelledError,
        concurrent.futures.CancelledError,
        int,
        int,
    ]
    assert isinstance(found[1].__cause__, asyncio.CancelledError)


async def test_a_task_that_somebody_cancels_ends_the_run(doors):
    """Its item would be lost otherwise: whoever iterates is told."""
    reader = asyncio.create_task(values_of(amap(doors, range(5), workers=2)))
    await doors.wait_for(2)
    (victim, *_) = [task for task in asyncio.all_tasks() if "_labour" in repr(task.get_coro())]
    victim.cancel()
    with pytest.raises(RuntimeError, match="somebody has cancelled"):
        await reader
    assert sorted(doors.cancelled) == [0, 1]


async def test_a_run_that_an_error_ends_begins_nothing_more(tmp_path):
    """Not even where somebody finds that more could be at work: calls under way are over, and then it is told."""
    entered, stubborn, let_go = [], asyncio.Event(), asyncio.Event()

    async def fn(item):
        entered.append(item)
        if item == 0:
            await until(lambda: len(entered) == 2)
            return object()  # which can't be kept
        try:
            await asyncio.Event().wait()
        finally:
            stubborn.set()
            await let_go.wait()

    run = amap(fn, itertools.count(), workers=2, checkpoint=tmp_path / "out.jsonl", id=str)
    reader = asyncio.create_task(values_of(run))
    await stubborn.wait()
    run._crew.adapt(5)
    for _ in range(5):
        await asyncio.sleep(0)
    assert entered == [0, 1]
    let_go.set()
    with pytest.raises(ConfigurationError, match="can't be kept"):
        await reader


async def test_a_loop_that_an_error_has_left_stops_the_run():
    """Nobody holds it then: no more items are begun, though the error is still at hand."""

    async def fn(item):
        raise Trouble

    gc.disable()
    try:
        run = amap(fn, itertools.count(), workers=1, buffer=5)
        dropped = weakref.ref(run)
        with pytest.raises(Trouble) as caught:
            await anext(run)
        del run
        assert dropped() is None
        assert caught.value is not None
    finally:
        gc.enable()


@pytest.mark.parametrize("kind", ["plain", "asynchronous"])
async def test_an_input_that_fails_half_way(kind):
    """All before it is done and handed out, then its error is raised, now and whenever one asks again."""

    def items():
        yield from range(50)
        raise Trouble("the file is cut")

    async def aitems():
        for item in items():
            yield item

    run = amap(double, items() if kind == "plain" else aitems(), workers=4)
    assert [await anext(run) for _ in range(50)] == [item * 2 for item in range(50)]
    for _ in range(2):
        with pytest.raises(Trouble):
            await anext(run)
    assert run.report.stopped.startswith("the file is cut: 50 items were done")


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_a_function_that_ends_the_process_ends_the_loop(kind):
    """As asyncio has it: out of ``asyncio.run``, and nothing is left behind."""

    async def fn(item):
        if item == 3:
            raise kind
        await asyncio.sleep(0)
        return item

    with pytest.raises(kind):
        asyncio.run(values_of(amap(fn, itertools.count(), workers=2)))


# -- laziness


@pytest.mark.parametrize("order", ["input", "completed"])
async def test_the_input_is_read_no_further_ahead_than_the_buffer(order):
    """Never more than so many are in hand, and as many as that while nobody takes any."""
    buffer, taken, handed, most = 7, 0, 0, 0

    def items():
        nonlocal taken, most
        for item in itertools.count():
            taken += 1
            most = max(most, taken - handed)
            yield item

    async with amap(double, items(), workers=3, buffer=buffer, order=order) as run:
        for _ in range(100):
            await anext(run)
            handed += 1
            await until(lambda: taken == handed + buffer)  # noqa: B023  # at once
    assert most == buffer


async def test_nothing_begins_before_it_is_asked_for():
    """Neither the input is read nor a task begun."""
    taken = []
    run = amap(double, (taken.append(item) for item in range(3)))
    await asyncio.sleep(0)
    assert (taken, len(asyncio.all_tasks())) == ([], 1)
    del run


async def test_others_in_the_loop_have_their_turn(monkeypatch):
    """Functions that wait for nothing do not keep the loop for themselves: after some time, others come in between."""
    monkeypatch.setattr(tasks, "_TURN_S", 0.0)
    turns = 0

    async def other():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await values_of(amap(double, range(2000), workers=4))
    task.cancel()
    assert turns >= 500


# -- how many work


async def test_so_many_work_at_once_and_no_more(doors):
    """``workers=3``: three are inside, and a fourth comes when one has left."""
    reader = asyncio.create_task(values_of(amap(doors, range(5), workers=3)))
    await doors.wait_for(3)
    for _ in range(20):
        await asyncio.sleep(0)
    assert doors.entered == [0, 1, 2]
    doors.open(1)
    await doors.wait_for(4)
    doors.open_all()
    assert await reader == [0, 10, 20, 30, 40]


async def test_auto_begins_more_where_all_are_busy(doors):
    """Calls that take long, and keys without limits: there are soon as many as these can bear, in the same context."""
    request = contextvars.ContextVar("request")
    request.set("r-1")

    async def fn(item):
        return await doors(item), request.get()

    keys = [f"sk-auto-{letter * 20}" for letter in "abcde"]
    with KeyPool(keys, minute=0.5) as quick:  # looked at 120 times as often
        reader = asyncio.create_task(values_of(amap(fn, range(60), pool=quick)))
        await doors.wait_for(40)
        doors.open_all()
        assert {name for _, name in await reader} == {"r-1"}


async def test_auto_lets_those_go_who_are_too_many(doors, monkeypatch):
    """Where there are to be fewer, the others leave after what they are at."""
    monkeypatch.setattr(Governor, "tick", lambda self, *args, **kwargs: self.target)
    run = amap(doors, range(100))
    reader = asyncio.create_task(run.run())
    await doors.wait_for(8)
    run._governor.target = 2
    run._crew.adapt(2)
    doors.open(*range(8))
    await until(lambda: len(run._crew._tasks) == 2)
    assert len(doors.entered) == 10
    run._governor.target = 5
    run._crew.adapt(5)
    await doors.wait_for(13)
    doors.open_all()
    assert (await reader).answered == 100


# -- endings


async def test_leaving_the_loop_ends_the_run(tmp_path):
    """``break``: the run is forgotten, so it ends, and the checkpoint is free for another one at once."""
    path = tmp_path / "out.jsonl"
    async for item in amap(double, itertools.count(), checkpoint=path, workers=2, buffer=10):
        if item == 40:
            break
    run = amap(double, range(30), checkpoint=path)
    assert await values_of(run) == [item * 2 for item in range(30)]
    assert run.report.resumed >= 21


async def test_async_with_stops_it(doors):
    """Calls under way are cancelled, and have ended when the block has."""
    async with amap(doors, itertools.count(), workers=3) as run:
        doors.open(0)
        assert await anext(run) == 0
        await doors.wait_for(4)
    assert sorted(doors.cancelled) == [1, 2, 3]
    assert await values_of(run) == []
    assert run.report.stopped.startswith("nobody wanted any more: 1 item")


async def test_an_error_within_the_block_is_told_how_to_go_on(tmp_path):
    """The user's own exception passes, with a note of what is kept."""
    with pytest.raises(Trouble) as caught:
        async with amap(double, range(50), checkpoint=tmp_path / "out.jsonl") as run:
            await anext(run)
            raise Trouble
    assert "the same call again goes on from there" in caught.value.__notes__[0]


async def test_close_twice_and_never_begun():
    """Both do nothing."""
    run = amap(double, range(3))
    await run.aclose()
    await run.aclose()
    assert await values_of(run) == []


async def test_close_by_another_task_wakes_who_iterates(doors):
    """It sees the end."""
    run = amap(doors, range(3), workers=1)
    reader = asyncio.create_task(values_of(run))
    await doors.wait_for(1)
    await run.aclose()
    assert await reader == []
    assert doors.cancelled == [0]


async def test_close_from_within_an_item():
    """The call that asks for it is cancelled like the others; nobody waits for himself."""

    async def fn(item):
        if item == 3:
            await run.aclose()
        return item

    run = amap(fn, itertools.count(), workers=2, order="completed")
    found = await values_of(run)
    assert 3 not in found


@pytest.mark.parametrize("checkpoint", [False, True])
async def test_who_iterates_is_cancelled(doors, tmp_path, checkpoint):
    """The run ends with him: calls are cancelled, what had ended is kept, and the cancellation says how to go on."""
    path = tmp_path / "out.jsonl" if checkpoint else None
    run = amap(doors, range(50), workers=3, checkpoint=path)
    doors.open(0)
    reader = asyncio.create_task(values_of(run))
    await doors.wait_for(4)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert sorted(doors.cancelled) == [1, 2, 3]
    assert run.report.stopped.startswith("interrupted: 1 of 50")
    if checkpoint:
        assert path.read_bytes().count(b"\n") == 1
        assert list(stable_openai.map(int, [], checkpoint=path)) == []  # it is free


async def test_cancelled_again_while_it_ends(tmp_path):
    """Who can't wait for the end is not kept, and it comes all the same: the checkpoint is free then."""
    path = tmp_path / "out.jsonl"
    stubborn, let_go = asyncio.Event(), asyncio.Event()

    async def fn(item):
        try:
            await asyncio.Event().wait()
        finally:
            stubborn.set()
            await let_go.wait()

    run = amap(fn, range(3), workers=1, checkpoint=path)
    reader = asyncio.create_task(values_of(run))
    await until(lambda: run._crew is not None and run._crew._tasks)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    reader.cancel()
    await stubborn.wait()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert not run._ending.done()
    let_go.set()
    await run._ending
    assert list(stable_openai.map(int, [], checkpoint=path)) == []


@pytest.mark.skipif(not hasattr(asyncio, "timeout"), reason="from Python 3.11 on")
async def test_a_timeout_around_the_loop(doors):
    """``asyncio.timeout`` ends the run, and is the error that comes out."""

    async def run_out(limit):
        await doors.wait_for(2)
        limit.reschedule(0)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(None) as limit:
            clock = asyncio.create_task(run_out(limit))
            await values_of(amap(doors, itertools.count(), workers=2))
    await clock
    assert sorted(doors.cancelled) == sorted(doors.entered)


def test_a_loop_that_is_closed_half_way(tmp_path):
    """``asyncio.run`` ends while a run goes on that somebody still holds: its tasks are cancelled, its files free."""
    path = tmp_path / "out.jsonl"
    kept = []

    async def main():
        doors = Doors()
        doors.open(0)
        run = amap(doors, range(50), workers=2, checkpoint=path)
        kept.append(run)
        assert await anext(run) == 0

    asyncio.run(main())
    kept.clear()
    gc.collect()
    assert list(stable_openai.map(int, [], checkpoint=path)) == []
    assert path.read_bytes().count(b"\n") == 1


def test_a_loop_that_is_closed_with_tasks_in_it(tmp_path):
    """Nobody has cancelled them: the run's threads and files are let go of even so."""
    path = tmp_path / "out.jsonl"
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # it complains of tasks that it destroys
    doors = Doors()

    async def main():
        doors.open(0)
        run = amap(doors, range(50), workers=2, checkpoint=path)
        assert await anext(run) == 0
        return run

    run = loop.run_until_complete(main())
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task._log_destroy_pending = False
    loop.close()
    del run
    gc.collect()
    assert list(stable_openai.map(int, [], checkpoint=path)) == []
    assert path.read_bytes().count(b"\n") == 1


def test_in_one_loop_after_another():
    """Nothing of a run is bound to the loop of an earlier one; it is made outside of any."""
    for _ in range(3):
        assert asyncio.run(values_of(amap(double, range(10)))) == [item * 2 for item in range(10)]


async def test_many_runs_at_once():
    """Side by side in one loop, over one pool."""
    with KeyPool(["sk-many-aaaaaaaaaaaaaaaaaaa"]) as pool:

        @stable(pool=pool)
        async def ask(item, api_key):
            await asyncio.sleep(0)
            return item

        runs = [values_of(amap(ask, range(50), workers=4)) for _ in range(10)]
        assert await asyncio.gather(*runs) == [list(range(50))] * 10


async def test_a_run_in_a_run():
    """The inner ones end within the outer ones' items, and are cancelled with them."""
    doors = Doors()

    async def outer(item):
        return await values_of(amap(doors, range(3), workers=1))

    run = amap(outer, range(2), workers=1)
    doors.open(0)
    with contextlib.suppress(asyncio.CancelledError):
        reader = asyncio.create_task(values_of(run))
        await doors.wait_for(2)
        reader.cancel()
        await reader
    assert doors.cancelled == [1]


async def test_the_machine_allows_no_threads(monkeypatch, tmp_path):
    """Without one that looks and one that writes there is no run; nothing hangs, and nothing is locked."""

    def start(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        for path in (None, tmp_path / "out.jsonl"):
            with pytest.raises(RuntimeError, match="can't start"):
                await anext(amap(double, range(3), checkpoint=path))
    assert await values_of(amap(double, range(3), checkpoint=tmp_path / "out.jsonl")) == [0, 2, 4]
