"""What a function asks for by name, and where in a call its arguments stand."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, Final

from stable_openai.errors import InjectionError

from .annotations import client_kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stable_openai.failover.attempts import Attempt

__all__ = ["Plan", "kind_of", "plan_of"]

_FILLERS: Final[dict[str, Callable[[Any], Any]]] = {
    "api_key": lambda holder: holder.key.secret,
    "key": lambda holder: holder.key,
    "base_url": lambda holder: holder.key.base_url,
}
_CREDENTIALS: Final = ("api_key", "client", "key")
_POSITIONAL: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_NAMED: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_NOWHERE: Final = 1 << 30
_MEND: Final = (
    "give it one named api_key (the secret), client (a ready openai client), key (the whole Key) or **kwargs, "
    "for example "
    "def ask(model, messages, api_key): ..."
)


class Plan:
    """What to fill in, and where the caller's own values stand.

    Attributes:
        fills: The parameters that the pool fills, with what fills them.
        short: True where ``api_key`` is all that is filled: the usual case, which has a short way.
        lends: Whether a client is filled, which belongs to its attempt.
        credentials: The parameters by which a caller gives a credential of his own.
        first: The place of the first of them, ``self`` counted.
        places: The place of each positional parameter.
        model: What the parameter ``model`` is where the call does not give it.
    """

    __slots__ = ("_defaults", "credentials", "fills", "first", "lends", "model", "names", "places", "short")

    def __init__(self, parameters: Mapping[str, inspect.Parameter], fills: Mapping[str, Callable[[Any], Any]]) -> None:
        self.names = tuple(name for name, parameter in parameters.items() if parameter.kind in _POSITIONAL)
        self.fills = dict(fills)
        self.short = tuple(self.fills) == ("api_key",)
        self.lends = "client" in self.fills
        self.places = {name: index for index, name in enumerate(self.names)}
        # A function with both names its own things by `key`, as in `def look_up(key, api_key)`.
        found = {name for name in _CREDENTIALS if name in self.fills}
        self.credentials = frozenset(found - {"key"} or found)
        self.first = min(self.places.get(name, _NOWHERE) for name in self.credentials)
        defaults = {name: parameter.default for name, parameter in parameters.items()}
        self._defaults = {name: value for name, value in defaults.items() if value is not inspect.Parameter.empty}
        self.model = self._defaults.get("model")

    def is_given(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], shift: int) -> bool:
        """Whether the caller gives the credential: one that is not empty wins over the pool."""
        return any(self.argument(name, args, kwargs, shift) for name in self.credentials)

    def argument(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], shift: int) -> Any:
        """A value of the call by its parameter's name; None where it is not given."""
        if name in kwargs:
            return kwargs[name]
        place = self.places.get(name)
        if place is None or place < shift or place - shift >= len(args):
            return None
        return args[place - shift]

    def model_finder(self, fallback: str | None) -> Callable[[tuple[Any, ...], int], Any] | None:
        """Make what finds the model of a call that does not give it by name; None where there is nothing to find."""
        place = self.places.get("model", _NOWHERE)
        default = self.model if isinstance(self.model, str) else fallback
        if place == _NOWHERE:
            return None if default is None else lambda _args, _shift: default

        def find(args: tuple[Any, ...], shift: int) -> Any:
            given = args[place - shift] if shift <= place < len(args) + shift else None
            return default if given is None else given

        return find

    def fill(
        self, holder: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], shift: int
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with those of the key in their places; the caller's own are left alone.

        Args:
            holder: What has the ``key``: an attempt, where a client is to be filled in.
            args: The caller's arguments by place.
            kwargs: The caller's arguments by name.
            shift: 1 for a bound method, whose ``self`` is not among them.
        """
        filled = dict(kwargs)
        positional = list(args)
        for name, filler in self.fills.items():
            value = filler(holder)
            place = self.places.get(name, _NOWHERE) - shift
            if 0 <= place < len(positional):
                if not positional[place]:
                    positional[place] = value
            elif not filled.get(name) and not (value is None and name in self._defaults):
                filled[name] = value
        return tuple(positional), filled

    def named(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], shift: int) -> dict[str, Any]:
        """The call's arguments by name, those that it leaves at their defaults included."""
        return {**self._defaults, **dict(zip(self.names[shift:], args, strict=False)), **kwargs}


def plan_of(function: Any) -> Plan:
    """Find what a function asks for by name.

    Raises:
        InjectionError: It has no parameter that the pool could fill, or can't be looked into.
    """
    target = _underlying(function)
    label = str(getattr(target, "__qualname__", None) or repr(type(function).__name__))
    try:
        parameters = inspect.signature(target).parameters
    except (TypeError, ValueError):
        raise InjectionError(label, "its signature can't be read: wrap it in a function of your own") from None
    named = [name for name, parameter in parameters.items() if parameter.kind in _NAMED]
    fills = {name: filler for name, filler in _FILLERS.items() if name in named}
    if "client" in named:
        client = client_kind(parameters["client"], kind_of(function), alone=fills.keys().isdisjoint(_CREDENTIALS))
        if client is not None:
            fills["client"] = lambda attempt: _lend(client, attempt)
    takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    if takes_any and fills.keys().isdisjoint(_CREDENTIALS):
        fills["api_key"] = _FILLERS["api_key"]
    if fills.keys().isdisjoint(_CREDENTIALS):
        if "api_key" in parameters:
            raise InjectionError(label, "takes its api_key by place alone: let it be given by name, without '/' or '*'")
        raise InjectionError(label, f"has no parameter that @stable could fill: {_MEND}")
    return Plan(parameters, fills)


def _lend(kind: str, attempt: Attempt) -> Any:
    from stable_openai.clients.lent import Clients  # loads openai, for those who ask for a client

    return attempt.pool.keep(Clients).lend(kind, attempt)


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
