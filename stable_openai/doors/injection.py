"""What a function asks for by name, and where in a call its arguments stand."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, Final

from stable_openai.errors import InjectionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stable_openai.keys import Key

__all__ = ["Plan", "kind_of", "plan_of"]

_FILLERS: Final[dict[str, Callable[[Key], Any]]] = {
    "api_key": lambda key: key.secret,
    "key": lambda key: key,
    "base_url": lambda key: key.base_url,
}
_POSITIONAL: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Plan:
    """What to fill in, and where the caller's own values stand.

    Attributes:
        fills: The parameters that the pool fills, with what fills them.
        short: True where ``api_key`` is all that is filled: the usual case, which has a short way.
        places: The place of each positional parameter; of a method, ``self`` is not counted.
    """

    __slots__ = ("fills", "is_given", "names", "places", "short")

    def __init__(self, names: tuple[str, ...], fills: Mapping[str, Callable[[Key], Any]]) -> None:
        self.names = names
        self.fills = dict(fills)
        self.short = tuple(self.fills) == ("api_key",)
        self.places = {name: index for index, name in enumerate(names)}
        self.is_given: Callable[[tuple[Any, ...], Mapping[str, Any], int], bool] = self._check()

    def _check(self) -> Callable[[tuple[Any, ...], Mapping[str, Any], int], bool]:
        """Make the question whether the caller gives the credential: one that is not empty wins over the pool."""
        asked = [(name, self.places.get(name, 1 << 30)) for name in self.fills if name != "base_url"]
        first = min(place for _, place in asked)

        def is_given(args: tuple[Any, ...], kwargs: Mapping[str, Any], shift: int) -> bool:
            if len(args) + shift <= first and not any(name in kwargs for name, _ in asked):
                return False
            return any(self.argument(name, args, kwargs, shift) for name, _ in asked)

        return is_given

    def argument(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], shift: int) -> Any:
        """A value of the call by its parameter's name; None where it is not given."""
        if name in kwargs:
            return kwargs[name]
        place = self.places.get(name)
        if place is None or place < shift or place - shift >= len(args):
            return None
        return args[place - shift]

    def fill(
        self, key: Key, args: tuple[Any, ...], kwargs: Mapping[str, Any], shift: int
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with those of the key in their places; the caller's own are left alone."""
        filled = dict(kwargs)
        positional = list(args)
        for name, filler in self.fills.items():
            place = self.places.get(name, 1 << 30) - shift
            if 0 <= place < len(positional):
                if not positional[place]:
                    positional[place] = filler(key)
            elif not filled.get(name):
                filled[name] = filler(key)
        return tuple(positional), filled

    def named(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], shift: int) -> dict[str, Any]:
        """The call's arguments by name."""
        return {**dict(zip(self.names[shift:], args, strict=False)), **kwargs}


def plan_of(function: Any) -> Plan:
    """Find what a function asks for by name.

    Raises:
        InjectionError: It has no parameter that the pool could fill, or can't be looked into.
    """
    target = _underlying(function)
    label = getattr(target, "__qualname__", None) or repr(type(function).__name__)
    try:
        parameters = inspect.signature(target).parameters
    except (TypeError, ValueError):
        raise InjectionError(str(label), "its signature can't be read: wrap it in a function of your own") from None
    names = tuple(name for name, parameter in parameters.items() if parameter.kind in _POSITIONAL)
    fills = {
        name: filler
        for name, filler in _FILLERS.items()
        if name in parameters and parameters[name].kind is not inspect.Parameter.POSITIONAL_ONLY
    }
    if not fills and any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        fills = {"api_key": _FILLERS["api_key"]}
    if not fills or tuple(fills) == ("base_url",):
        raise InjectionError(
            str(label),
            "has no parameter that @stable could fill: give it one named api_key (the secret), key (the whole Key) "
            "or **kwargs, for example def ask(model, messages, api_key): ...",
        )
    return Plan(names, fills)


def kind_of(function: Any) -> str:
    """``"function"``, ``"coroutine"``, ``"generator"`` or ``"async generator"``."""
    target = _underlying(function)
    while isinstance(target, functools.partial):
        target = _underlying(target.func)
    if not inspect.isroutine(target):
        target = getattr(type(target), "__call__", target)  # noqa: B004  # the function itself is wanted, not a yes or no
    if inspect.isasyncgenfunction(target):
        return "async generator"
    if inspect.iscoroutinefunction(target):
        return "coroutine"
    if inspect.isgeneratorfunction(target):
        return "generator"
    return "function"


def _underlying(function: Any) -> Any:
    """The plain function behind a method, classmethod or staticmethod; anything else as it is."""
    while isinstance(function, (classmethod, staticmethod)) or inspect.ismethod(function):
        function = function.__func__
    return function
