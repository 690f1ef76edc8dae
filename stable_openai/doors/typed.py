"""What ``@stable`` returns, as type checkers see it; nothing of this is used when a program runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from tenacity import RetryCallState

    from stable_openai.legacy.patching import Patch
    from stable_openai.pool.pool import KeyPool

__all__ = ["Stable", "StableDecorator"]

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")


class Stable(Protocol[P, R_co]):
    """A decorated function: called like the function itself, in a class a method like it, with ``options`` beside."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...

    def options(
        self,
        *,
        pool: KeyPool | None = ...,
        model: str | None = ...,
        tokens: int | Callable[..., int] | None = ...,
        max_wait: float | None = ...,
        timeout: float | None = ...,
        stop: Callable[[RetryCallState], bool] | None = ...,
        wait: Callable[[RetryCallState], float] | None = ...,
    ) -> Stable[P, R_co]:
        """The same function under other options, for one call or for many: ``ask.options(max_wait=5)(…)``."""

    @overload  # a classmethod, by its class
    def __get__(self: Stable[Concatenate[type[T], Q], R_co], instance: None, owner: type[T]) -> Stable[Q, R_co]: ...

    @overload  # a method or staticmethod, by its class
    def __get__(self, instance: None, owner: type | None = None) -> Stable[P, R_co]: ...

    @overload  # a method or classmethod, by an object
    def __get__(
        self: Stable[Concatenate[Any, Q], R_co], instance: object, owner: type | None = None
    ) -> Stable[Q, R_co]: ...


class StableDecorator(Protocol):
    """``stable``: a decorator, with or without options, and ``stable.patch``."""

    @overload
    def __call__(self, function: Callable[P, R], /) -> Stable[P, R]: ...

    @overload
    def __call__(
        self,
        *,
        pool: KeyPool | None = None,
        model: str | None = None,
        tokens: int | Callable[..., int] | None = None,
        max_wait: float | None = None,
        timeout: float | None = None,
        affinity: Hashable | Callable[..., Hashable] | None = None,
        stop: Callable[[RetryCallState], bool] | None = None,
        wait: Callable[[RetryCallState], float] | None = None,
    ) -> Callable[[Callable[P, R]], Stable[P, R]]: ...

    def patch(
        self,
        *targets: str,
        pool: KeyPool | None = None,
        model: str | None = None,
        tokens: int | Callable[..., int] | None = None,
        max_wait: float | None = None,
        timeout: float | None = None,
        affinity: Hashable | Callable[..., Hashable] | None = None,
        stop: Callable[[RetryCallState], bool] | None = None,
        wait: Callable[[RetryCallState], float] | None = None,
    ) -> Patch:
        """Decorate functions where they stand, by name: see ``stable_openai.legacy.patching.patch``."""
