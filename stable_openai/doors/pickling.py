"""Functions by name to pickle, and by value to cloudpickle.

pickle finds a function by its name, in a module that both processes can import; cloudpickle does so too, and takes
other functions (closures, those of a notebook or of ``__main__``) apart into code and variables. Neither tells which of
the two is asking. But cloudpickle treats whatever passes for a function as one, and pickle goes by the type: so a
stand-in that passes for the plain function, with ways of its own under pickle, serves both.
"""

from __future__ import annotations

import importlib
import pickle
import sys
from typing import Any, Final

import wrapt

from .pools import travelling

__all__ = ["ByNameOrValue", "find_by_name", "options_of"]

_OPTIONS: Final = "_stable_openai_options"


class ByNameOrValue(wrapt.ObjectProxy):  # type: ignore[misc,type-arg,unused-ignore]  # by version of wrapt
    """Passes for a plain function, and carries the options of its decoration along."""

    def __init__(self, function: Any, options: dict[str, Any]) -> None:
        super().__init__(function)
        self._self_options = options

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]  # cloudpickle keeps what is in here
        return {**self.__wrapped__.__dict__, _OPTIONS: travelling(self._self_options)}

    def __reduce__(self) -> Any:
        return self.__reduce_ex__(2)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """What plain pickle does: name the decorated function."""
        function = self.__wrapped__
        if find_by_name(function) is None:
            raise pickle.PicklingError(
                f"can't pickle {function.__module__}.{function.__qualname__}: it is not found under its name there "
                "(a local function?); define it at the top of a module, or use cloudpickle"
            )
        return _load_by_name, (function.__module__, function.__qualname__)


def find_by_name(function: Any) -> Any:
    """What stands in a function's module under its name; None where nothing does."""
    found = sys.modules.get(getattr(function, "__module__", None) or "")
    for part in (getattr(function, "__qualname__", None) or "<unnamed>").split("."):
        found = getattr(found, part, None)
    return found


def _load_by_name(module: str, name: str) -> Any:
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def options_of(loaded: Any) -> dict[str, Any]:
    """The options that came along with it; taken off, for they are not the function's own."""
    options: dict[str, Any] = loaded.__dict__.pop(_OPTIONS)
    return options
