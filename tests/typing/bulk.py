"""How ``map`` and ``amap`` type. Checked by mypy (and pyright), never run."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from typing_extensions import assert_type

import stable_openai
from stable_openai import AsyncRun, FailedBefore, Result, Run, RunRecord, stable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@stable
def ask(prompt: str, api_key: str = "") -> str:
    return prompt


@stable
async def aask(prompt: str, api_key: str = "") -> int:
    return len(prompt)


def plain(item: dict[str, int]) -> list[int]:
    return list(item.values())


async def aplain(item: bytes) -> float:
    return float(item)


def numbers() -> Iterator[int]:
    yield 1


async def lines() -> AsyncIterator[str]:
    yield "a"


def with_map(items: list[str], rows: Iterator[dict[str, int]]) -> None:
    assert_type(stable_openai.map(ask, items), Run[str])
    assert_type(list(stable_openai.map(ask, items)), list[str])
    assert_type(next(stable_openai.map(plain, rows)), list[int])
    assert_type(stable_openai.map(partial(ask, api_key="mine"), items), Run[str])
    assert_type(stable_openai.map(float, numbers()), Run[float])
    for answer in stable_openai.map(str.upper, items):
        assert_type(answer, str)
    run = stable_openai.map(
        ask, items, workers="auto", order="completed", errors="return", checkpoint=Path("out.jsonl")
    )
    with run as entered:
        assert_type(entered, Run[str])
    assert_type(run.run(), RunRecord)
    assert_type(run.report.answered, int)
    for result in run.results():
        assert_type(result, Result)
        assert_type(result.id, str | None)
    stable_openai.map(ask, items, checkpoint="out.jsonl", id="name", encode=str, decode=int, replay=False, max_wait=60)
    stable_openai.map(ask, items, id=lambda item: item[0], progress=False, buffer=3, total=3, retry_failed="all")
    stable_openai.map(ask, items, workers="many")  # type: ignore[arg-type]
    stable_openai.map(ask, items, speed=3)  # type: ignore[call-arg]
    stable_openai.map(ask, 3)  # type: ignore[arg-type]


async def with_amap(items: list[str]) -> None:
    assert_type(stable_openai.amap(aask, items), AsyncRun[int])
    assert_type(stable_openai.amap(aplain, [b"1"]), AsyncRun[float])
    assert_type(stable_openai.amap(aask, lines()), AsyncRun[int])
    assert_type([answer async for answer in stable_openai.amap(aask, lines())], list[int])
    async with stable_openai.amap(aask, items, workers=3) as run:
        assert_type(await anext(run), int)
        async for result in run.results():
            assert_type(result, Result)
    assert_type(await run.run(), RunRecord)
    await run.aclose()
    stable_openai.amap(ask, items)  # type: ignore[arg-type]


def with_errors(error: FailedBefore) -> str:
    return error.reason
