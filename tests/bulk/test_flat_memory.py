"""Memory is flat: what a run has done with leaves nothing behind, however many items there are."""

from __future__ import annotations

import asyncio
import gc
import itertools
import sys

import pytest

import stable_openai
from stable_openai.bulk.items import Entry, Result

BUFFER = 200
BLOCKS = 8_000  # a Result, its item, its value, its place in two queues: some 20 blocks each for what is in hand


def square(item):
    return item * item + 1_000_000  # nothing that Python keeps anyway


def fails(item):
    raise ValueError(item)


class Meter:
    """Measures at one item, and again at a later one."""

    def __init__(self, first, second):
        self._at = {first, second}
        self.blocks = []
        self.results = 0

    def see(self, number):
        if number in self._at:
            gc.collect()
            self.blocks.append(sys.getallocatedblocks())
            self.results = max(self.results, sum(type(one) in {Result, Entry} for one in gc.get_objects()))

    def check(self):
        first, second = self.blocks
        assert second - first < BLOCKS
        assert self.results <= BUFFER + 50


def go_through(run, meter):
    for number in itertools.count(1):
        if next(run, meter) is meter:
            return
        meter.see(number)


CASES = [
    pytest.param(square, 100_000, {}, id="plain"),
    pytest.param(square, 15_000, {"order": "completed"}, id="completed"),
    pytest.param(fails, 8_000, {"errors": "return"}, id="failures"),
    pytest.param(square, 8_000, {"checkpoint": "out.jsonl"}, id="checkpoint"),
    pytest.param(fails, 4_000, {"checkpoint": "out.jsonl", "errors": "return"}, id="checkpoint of failures"),
]


def options_in(tmp_path, options):
    options = {"buffer": BUFFER, "workers": 4, "progress": False, **options}
    return {**options, "checkpoint": tmp_path / "out.jsonl"} if "checkpoint" in options else options


@pytest.mark.parametrize(("fn", "count", "options"), CASES)
def test_of_threads(tmp_path, fn, count, options):
    """Between a fifth of the items and all of them, hardly a block more is in use; no result but those in hand lives."""
    meter = Meter(count // 5, count)
    go_through(stable_openai.map(fn, iter(range(count)), **options_in(tmp_path, options)), meter)
    meter.check()


@pytest.mark.parametrize(("fn", "count", "options"), CASES)
def test_of_tasks(tmp_path, fn, count, options):
    """The same."""

    async def afn(item):
        return fn(item)

    async def main():
        number = 0
        async for _ in stable_openai.amap(afn, iter(range(count)), **options_in(tmp_path, options)):
            number += 1
            meter.see(number)

    meter = Meter(count // 5, count)
    asyncio.run(main())
    meter.check()


@pytest.mark.parametrize("replay", [True, False])
def test_of_what_was_there_already(tmp_path, replay):
    """To skip over it, or to hand it out again, takes no more than to do it."""
    options = options_in(tmp_path, {"checkpoint": True, "id": str, "replay": replay})
    with options["checkpoint"].open("w") as file:
        file.writelines(f'{{"id":"{number}","value":{number}}}\n' for number in range(8_000))
    meter = Meter(1_600, 8_000)
    numbers = itertools.count(1)
    items = (meter.see(next(numbers)) or item for item in range(8_000))
    assert sum(1 for _ in stable_openai.map(square, items, **options)) == 8_000 * replay
    meter.check()


def living():
    return sum(type(one) in {Result, Entry} for one in gc.get_objects())


def test_failures_need_no_collector():
    """An error and its traceback hold nothing that holds them: what is done with is gone at once."""

    async def afn(item):
        return fails(item)

    async def main():
        return [str(error) async for error in stable_openai.amap(afn, iter(range(2000)), **options)]

    options = {"buffer": BUFFER, "workers": 4, "progress": False, "errors": "return"}
    gc.collect()
    gc.disable()
    try:
        found = [str(error) for error in stable_openai.map(fails, iter(range(2000)), **options)]
        assert living() <= 10  # threads that are about to end may hold one each
        assert found == asyncio.run(main())
        assert living() <= 10
    finally:
        gc.enable()
