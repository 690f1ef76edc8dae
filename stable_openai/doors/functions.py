"""The function that ``@stable`` returns: it looks like the user's own, can be bound, copied and pickled."""

from __future__ import annotations

import inspect
import types
from typing import Any, Final

import wrapt

from stable_openai.failover.portable import meet_openai

from .injection import kind_of, plan_of
from .pickling import ByNameOrValue, find_by_name, options_of
from .pools import PoolReference, made_late, travelling
from .wrappers import make_wrapper

__all__ = ["StableFunction"]

_MAY_BE_BOUND: Final = ("function", "instancemethod", "classmethod", "callable")  # where wrapt looks for an instance


def _asked_by_cloudpickle() -> bool:
    """Whether whoever asks for ``__class__`` is about to pickle.

    cloudpickle (and Ray's, joblib's and Spark's copies of it) takes whatever passes for a function apart, which would
    lose the decoration; of another object it asks how that wants to be pickled. ``reducer_override`` is where, by the
    pickle protocol, that is decided.
    """
    frame = inspect.currentframe()  # here; then the property; then whoever asks
    for _ in range(2):
        frame = None if frame is None else frame.f_back
    return frame is not None and frame.f_code.co_name == "reducer_override"


@property  # type: ignore[misc]  # for the two classes below
def _apparent_class(self: Any) -> Any:
    """What it passes for: a function or a method, except to cloudpickle."""
    return type(self) if _asked_by_cloudpickle() else self.__wrapped__.__class__


def _owner_of(bound: Any) -> Any:
    """The class that a bound function was found in; wrapt before 1.17 does not tell where that was by the class."""
    owner = getattr(bound, "_self_owner", None)
    if owner is None:
        owner = getattr(bound.__wrapped__, "__self__", None)
    return owner if isinstance(owner, type) else type(bound._self_instance)  # noqa: SLF001


class _BoundStableFunction(wrapt.BoundFunctionWrapper):  # type: ignore[misc,type-arg,unused-ignore]  # by version of wrapt
    """A decorated method, bound."""

    __class__ = _apparent_class

    def options(self, **changes: Any) -> Any:
        """The same method under other options."""
        return _bind(self._self_parent.options(**changes), self._self_instance, _owner_of(self))

    def __copy__(self) -> Any:
        return self  # bound methods are atoms to copy.copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        import copy

        return _bind(self._self_parent, copy.deepcopy(self._self_instance, memo), _owner_of(self))

    def __reduce__(self) -> Any:
        return self.__reduce_ex__(2)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle as methods do: the object, and the method's name."""
        instance = getattr(self.__wrapped__, "__self__", None)
        owner = _owner_of(self) if instance is None else instance
        found = getattr(owner, self.__wrapped__.__name__, None)
        if getattr(found, "_self_parent", None) is self._self_parent:
            return getattr, (owner, self.__wrapped__.__name__)
        return _bind, (self._self_parent, self._self_instance, _owner_of(self))  # under options of its own


class StableFunction(wrapt.FunctionWrapper):  # type: ignore[misc,type-arg,unused-ignore]  # by version of wrapt
    """A function under ``@stable``: it looks like the function itself, and is called like it."""

    __bound_function_wrapper__ = _BoundStableFunction

    def __init__(self, wrapped: Any, options: dict[str, Any]) -> None:
        meet_openai()  # a call with the caller's own key raises what openai does, and nobody else sees that
        kind, plan = kind_of(wrapped), plan_of(wrapped)
        if isinstance(options.get("pool"), PoolReference):
            wrapper = made_late(lambda options: make_wrapper(kind, plan, options), options)
        else:
            wrapper = make_wrapper(kind, plan, options)
        super().__init__(wrapped, wrapper)
        self._self_options = options
        # What is decorated may be bound already. wrapt looks for that at each call, most often in vain: 0.2 µs.
        instance = getattr(wrapped, "__self__", None) if self._self_binding in _MAY_BE_BOUND else None
        self._self_call = wrapper, wrapped, instance

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call what is not a method of something; methods are bound first, and then it is wrapt that calls them."""
        wrapper, wrapped, instance = self._self_call  # in one: a proxy takes 0.08 µs for each attribute
        return wrapper(wrapped, instance, args, kwargs)

    def options(self, **changes: Any) -> StableFunction:
        """The same function under other options, for one call or for many: ``ask.options(max_wait=5)(…)``."""
        return StableFunction(self.__wrapped__, {**self._self_options, **changes})

    def __copy__(self) -> StableFunction:
        return StableFunction(self.__wrapped__, self._self_options)

    def __deepcopy__(self, memo: dict[int, Any]) -> StableFunction:
        return StableFunction(self.__wrapped__, self._self_options)  # functions are atoms to copy.deepcopy

    __class__ = _apparent_class

    def __reduce__(self) -> Any:
        return self.__reduce_ex__(2)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle by name, as functions do: the other process finds the decorated function in its own module.

        What can't be found there (a closure, a function of a notebook or of ``__main__``, a variant by ``options``) is
        made again of the plain function and the options.
        """
        function = self.__wrapped__
        found = find_by_name(function)
        if found is self and function.__module__ != "__main__":
            return function.__qualname__
        parent = _unbound(found)
        if isinstance(function, types.FunctionType) and found is not function:
            if parent is not self and getattr(parent, "__wrapped__", None) is function:
                return _vary, (found, travelling(self._self_options))
            return _blank, (), ByNameOrValue(function, self._self_options), None, None, _fill
        return StableFunction, (function, travelling(self._self_options))


def _bind(function: StableFunction, instance: Any, owner: Any) -> Any:
    return function.__get__(instance, owner)


def _vary(function: Any, options: dict[str, Any]) -> StableFunction:
    return StableFunction(_unbound(function).__wrapped__, options)


def _unbound(function: Any) -> Any:
    """The decorated function itself, of one that was found in a class, and so is bound."""
    parent = getattr(function, "_self_parent", None)
    return function if parent is None else parent


def _blank() -> StableFunction:
    """One without a function so far, so that a function that mentions itself can be unpickled."""
    return StableFunction(_nothing, {})


def _nothing(api_key: str) -> None:
    """Stands where a function that is being unpickled will be."""


def _fill(blank: StableFunction, loaded: Any) -> None:
    known = _unbound(loaded)
    if type(known) is StableFunction:
        blank.__init__(known.__wrapped__, known._self_options)  # type: ignore[misc]  # noqa: SLF001
    else:
        blank.__init__(loaded, options_of(loaded))  # type: ignore[misc]
