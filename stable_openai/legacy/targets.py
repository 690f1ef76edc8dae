"""Where the function is that a text such as ``"pkg.module:Class.method"`` names, and what stands there."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from stable_openai.errors import ConfigurationError, InjectionError

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["ABSENT", "Place", "Target"]

ABSENT: Final = object()  # stands for what a class only inherits


class Target(NamedTuple):
    """A function's module and its name there, dotted where it is in a class."""

    module: str
    name: str

    @classmethod
    def of(cls, text: Any) -> Target:
        """Read it.

        Raises:
            ConfigurationError: It is no such text.
        """
        module, colon, name = text.partition(":") if isinstance(text, str) else ("", "", "")
        parts = [*module.split("."), *name.split(".")]
        if not colon or not all(part.isidentifier() for part in parts):
            raise ConfigurationError(
                "stable.patch",
                f"names functions by text, 'pkg.module:function' or 'pkg.module:Class.method', not {text!r}; "
                "what you have in hand, decorate: stable(function)",
            )
        return cls(module, name)

    def __str__(self) -> str:
        return f"{self.module}:{self.name}"

    def find(self, module: ModuleType) -> Place:
        """Find it in its module.

        Raises:
            InjectionError: It is not there.
        """
        *path, name = self.name.split(".")
        parent: Any = module
        for part in path:
            parent = getattr(parent, part, ABSENT)
            if parent is ABSENT:
                raise self._missing(part)
        place = Place(parent, name)
        if place.standing() is ABSENT:
            raise self._missing(name)
        return place

    def _missing(self, part: str) -> InjectionError:
        return InjectionError(
            str(self),
            f"there is no {part!r} there; look at how it is spelt, and whether the module defines it itself. Where the "
            "module is still being imported, patch before, or after",
        )


class Place(NamedTuple):
    """An attribute of a module, a class or an object."""

    parent: Any
    name: str

    def own(self) -> Any:
        """What the parent itself has there, untouched by descriptors; ``ABSENT`` where it has nothing of its own."""
        return vars(self.parent).get(self.name, ABSENT)

    def standing(self) -> Any:
        """What is to be decorated: of a class, as its body or a base's has it; else what one gets."""
        if isinstance(self.parent, type):
            return inspect.getattr_static(self.parent, self.name, ABSENT)
        return getattr(self.parent, self.name, ABSENT)

    def put(self, value: Any) -> None:
        """Put something there; ``ABSENT`` takes away what is there."""
        if value is ABSENT:
            delattr(self.parent, self.name)
        else:
            setattr(self.parent, self.name, value)
