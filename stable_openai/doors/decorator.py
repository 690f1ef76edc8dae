"""``@stable``: failover for the user's own function, whatever kind of function it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

import wrapt

from stable_openai.errors import ConfigurationError

from .injection import kind_of, plan_of
from .wrappers import make_wrapper

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from stable_openai.pool.pool import KeyPool

__all__ = ["StableFunction", "stable"]

F = TypeVar("F", bound=Callable[..., Any])


class _BoundStableFunction(wrapt.BoundFunctionWrapper):  # type: ignore[misc,unused-ignore]  # wrapt's types vary by version
    """A decorated method, bound."""

    def options(self, **changes: Any) -> Any:
        """The same method under other options."""
        return self._self_parent.options(**changes).__get__(self._self_instance, type(self._self_instance))


class StableFunction(wrapt.FunctionWrapper):  # type: ignore[misc,unused-ignore]  # wrapt's types vary by version
    """A function under ``@stable``: it looks like the function itself, and is called like it."""

    __bound_function_wrapper__ = _BoundStableFunction

    def __init__(self, wrapped: Any, options: dict[str, Any]) -> None:
        super().__init__(wrapped, make_wrapper(kind_of(wrapped), plan_of(wrapped), options))
        self._self_options = options

    def options(self, **changes: Any) -> StableFunction:
        """The same function under other options, for one call or for many: ``ask.options(max_wait=5)(…)``."""
        return StableFunction(self.__wrapped__, {**self._self_options, **changes})

    def __copy__(self) -> StableFunction:
        return StableFunction(self.__wrapped__, self._self_options)

    def __deepcopy__(self, memo: dict[int, Any]) -> StableFunction:
        return StableFunction(self.__wrapped__, self._self_options)  # functions are atoms to copy.deepcopy

    def __reduce__(self) -> Any:
        return self.__reduce_ex__(2)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle by name, as functions do: the other process finds the decorated function in its module."""
        return self.__wrapped__.__qualname__


@overload
def stable(function: F, /) -> F: ...


@overload
def stable(
    *,
    pool: KeyPool | None = None,
    model: str | None = None,
    tokens: int | Callable[..., int] | None = None,
    max_wait: float | None = None,
    timeout: float | None = None,
    stop: Callable[[RetryCallState], bool] | None = None,
    wait: Callable[[RetryCallState], float] | None = None,
) -> Callable[[F], F]: ...


def stable(function: Any = None, /, **options: Any) -> Any:
    """Give a function keys from the pool, and go on with the next one where a key fails.

    The function asks for what it needs by name: ``api_key`` (the secret), ``key`` (the whole ``Key``), ``base_url``. An
    explicit, non-empty ``api_key`` of the caller's wins and is not rotated. Works on functions, coroutine functions,
    generators, async generators, methods, classmethods, staticmethods, partials and callable objects.

    Args:
        function: The function; left out where options are given.
        options: ``pool``: a ``KeyPool`` instead of the process-wide ``KeyManager()``. ``model``: the model, where the
            call has no argument ``model``. ``tokens``: tokens to reserve for a call, a number or a callable of the
            call's arguments; default: estimated where a limit counts tokens. ``max_wait``: the longest wait for keys,
            in seconds. ``timeout``: the longest that a call takes in all, in seconds. ``stop`` and ``wait``: tenacity's
            objects, asked after a failed attempt, and for the back-off after the provider's own trouble.

    Raises:
        InjectionError: The function has no parameter that the pool could fill.
        ConfigurationError: An option is unknown or wrong.
    """
    options = {name: value for name, value in options.items() if value is not None}
    if function is None:
        return lambda decorated: StableFunction(decorated, options)
    if not callable(function) and not isinstance(function, (classmethod, staticmethod)):
        raise ConfigurationError("stable", f"decorates a function, not {type(function).__name__}; give options by name")
    return StableFunction(function, options)
