"""Where keys run out: what can wait is put off and loses no turn, what can't ends the run, and nothing is lost."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading

import pytest

import stable_openai
from stable_openai import Key, KeyPool, Limits, ManualClock, NoKeyAvailable, amap, stable
from stable_openai.bulk.tasks import TaskCrew
from stable_openai.bulk.threads import ThreadCrew

PATIENCE = 20.0


class Refused(Exception):
    """A provider's error, as any library's exception carries it."""

    def __init__(self, status, code, **headers):
        super().__init__(f"HTTP {status}: {code}")
        self.status_code, self.headers = status, headers
        self.body = {"error": {"message": code, "code": code}}


def smap(fn, items, **options):
    return stable_openai.map(fn, items, **{"progress": False, **options})


def all_asleep(run, count):
    """Wait (without sleeping for a while) until so many threads of a run wait for work, or for an item's moment."""
    pause = threading.Event()
    for _ in range(20_000):
        if run._crew._idle == count:
            return
        pause.wait(0.0005)
    raise AssertionError(f"{run._crew._idle} are asleep, not {count}")


@pytest.fixture
def slow(clock):
    """One key, for a model that it may ask once a minute, and for others as often as one likes."""
    key = Key("sk-slow-aaaaaaaaaaaaaaaaaaa", limits={"big": Limits(rpm=1)})
    with KeyPool([key], clock=clock) as pool:
        yield pool


@pytest.fixture
def put_off(monkeypatch):
    """Counts those that were put off."""
    counted = threading.Semaphore(0)
    before = ThreadCrew._put_off

    def count(crew, entry, until):
        before(crew, entry, until)
        counted.release()

    monkeypatch.setattr(ThreadCrew, "_put_off", count)
    return counted


ITEMS = [("big", 0), ("big", 1), ("big", 2), *(("small", number) for number in range(3, 12))]


@pytest.mark.parametrize("start", [0.0, 1e9])
def test_an_item_without_a_key_is_put_off_and_others_go_on(start, put_off):
    """Until its key is back, by the pool's clock; items of other models are answered meanwhile, and none fails."""
    clock = ManualClock(start)
    key = Key("sk-slow-aaaaaaaaaaaaaaaaaaa", limits={"big": Limits(rpm=1)})
    with KeyPool([key], clock=clock) as pool:

        @stable(pool=pool, max_wait=0)
        def ask(item, model=None, api_key=""):
            return item

        def call(item):
            return ask(item, model=item[0])

        run = smap(call, ITEMS, pool=pool, workers=2, order="completed", max_wait=300)
        assert sorted(next(run) for _ in range(10)) == [("big", 0), *ITEMS[3:]]
        for _ in range(2):
            assert put_off.acquire(timeout=PATIENCE)
        all_asleep(run, 2)
        clock.advance(60.1)
        assert next(run)[0] == "big"
        assert put_off.acquire(timeout=PATIENCE)  # the other one: the key may ask but once a minute
        all_asleep(run, 2)
        clock.advance(60.1)
        assert next(run)[0] == "big"
        assert list(run) == []
        assert (run.report.answered, run.report.failed) == (12, {})


async def test_tasks_put_items_off_as_well(slow, clock, monkeypatch):
    """The same story for ``amap``."""
    waiting = []
    monkeypatch.setattr(TaskCrew, "_wait", lambda crew, before=TaskCrew._wait: waiting.append(crew) or before(crew))

    @stable(pool=slow, max_wait=0)
    async def ask(item, model=None, api_key=""):
        return item

    async def call(item):
        return await ask(item, model=item[0])

    run = amap(call, ITEMS, pool=slow, workers=2, order="completed", progress=False)
    assert sorted([await anext(run) for _ in range(10)]) == [("big", 0), *ITEMS[3:]]
    for _ in range(2):
        reader = asyncio.create_task(anext(run))
        while not waiting or len(run._crew._sleepers) < run._crew._working:
            await asyncio.sleep(0)
        clock.advance(60.1)
        assert (await reader)[0] == "big"
    assert [item async for item in run] == []
    assert (run.report.answered, run.report.failed) == (12, {})


def test_what_was_put_off_counts_as_in_hand(slow, clock, put_off):
    """However many items have no key: the input is read no further ahead than the buffer."""
    taken = 0

    def items():
        nonlocal taken
        for _ in range(50):
            taken += 1
            yield "big"

    @stable(pool=slow, model="big", max_wait=0)
    def ask(item, api_key):
        return item

    with smap(ask, items(), workers=3, buffer=6) as run:
        next(run)
        for _ in range(6):
            assert put_off.acquire(timeout=PATIENCE)
        assert taken == 7


def test_a_run_waits_so_long_for_keys_and_no_longer(slow, clock, tmp_path):
    """``max_wait``, counted from the last answer: a key that comes later ends the run, which says how to go on."""
    path = tmp_path / "out.jsonl"

    @stable(pool=slow, model="big", max_wait=0)
    def ask(item, api_key):
        return item

    run = smap(ask, ["a", "b"], workers=1, checkpoint=path, max_wait=30)
    assert next(run) == "a"
    with pytest.raises(NoKeyAvailable) as caught:
        next(run)
    assert caught.value.retry_after == pytest.approx(60)
    assert any("1 of 2 results are in" in note for note in caught.value.__notes__)
    assert run.report.stopped.startswith("no key is eligible for the model big, the earliest is back in 60.0 s")
    assert not path.with_name("out.failures.jsonl").exists()
    clock.advance(60)
    assert list(smap(ask, ["a", "b"], workers=1, checkpoint=path, max_wait=30)) == ["a", "b"]


async def test_a_run_of_tasks_waits_so_long_and_no_longer(slow):
    """The same story for ``amap``."""

    @stable(pool=slow, model="big", max_wait=0)
    async def ask(item, api_key):
        return item

    run = amap(ask, itertools.repeat("a"), pool=slow, max_wait=30, progress=False)
    assert await anext(run) == "a"
    with pytest.raises(NoKeyAvailable):
        await anext(run)


def test_without_any_key_left_the_run_stops_and_loses_nothing(pool, tmp_path):
    """Keys that are wrong come back by nobody's waiting: after some items in vain, the run ends with the reason.

    With good keys, the next one answers all, those that have failed as well.
    """
    path, failures = tmp_path / "out.jsonl", tmp_path / "out.failures.jsonl"
    works = True

    @stable(pool=pool)
    def ask(item, api_key):
        if not works:
            raise Refused(401, "invalid_api_key")
        return item

    run = smap(ask, range(500), workers=2, checkpoint=path, buffer=10)
    found = [next(run) for _ in range(100)]
    works = False
    with pytest.raises(NoKeyAvailable) as caught:
        while True:
            try:
                found.append(next(run))
            except NoKeyAvailable as error:
                if run._over:
                    raise
                last = error
    assert last.retry_after is None
    assert any(f"{len(found)} of 500 results are in" in note for note in caught.value.__notes__)
    assert "none is expected back" in run.report.stopped
    without_key = run.report.failed["no_key"]
    assert 20 <= without_key <= 24
    lines = [json.loads(line) for line in failures.read_text().splitlines()]
    assert {(line["reason"], line["retriable"]) for line in lines} == {("no_key", True)}
    assert len(lines) == without_key
    assert path.read_bytes().count(b"\n") == len(found)
    works = True
    pool.revive()
    run = smap(ask, range(500), workers=2, checkpoint=path)
    assert list(run) == list(range(500))
    assert run.report.resumed == len(found)
    assert not failures.exists()


async def test_without_any_key_left_a_run_of_tasks_stops(pool):
    """The same story for ``amap``."""

    @stable(pool=pool)
    async def ask(item, api_key):
        raise Refused(401, "invalid_api_key")

    run = amap(ask, itertools.count(), workers=2, errors="return", progress=False)
    found = []
    with pytest.raises(NoKeyAvailable):
        async for error in run:
            found.append(error)  # noqa: PERF401  # until it raises
    assert {type(error) for error in found} == {NoKeyAvailable}
    assert 20 <= len(found) <= 24


def test_a_few_items_without_a_key_have_failed(pool):
    """A model that no key has is the item's trouble, as long as others are answered in between."""
    pool.reload([Key("sk-bulk-aaaaaaaaaaaaaaaaaaaa", models=["small"])])

    @stable(pool=pool)
    def ask(item, model=None, api_key=""):
        return item

    def call(item):
        return ask(item, model="big" if item % 2 else "small")

    run = smap(call, range(200), workers=2, errors="return")
    found = list(run)
    assert [isinstance(value, NoKeyAvailable) for value in found] == [False, True] * 100
    assert (run.report.answered, run.report.failed) == (100, {"no_key": 100})


def test_waiting_threads_are_part_of_the_line(pool, clock):
    """An item waits in the pool's line like any call, and is served when the clock says so: nothing polls."""
    pool.reload([Key("sk-bulk-aaaaaaaaaaaaaaaaaaaa", limits={"big": Limits(rpm=2)})])

    @stable(pool=pool, model="big", max_wait=100)
    def ask(item, api_key):
        return item

    run = smap(ask, range(4), workers=4)
    assert [next(run), next(run)] == [0, 1]
    pause = threading.Event()
    for _ in range(20_000):
        if len(pool.line) == 2:
            break
        pause.wait(0.0005)
    clock.advance(60)
    assert list(run) == [2, 3]


class RingingClock(ManualClock):
    """Tells when a run has set an alarm."""

    def __init__(self):
        super().__init__()
        self.set = threading.Semaphore(0)

    def call_at(self, when, callback):
        alarm = super().call_at(when, callback)
        if "Crew." in callback.__qualname__:
            self.set.release()
        return alarm


class OnceWithoutKey:
    """Has no key for an item the first time, and for so long."""

    def __init__(self):
        self.calls = []
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self, item):
        self.calls.append(item)
        if self.calls.count(item) == 1:
            assert self.go_on.wait(PATIENCE)
            raise NoKeyAvailable("none", retry_after=60.0)
        return item


def test_who_waits_for_the_moment_is_woken_by_it():
    """All are asleep then, and nothing else happens."""
    clock, fn = RingingClock(), OnceWithoutKey()
    with KeyPool(["sk-ring-aaaaaaaaaaaaaaaaaaa"], clock=clock) as pool:
        run = smap(fn, range(3), pool=pool, workers=3)
        reader = threading.Thread(target=run.run)
        reader.start()
        assert clock.set.acquire(timeout=PATIENCE)
        all_asleep(run, 3)
        clock.advance(60.1)
        reader.join(PATIENCE)
        assert (run.report.answered, sorted(fn.calls)) == (3, [0, 0, 1, 1, 2, 2])


def test_an_earlier_moment_comes_first():
    """An alarm that was set for later does not keep what is due before."""
    clock, go_on = RingingClock(), threading.Event()
    calls = []

    def fn(item):
        calls.append(item)
        if calls.count(item) > 1:
            return item
        if item == 1:
            assert go_on.wait(PATIENCE)
        raise NoKeyAvailable("none", retry_after=10.0 if item else 100.0)

    with KeyPool(["sk-ring-aaaaaaaaaaaaaaaaaaa"], clock=clock) as pool:
        run = smap(fn, range(2), pool=pool, workers=2, buffer=2, order="completed")
        found = []
        reader = threading.Thread(target=lambda: found.append(next(run)))
        reader.start()
        assert clock.set.acquire(timeout=PATIENCE)  # for the later one
        go_on.set()
        assert clock.set.acquire(timeout=PATIENCE)
        clock.advance(10.1)
        reader.join(PATIENCE)
        assert found == [1]
        assert clock.set.acquire(timeout=PATIENCE)
        clock.advance(100)
        assert list(run) == [0]


@pytest.mark.parametrize("kind", ["threads", "tasks"])
def test_whoever_is_left_wakes_for_what_another_has_put_off(kind):
    """One puts an item off, and leaves since there are too many: the other one, asleep till then, sees to it."""
    clock, fn = RingingClock(), OnceWithoutKey()
    with KeyPool(["sk-ring-aaaaaaaaaaaaaaaaaaa"], clock=clock) as pool:
        if kind == "threads":
            fn.go_on.clear()
            run = smap(fn, range(1), pool=pool, workers=2, buffer=1)
            reader = threading.Thread(target=run.run)
            reader.start()
            all_asleep(run, 1)
            run._governor.target = 1
            fn.go_on.set()
            assert clock.set.acquire(timeout=PATIENCE)
            clock.advance(60.1)
            reader.join(PATIENCE)
            assert run.report.answered == 1
            return

        async def main():
            inside, go_on = asyncio.Event(), asyncio.Event()

            async def afn(item):
                inside.set()
                await go_on.wait()
                return fn(item)

            run = amap(afn, range(1), pool=pool, workers=2, buffer=1, progress=False)
            reader = asyncio.create_task(run.run())
            await inside.wait()
            while not run._crew._sleepers:
                await asyncio.sleep(0)
            run._governor.target = 1
            go_on.set()
            while not clock.set.acquire(blocking=False):
                await asyncio.sleep(0)
            clock.advance(60.1)
            assert (await reader).answered == 1

        asyncio.run(main())
