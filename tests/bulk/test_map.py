"""``map``: order, errors, laziness, endings; with threads."""

from __future__ import annotations

import contextvars
import functools
import gc
import itertools
import threading
import weakref

import pytest

import stable_openai
from stable_openai import ConfigurationError, KeyManager, KeyPool, Result, Run, amap, stable
from stable_openai.bulk import runs
from stable_openai.bulk.governor import Governor
from stable_openai.bulk.threads import ThreadCrew

PATIENCE = 20.0


class Trouble(Exception):
    """What functions raise here."""


def smap(fn, items, **options):
    return stable_openai.map(fn, items, **{"progress": False, **options})


def threads_of_runs():
    return [thread for thread in threading.enumerate() if thread.name.startswith("stable_openai bulk")]


# -- what comes of it


@pytest.mark.parametrize("workers", [1, 2, 3, 16, "auto"])
def test_values_in_the_order_of_the_input(workers):
    """Each item's value, in its place, whoever ended first; and the report counts them."""
    run = smap(lambda item: item * 2, iter(range(500)), workers=workers)
    assert list(run) == [item * 2 for item in range(500)]
    assert (run.report.answered, run.report.total, run.report.stopped) == (500, 500, "")


def test_in_the_order_of_the_input_the_first_is_waited_for(doors):
    """Those behind it that have ended are handed out after it."""
    run = smap(doors, range(4), workers=4)
    begun = threading.Thread(target=lambda: (doors.wait_for(4), doors.open(1, 2, 3), doors.open(0)))
    begun.start()
    assert list(run) == [0, 10, 20, 30]
    begun.join()


def test_as_completed(doors):
    """With ``order="completed"``, who ends first comes first."""
    run = smap(doors, range(4), workers=4, order="completed")
    doors.open(2)
    assert next(run) == 20
    doors.open(0)
    assert next(run) == 0
    doors.open_all()
    assert sorted(run) == [10, 30]


def test_no_items():
    """Nothing comes of nothing, and no error."""
    assert list(smap(len, [])) == []
    assert smap(len, iter(())).run().total == 0


@pytest.mark.parametrize("make", [list, iter, lambda items: (item for item in items), dict.fromkeys, frozenset])
def test_any_iterable_will_do(make):
    """Lists, iterators, generators, dicts, sets."""
    assert sorted(smap(str, make(range(20)))) == sorted(map(str, range(20)))


def test_old_style_sequences():
    """What has ``__getitem__`` alone can be iterated, too."""

    class Old:
        def __getitem__(self, index):
            if index == 3:
                raise IndexError
            return index

    assert list(smap(str, Old())) == ["0", "1", "2"]


def test_items_are_handed_over_as_they_are():
    """Unhashable, odd, equal to everything, or None: nothing is asked of an item."""

    class Odd:
        __hash__ = None

        def __eq__(self, other):
            raise Trouble

        def __bool__(self):
            raise Trouble

    items = [Odd(), None, [], {"a": []}, float("nan"), NotImplemented, ..., Odd]
    found = list(smap(lambda item: item, items))
    assert [one is other for one, other in zip(found, items, strict=True)] == [True] * len(items)


def test_values_may_be_anything():
    """None, an exception that is returned rather than raised, the markers of the library's own files."""
    values = [None, Trouble(), ..., 0, (), StopIteration()]
    assert list(smap(lambda index: values[index], range(len(values)))) == values


# -- kinds of functions


def test_functions_under_stable():
    """They get a key each time, and the run knows the pool."""
    KeyManager(["sk-map-aaaaaaaaaaaaaaaaaaaa"])

    @stable
    def ask(prompt, api_key):
        return prompt, str(api_key)[-4:]

    run = smap(ask, ["a", "b"])
    assert list(run) == [("a", "aaaa"), ("b", "aaaa")]
    assert [key.uses for key in run.report.keys] == [2]


def test_the_pool_is_found_before_the_first_call(monkeypatch):
    """Keys that are in the environment alone are in the report as well."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-env-aaaaaaaaaaaaaaaaaaaa")

    @stable
    def ask(prompt, api_key):
        return prompt

    run = smap(ask, ["a", "b"])
    assert run.run().keys[0].uses == 2


def test_methods_and_partials_under_stable_tell_their_pool():
    """However the function is wrapped, its keys are those of the report."""
    with KeyPool(["sk-own-aaaaaaaaaaaaaaaaaaaa"]) as own:

        class Asker:
            @stable(pool=own)
            def ask(self, prompt, style="plain", api_key=""):
                return f"{style} {prompt}"

        assert smap(Asker().ask, ["a"]).run().keys[0].uses == 1
        fancy = functools.partial(functools.partial(Asker().ask), style="fancy")
        run = smap(fancy, ["a"])
        assert list(run) == ["fancy a"]
        assert run.report.keys[0].uses == 1


def test_classes_builtins_and_callable_objects():
    """Whatever can be called."""

    class Adder:
        def __call__(self, item):
            return item + 1

    assert list(smap(Adder(), [1, 2])) == [2, 3]
    assert list(smap([1, 2, 3].index, [3, 1])) == [2, 0]
    assert list(smap(complex, [1])) == [1 + 0j]


# -- errors


def fails_at_3(item):
    if item == 3:
        raise Trouble(item)
    return item


@pytest.mark.parametrize("order", ["input", "completed"])
def test_errors_are_raised_in_their_place_and_the_next_call_goes_on(order):
    """With ``errors="raise"``."""
    run = smap(fails_at_3, range(6), workers=1, order=order)
    assert [next(run) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(Trouble):
        next(run)
    assert list(run) == [4, 5]
    assert run.report.failed == {"Trouble": 1}


def test_errors_as_values():
    """With ``errors="return"``, they stand among the values."""
    found = list(smap(fails_at_3, range(6), errors="return"))
    assert [type(one) for one in found] == [int, int, int, Trouble, int, int]


def test_results_tell_all():
    """``results()`` raises nothing: which item, which value or error, why, and how long."""
    found = list(smap(fails_at_3, iter(range(2, 5))).results())
    assert [(one.index, one.id, one.item, one.value, one.ok, one.reason) for one in found] == [
        (0, None, 2, 2, True, ""),
        (1, None, 3, None, False, "Trouble"),
        (2, None, 4, 4, True, ""),
    ]
    assert isinstance(found[0], Result)
    assert found[0].get() == 2
    assert all(one.seconds >= 0 for one in found)
    with pytest.raises(Trouble):
        found[1].get()


@pytest.mark.parametrize("kind", [StopIteration, StopAsyncIteration])
def test_an_error_that_looks_like_the_end_is_none(kind):
    """A function that raises ``StopIteration`` must not end the loop over its values."""

    def fn(item):
        if item == 1:
            raise kind
        return item

    run = smap(fn, range(3))
    assert next(run) == 0
    with pytest.raises(RuntimeError, match=kind.__name__) as caught:
        next(run)
    assert isinstance(caught.value.__cause__, kind)
    assert list(run) == [2]


def test_a_loop_that_an_error_has_left_stops_the_run(doors):
    """Nobody holds it then: no more items are begun, though the error is still at hand."""
    begun = []

    def fn(item):
        begun.append(item)
        raise Trouble

    gc.disable()
    try:
        run = smap(fn, itertools.count(), workers=1, buffer=5)
        dropped = weakref.ref(run)
        with pytest.raises(Trouble) as caught:
            next(run)
        del run
        assert dropped() is None
        assert len(begun) <= 6
        assert caught.value is not None
    finally:
        gc.enable()


def test_an_input_that_fails_half_way():
    """All before it is done and handed out, then its error is raised, now and whenever one asks again."""

    def items():
        yield from range(50)
        raise Trouble("the file is cut")

    run = smap(str, items(), workers=4)
    found = [next(run) for _ in range(50)]
    assert found == [str(item) for item in range(50)]
    for _ in range(2):
        with pytest.raises(Trouble) as caught:
            next(run)
    assert "the run was stopped: 50 items were done" in caught.value.__notes__[0]
    assert run.report.stopped.startswith("the file is cut: 50 items")


def test_an_input_that_fails_at_once():
    """There is nothing before it."""

    def items():
        raise Trouble
        yield

    with pytest.raises(Trouble):
        next(smap(str, items()))


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_a_function_that_ends_the_process_ends_the_run(kind, doors):
    """What is no ``Exception`` reaches whoever iterates; calls that were under way end, and none is begun."""

    def fn(item):
        if item == 1:
            raise kind
        return doors(item)

    run = smap(fn, itertools.count(), workers=2)
    doors.open(0)
    assert next(run) == 0
    with pytest.raises(kind):
        while True:
            doors.open_all()
            next(run)
    assert list(run) == []
    assert "items were done" in run.report.stopped


# -- laziness


@pytest.mark.parametrize("order", ["input", "completed"])
def test_the_input_is_read_no_further_ahead_than_the_buffer(order):
    """Never more than so many are in hand, and as many as that while nobody takes any."""
    buffer, taken, handed = 7, 0, 0
    full = threading.Event()
    most = 0

    def items():
        nonlocal taken, most
        for item in itertools.count():
            taken += 1
            most = max(most, taken - handed)
            if taken == handed + buffer:
                full.set()
            yield item

    with smap(str, items(), workers=3, buffer=buffer, order=order) as run:
        for _ in range(100):
            next(run)
            handed += 1
            assert full.wait(PATIENCE)
            full.clear()
    assert buffer <= most <= buffer + 1  # the one whose taking was not yet counted here


def test_nothing_begins_before_it_is_asked_for():
    """Neither the input is read nor a thread begun."""
    taken = []
    run = smap(str, (taken.append(item) for item in range(3)))
    assert (taken, threads_of_runs()) == ([], [])
    assert repr(run) == "<Run: 0 items>"
    del run


def test_a_buffer_of_one():
    """Fewer in hand than there are workers."""
    assert list(smap(str, range(30), workers=8, buffer=1)) == [str(item) for item in range(30)]


# -- how many work


def test_so_many_work_at_once_and_no_more(doors):
    """``workers=3``: three are inside, and a fourth comes when one has left."""
    run = smap(doors, range(5), workers=3)
    waiter = threading.Thread(target=run.run)
    waiter.start()
    doors.wait_for(3)
    assert sorted(doors.entered) == [0, 1, 2]
    doors.open(1)
    doors.wait_for(1)
    assert len(doors.entered) == 4
    doors.open_all()
    waiter.join(PATIENCE)
    assert run.report.answered == 5


def test_auto_begins_more_where_all_are_busy(doors):
    """Calls that take long, and keys without limits: there are soon as many as these can bear."""
    with KeyPool([f"sk-auto-{letter * 20}" for letter in "abcde"], minute=0.5) as quick:  # looked at 120 times as often
        run = smap(doors, range(60), pool=quick)
        waiter = threading.Thread(target=run.run)
        waiter.start()
        doors.wait_for(40)
        doors.open_all()
        waiter.join(PATIENCE)
        assert run.report.answered == 60


def test_auto_lets_those_go_who_are_too_many(doors, monkeypatch):
    """Where there are to be fewer, the others leave after what they are at, those that wait for work at once."""
    left = threading.Semaphore(0)
    monkeypatch.setattr(Governor, "tick", lambda self, *args, **kwargs: self.target)
    leave = ThreadCrew._leave
    monkeypatch.setattr(ThreadCrew, "_leave", lambda crew: (leave(crew), left.release()))
    run = smap(doors, range(100))
    begun = threading.Thread(target=run.run)
    begun.start()
    doors.wait_for(8)
    run._governor.target = 2
    run._crew.adapt(2)
    doors.open(*range(8))
    for _ in range(6):
        assert left.acquire(timeout=PATIENCE)
    doors.wait_for(2)
    assert len(doors.entered) == 10
    run._governor.target = 5
    run._crew.adapt(5)
    doors.wait_for(3)
    doors.open_all()
    begun.join(PATIENCE)
    assert run.report.answered == 100


def test_who_waits_for_the_input_is_idle(monkeypatch):
    """An input that is slower than the workers is no reason to have more of them."""
    idle = threading.Event()
    go_on = threading.Event()

    def tick(governor, *args, **seen):
        if seen["idle"] == 7:
            idle.set()
        return governor.target

    def items():
        yield 0
        assert go_on.wait(PATIENCE)
        yield 1

    monkeypatch.setattr(Governor, "tick", tick)
    with KeyPool(["sk-auto-aaaaaaaaaaaaaaaaaaa"], minute=0.5) as quick:
        run = smap(str, items(), pool=quick)
        assert next(run) == "0"
        assert idle.wait(PATIENCE)
        go_on.set()
        assert list(run) == ["1"]


def test_what_a_checkpoint_has_is_no_reason_for_more(tmp_path, monkeypatch, doors):
    """Only what ends in this run tells how many can be at work."""
    path = tmp_path / "out.jsonl"
    smap(str, range(500), checkpoint=path).run()
    looked = threading.Semaphore(0)
    seen = []

    def tick(governor, now, ended, **looks):
        seen.append((ended, looks["at_first"]))
        looked.release()
        return governor.target

    monkeypatch.setattr(Governor, "tick", tick)
    with KeyPool(["sk-auto-aaaaaaaaaaaaaaaaaaa"], minute=0.5) as quick:
        run = smap(doors, range(501), checkpoint=path, pool=quick)
        begun = threading.Thread(target=run.run)
        begun.start()
        doors.wait_for(1)
        seen.clear()
        assert looked.acquire(timeout=PATIENCE)
        while not seen:
            assert looked.acquire(timeout=PATIENCE)
        doors.open_all()
        begun.join(PATIENCE)
    assert seen[0] == (0, 8)
    assert (run.report.resumed, run.report.answered) == (500, 1)


def test_a_machine_that_allows_no_more_threads(monkeypatch, doors):
    """The run goes on with those that it has got, and ends."""
    start = threading.Thread.start

    def start_three(thread):
        if thread.name.startswith("stable_openai bulk ") and int(thread.name.rpartition(" ")[2]) > 3:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_three)
    with KeyPool(["sk-auto-aaaaaaaaaaaaaaaaaaa"], minute=0.5) as quick:
        run = smap(lambda item: item, range(1000), pool=quick)
        assert list(run) == list(range(1000))
    assert run._governor.target == 3


def test_a_machine_that_allows_no_thread_at_all(monkeypatch, tmp_path):
    """That is an error, and the checkpoint is free again."""

    def start(thread):
        raise RuntimeError("can't start new thread")

    path = tmp_path / "out.jsonl"
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError, match="can't start"):
            next(smap(str, range(3), checkpoint=path))
    assert list(smap(str, range(3), checkpoint=path)) == ["0", "1", "2"]


def test_each_thread_sees_the_variables_of_who_began_it(doors):
    """Those that came later do, too: a context's variables (a trace, a request's id) hold in all of them."""
    request = contextvars.ContextVar("request")
    request.set("r-1")
    with KeyPool([f"sk-auto-{letter * 20}" for letter in "abc"], minute=0.5) as quick:
        run = smap(lambda item: (doors(item), request.get()), range(30), pool=quick, order="completed")
        waiter = threading.Thread(target=lambda: (doors.wait_for(24), doors.open_all()))
        waiter.start()
        assert {found for _, found in run} == {"r-1"}
        waiter.join()


# -- endings


def test_leaving_the_loop_ends_the_run():
    """``break``: the run is forgotten, so it ends."""
    for item in smap(str, itertools.count(), workers=4, buffer=10):
        if item == "20":
            break
    for thread in threads_of_runs():
        thread.join(PATIENCE)
    assert threads_of_runs() == []


def test_leaving_the_loop_frees_the_checkpoint_at_once(tmp_path):
    """Another run may begin there in the next line, and goes on from what this one has handed out at least."""
    path = tmp_path / "out.jsonl"
    for item in smap(str, itertools.count(), checkpoint=path, workers=2, buffer=10):
        if item == "20":
            break
    run = smap(str, range(30), checkpoint=path)
    assert list(run) == [str(item) for item in range(30)]
    assert run.report.resumed >= 21


def test_a_run_in_a_cycle_is_ended_by_the_collector(tmp_path):
    """In whichever thread that is, and whatever that was in the midst of: here, of the run's own lock."""
    path = tmp_path / "out.jsonl"
    run = smap(str, itertools.count(), checkpoint=path, workers=2, buffer=10)
    next(run)
    crew = run._crew
    run.itself = run
    dropped = weakref.ref(run)
    del run
    with crew._lock, crew._job.tally._lock:  # who waits for these would wait for ever, were it not for a bound
        runs._PATIENCE_S, before = 0.01, runs._PATIENCE_S
        try:
            gc.collect()
        finally:
            runs._PATIENCE_S = before
        assert dropped() is None


def test_with_stops_it(doors):
    """``with``: what is left half-way is stopped at its end; a call that is under way ends by itself."""
    with smap(doors, itertools.count(), workers=2) as run:
        doors.open(0)
        assert next(run) == 0
    assert list(run) == []
    assert run.report.stopped.startswith("nobody wanted any more: 1 item")
    doors.open_all()


def test_an_error_within_the_block_is_told_how_to_go_on(tmp_path):
    """The user's own exception passes, with a note of what is kept."""
    with pytest.raises(Trouble) as caught, smap(str, range(50), checkpoint=tmp_path / "out.jsonl") as run:
        next(run)
        raise Trouble("mine")
    assert "the same call again goes on from there" in caught.value.__notes__[0]
    assert run.report.stopped.startswith("mine: ")


def test_close_twice_and_never_begun():
    """Both do nothing."""
    run = smap(str, range(3))
    run.close()
    run.close()
    assert list(run) == []


def test_iterating_again_after_the_end():
    """There is nothing more, and nothing is called again."""
    calls = []
    run = smap(calls.append, range(3))
    assert list(run) == [None] * 3
    assert list(run) == []
    assert list(run.results()) == []
    assert len(calls) == 3


def test_close_by_another_thread_wakes_who_iterates(doors):
    """It sees the end, though the call that it waits for still goes on."""
    run = smap(doors, range(3), workers=1)
    found = []
    reader = threading.Thread(target=lambda: found.append(list(run)))
    reader.start()
    doors.wait_for(1)
    run.close()
    reader.join(PATIENCE)
    assert found == [[]]


def test_close_by_another_thread_while_it_begins(monkeypatch, tmp_path):
    """It does not begin then, and leaves neither a thread nor a lock."""
    path = tmp_path / "out.jsonl"
    run = smap(str, range(3), checkpoint=path)
    begin = Run._begin

    def begin_late(run):
        closing = threading.Thread(target=run.close)
        closing.start()
        closing.join(PATIENCE)
        return begin(run)

    with monkeypatch.context() as patched:
        patched.setattr(Run, "_begin", begin_late)
        assert list(run) == []
    assert list(smap(str, range(3), checkpoint=path)) == ["0", "1", "2"]


def test_what_ends_after_the_stop_is_not_counted(doors):
    """The report of a run that was stopped does not change any more."""
    run = smap(doors, range(4), workers=2)
    doors.open(0)
    assert next(run) == 0
    doors.wait_for(3)
    run.close()
    before = run.report
    doors.open_all()
    for thread in threads_of_runs():
        thread.join(PATIENCE)
    assert (run.report.answered, run.report.total, run.report.seconds) == (before.answered, 4, before.seconds)


# -- runs in runs


def test_a_map_within_a_map():
    """The inner ones end within the outer ones' items."""

    def outer(item):
        return list(smap(lambda inner: item * 10 + inner, range(3), workers=2))

    assert list(smap(outer, range(20), workers=4)) == [[item * 10 + inner for inner in range(3)] for item in range(20)]


def test_a_map_over_a_map():
    """One's values are the other's items, read as they are needed."""
    found = smap(lambda item: item + 1, smap(lambda item: item * 2, range(100), buffer=5), workers=3)
    assert list(found) == [item * 2 + 1 for item in range(100)]


def test_the_inner_run_stops_with_the_outer_one(doors):
    """Who waits for its values gives up, and it begins nothing more."""
    ended = threading.Event()

    def outer(item):
        try:
            return list(smap(doors, range(100), workers=1))
        finally:
            ended.set()

    run = smap(outer, range(3), workers=1)
    reader = threading.Thread(target=lambda: list(run))
    reader.start()
    doors.wait_for(1)
    run.close()
    assert ended.wait(PATIENCE)
    doors.open_all()
    reader.join(PATIENCE)
    for thread in threads_of_runs():
        thread.join(PATIENCE)
    assert len(doors.entered) == 1


async def test_a_map_in_a_task_of_amap():
    """Each in a thread of the loop's."""
    import asyncio

    async def outer(item):
        return await asyncio.to_thread(lambda: sum(smap(int, range(item))))

    assert [found async for found in amap(outer, range(6), progress=False)] == [0, 0, 1, 3, 6, 10]


# -- what is refused


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"workers": 0}, "workers"),
        ({"workers": True}, "workers"),
        ({"workers": "many"}, "workers"),
        ({"buffer": 0}, "buffer"),
        ({"order": "random"}, "order"),
        ({"errors": "ignore"}, "errors"),
        ({"total": 1.5}, "total"),
        ({"max_wait": -1}, "max_wait"),
        ({"id": 3}, "id"),
        ({"id": "name"}, "checkpoint"),
        ({"encode": str}, "checkpoint"),
        ({"pool": "mine"}, "pool"),
        ({"retry_failed": "some", "checkpoint": "unused.jsonl"}, "retry_failed"),
        ({"speed": "high"}, "options"),
    ],
)
def test_wrong_options(options, field):
    """Each is refused at once, and named."""
    with pytest.raises(ConfigurationError) as caught:
        smap(str, [1], **options)
    assert caught.value.field == field


def test_what_is_no_function_or_no_input():
    """A function and an iterable are asked for; a single text is neither a list of prompts nor a file."""
    for fn, items, told in [
        ("ask", [1], "must be a function"),
        (str, 3, "can't be iterated"),
        (str, "prompts.txt", "single text"),
        (str, b"prompts", "single text"),
    ]:
        with pytest.raises(ConfigurationError, match=told):
            smap(fn, items)


def test_coroutine_functions_are_sent_to_amap():
    """At once where that can be seen, else at the first item; no coroutine is left that nobody has awaited."""

    async def ask(item):
        return item

    with pytest.raises(ConfigurationError, match="use amap"):
        smap(functools.partial(ask), [1])
    with pytest.raises(ConfigurationError, match="use amap"):
        next(smap(lambda item: ask(item), [1]))

    async def items():
        yield 1

    with pytest.raises(ConfigurationError, match="use amap"):
        smap(str, items())


def test_a_length_that_is_none():
    """Some have ``__len__`` and no length; ``total`` says it where one knows."""

    class Stream:
        def __len__(self):
            raise TypeError("has no length")

        def __iter__(self):
            return iter(range(3))

    run = smap(str, Stream())
    assert run.report.total is None
    assert smap(str, Stream(), total=7).report.total == 7
    assert run.run().total == 3
