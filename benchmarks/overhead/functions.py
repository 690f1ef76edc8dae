"""The empty functions of the four kinds: what is decorated, and the bare call that all else is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

__all__ = ["EMPTY", "KINDS"]


def empty(api_key: str = "") -> None:
    """Do nothing."""


async def empty_coroutine(api_key: str = "") -> None:
    """Do nothing, in a task."""


def empty_generator(api_key: str = "") -> Iterator[None]:  # noqa: ARG001  # asked for by name
    """Yield once."""
    yield None


async def empty_async_generator(api_key: str = "") -> AsyncIterator[None]:  # noqa: ARG001
    """Yield once, in a task."""
    yield None


EMPTY: Final[dict[str, Callable[..., Any]]] = {
    "function": empty,
    "coroutine": empty_coroutine,
    "generator": empty_generator,
    "async generator": empty_async_generator,
}
KINDS: Final = tuple(EMPTY)
