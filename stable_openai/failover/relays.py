"""Passing a generator's items on while noting that the first has left; send, throw and close go through.

An async generator has no ``yield from``, so its items are passed on where they are yielded: in the driver itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

__all__ = ["PassOn", "pass_on", "relay"]


def relay(source: Generator[Any, Any, Any], begun: list[None]) -> Generator[Any, Any, Any]:
    """Yield what ``source`` yields, and return what it returns; ``begun`` grows when there is a first item."""
    try:
        item = next(source)
    except StopIteration as end:
        return end.value
    begun.append(None)
    return (yield from _after(source, item))


def pass_on(source: Generator[Any, Any, Any], step: Callable[[Any], Any], value: Any) -> Generator[Any, Any, Any]:
    """Go on with a generator that has begun, after ``step(value)``: its ``send`` or its ``throw``."""
    try:
        item = step(value)
    except StopIteration as end:
        return end.value
    return (yield from _after(source, item))


def _after(source: Generator[Any, Any, Any], item: Any) -> Generator[Any, Any, Any]:
    try:
        while True:
            try:
                sent = yield item
            except GeneratorExit:
                source.close()
                raise
            except BaseException as thrown:  # noqa: BLE001  # whatever the consumer throws belongs to the source
                item = source.throw(thrown)
            else:
                if sent is None:
                    return (yield from source)  # from here on Python itself passes everything through
                item = source.send(sent)
    except StopIteration as end:
        return end.value


class PassOn:
    """Going on with an async generator after a first step, its ``asend`` or its ``athrow``: for ``async for``.

    Args:
        source: The async generator.
        step: What to await for the next item; those after it are the source's own.
    """

    __slots__ = ("_source", "_step")

    def __init__(self, source: AsyncGenerator[Any, Any], step: Awaitable[Any]) -> None:
        self._source = source
        self._step: Awaitable[Any] | None = step

    def __aiter__(self) -> PassOn:
        return self

    def __anext__(self) -> Awaitable[Any]:
        step, self._step = self._step, None
        return self._source.__anext__() if step is None else step
