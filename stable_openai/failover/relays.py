"""Passing a generator's items on while noting that the first has left; send, throw and close go through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["pass_on", "relay"]


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
