"""``@stable``: failover for the user's own function, whatever kind of function it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from stable_openai.errors import ConfigurationError

from .functions import StableFunction

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from tenacity import RetryCallState

    from stable_openai.pool.pool import KeyPool

    from .typed import Stable

__all__ = ["stable"]

P = ParamSpec("P")
R = TypeVar("R")


@overload
def stable(function: Callable[P, R], /) -> Stable[P, R]: ...


@overload
def stable(
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


def stable(function: Any = None, /, **options: Any) -> Any:
    """Give a function keys from the pool, and go on with the next one where a key fails.

    The function asks for what it needs by name: ``api_key`` (the secret), ``key`` (the whole ``Key``), ``base_url``. An
    explicit, non-empty ``api_key`` of the caller's wins and is not rotated. Works on functions, coroutine functions,
    generators, async generators, methods, classmethods, staticmethods, partials and callable objects.

    Args:
        function: The function; left out where options are given.
        options: ``pool``: a ``KeyPool`` instead of the process-wide ``KeyManager()``. ``model``: the model, where the
            call has no argument ``model``. ``tokens``: tokens to reserve for a call, a number or a callable of the
            call's arguments; default: estimated where a limit counts tokens. ``affinity``: what a call belongs to, such
            as a conversation's id, or a callable of the call's arguments: the same value stays on one key while that is
            healthy and has room. ``max_wait``: the longest wait for keys, in seconds. ``timeout``: the longest that a
            call takes in all, in seconds. ``stop`` and ``wait``: tenacity's objects, asked after a failed attempt, and
            for the back-off after the provider's own trouble.

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
