"""``@stable``: failover for the user's own function, whatever kind of function it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from stable_openai.errors import ConfigurationError
from stable_openai.legacy.patching import patch

from .functions import StableFunction

if TYPE_CHECKING:
    from .typed import StableDecorator

__all__ = ["stable"]


def _with_patch(decorator: Any) -> StableDecorator:
    """A function with another one in it, which type checkers have no word for."""
    decorator.patch = patch
    return cast("StableDecorator", decorator)


@_with_patch
def stable(function: Any = None, /, **options: Any) -> Any:
    """Give a function keys from the pool, and go on with the next one where a key fails.

    The function asks for what it needs by name: ``api_key`` (the secret), ``client`` (an openai client bound to the
    key, of the kind that its annotation names), ``key`` (the whole ``Key``), ``base_url``. An explicit, non-empty
    ``api_key`` or ``client`` of the caller's wins and is not rotated. Works on functions, coroutine functions,
    generators, async generators, methods, classmethods, staticmethods, partials and callable objects.

    ``stable.patch("pkg.module:Class.method")`` does it to functions of code that one can't change.

    With openai 0.28, hand the key to the call: ``openai.ChatCompletion.create(…, api_key=api_key)``. A function that
    sets ``openai.api_key`` instead works as well, but only one call at a time: that variable belongs to the whole
    process, and one thread's request would go out under another thread's key.

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
