"""``stable.patch``: decorate functions where they stand, in code that one can't or won't change."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

import wrapt

from stable_openai.doors.functions import StableFunction
from stable_openai.errors import ConfigurationError, InjectionError

from .targets import Target

if TYPE_CHECKING:
    from types import ModuleType

    from .targets import Place

__all__ = ["Patch", "patch"]


def patch(*targets: str, **options: Any) -> Patch:
    """Decorate functions with ``@stable`` where they stand, by name.

    ``stable.patch("pkg.module:Class.method", "other:function", max_wait=30)``. It works before the module is imported
    and after. Each function must name something that the pool fills in, as under ``@stable``: ``api_key``, ``key``,
    ``client`` or ``**kwargs``. Use it as a call, or in a ``with`` block, at whose end all is as it was.

    Whoever has fetched a function before, by ``from module import function``, goes on with the undecorated one: patch
    before such imports run, or patch it by the name that it has there (``"importing.module:function"``).

    Code for openai 0.28 can be patched in one place, with no key set in the module:
    ``stable.patch("openai:ChatCompletion.create")`` hands each call its own ``api_key``.

    Args:
        targets: ``"module:function"`` or ``"module:Class.method"``.
        options: What ``@stable`` takes.

    Returns:
        A handle with ``undo()``.

    Raises:
        InjectionError: There is no such function, or it has nothing to fill in. Where its module is not imported yet,
            the import raises this.
        ConfigurationError: A text names no function, or an option is unknown or wrong.
    """
    options = {name: value for name, value in options.items() if value is not None}
    wanted = [Target.of(text) for text in targets]
    if not wanted:
        raise ConfigurationError("stable.patch", "names at least one function: 'pkg.module:Class.method'")
    StableFunction(_checked_by, options)  # options are checked even where no module is there yet
    made = Patch(wanted, options)
    try:
        made.arm()
    except BaseException:
        made.undo()
        raise
    return made


def _checked_by(api_key: str) -> None:
    """A function that has what @stable asks for."""


class Patch:
    """What ``stable.patch()`` returns: it lasts until ``undo()``, or until the end of its ``with`` block."""

    def __init__(self, targets: list[Target], options: dict[str, Any]) -> None:
        self._targets = targets
        self._options = options
        self._layers: list[_Layer] = []
        self._lasts = True

    def arm(self) -> None:
        """Decorate what is there, and the rest as soon as it is imported."""
        for target in self._targets:
            module = sys.modules.get(target.module)
            if module is not None:
                self._decorate(target, module)
            else:
                wrapt.register_post_import_hook(_Hook(self, target), target.module)

    def undo(self) -> None:
        """Put back what stood there; a second time changes nothing.

        What somebody else has put there since is left alone.
        """
        with _lock:
            self._lasts = False
            for layer in reversed(self._layers):
                layer.lasts = False
                _unwind(layer.place)
            self._layers.clear()

    def _decorate(self, target: Target, module: ModuleType) -> None:
        with _lock:
            if not self._lasts:
                return
            place = target.find(module)
            standing = place.standing()
            if not callable(standing) and not isinstance(standing, (classmethod, staticmethod)):
                raise InjectionError(str(target), f"that is no function but {type(standing).__name__}")
            layer = _Layer(place, place.own(), StableFunction(standing, self._options))
            place.put(layer.ours)
            self._layers.append(layer)
            _layers.setdefault(_identity(place), []).append(layer)

    def __enter__(self) -> Patch:
        return self

    def __exit__(self, *failure: object) -> None:
        self.undo()

    def __repr__(self) -> str:
        state = "in force" if self._lasts else "undone"
        return f"<stable.patch of {', '.join(map(str, self._targets))}, {state}>"


class _Hook:
    """Decorates a function when its module has been imported, unless the patch was undone by then."""

    def __init__(self, made: Patch, target: Target) -> None:
        self._patch = made
        self._target = target

    def __call__(self, module: ModuleType) -> None:
        self._patch._decorate(self._target, module)  # noqa: SLF001  # it is a part of it


class _Layer:
    """One patch of one function."""

    def __init__(self, place: Place, before: Any, ours: StableFunction) -> None:
        self.place = place
        self.before = before  # what the parent itself had there; ABSENT where it inherited it
        self.ours = ours
        self.lasts = True


# The layers of each place that is patched, the first below. A patch that is undone while another lies upon it goes with
# that one; until then it does nothing, since the upper one fills in the key.
_layers: Final[dict[tuple[int, str], list[_Layer]]] = {}
_lock: threading.RLock


def _identity(place: Place) -> tuple[int, str]:
    return id(place.parent), place.name  # the layers keep the parent alive


def _unwind(place: Place) -> None:
    """Take off the uppermost layers that were undone."""
    layers = _layers.get(_identity(place), [])
    while layers and not layers[-1].lasts:
        layer = layers.pop()
        if place.own() is layer.ours:
            place.put(layer.before)
    if not layers:
        _layers.pop(_identity(place), None)


def _renew_lock() -> None:
    """Take a fresh lock, at first and in a process that was forked while another thread held it."""
    global _lock  # noqa: PLW0603  # one lock a process
    _lock = threading.RLock()


_renew_lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
