"""Which classes are pickled in our way, and how an exception is made again.

By themselves few of them do. openai's and httpx's are pickled and can't be unpickled, for their ``__init__`` asks for
what was not kept: in a ``ProcessPoolExecutor`` one of them ends the whole pool. aiohttp's hold what can't be pickled.
And whatever can be pickled takes its request along, with the key in a header. So ``copyreg`` is told another way, for
exactly those classes: by that, pickle, cloudpickle and multiprocessing (and ``copy``, too) take an exception apart into
its class and its attributes, and make it again without its ``__init__``. What becomes of each attribute is the business
of ``parts``, which loads when there is one to be pickled.

Dask asks tblib to pickle exceptions, which puts its own way in the place of what ``copyreg`` was told, whenever one
leaves a worker: it goes by the class's ``__reduce__``, and where that is nobody's it sends all attributes, the request
and its key among them, and those of the ``__context__``. So the classes get a ``__reduce__`` as well.
"""

from __future__ import annotations

import copyreg
import pickle
import sys
from typing import Any, Final, NamedTuple

from stable_openai.failover.records import ProviderRefusal

__all__ = ["Frozen", "make_portable", "meet_openai", "rebuild", "restored"]

_MOST_LINKS: Final = 12
_ROOTS: Final = (("openai", "OpenAIError"), ("httpx", "HTTPError"), ("httpx2", "HTTPError"))
# An exception of the system keeps these beside its attributes.
_OF_THE_SYSTEM: Final = ("errno", "strerror", "filename", "filename2")
_HOOKS: Final = ("__reduce_ex__", "__setstate__", "__getstate__", "__copy__", "__deepcopy__")
_DEFAULTS: Final[tuple[Any, ...]] = (BaseException.__reduce__, OSError.__reduce__)
_met: Final[list[Any]] = []  # the roots of exceptions of which all are known


class Frozen(NamedTuple):
    """A part that is no plain data, as a pickle of its own: where it can't be loaded, nothing else is lost.

    Attributes:
        data: The pickle; empty where it can't be pickled.
        text: What stands for it then.
    """

    data: bytes
    text: str

    def thaw(self) -> Any:
        """The part, or its text."""
        try:
            return pickle.loads(self.data) if self.data else self.text  # noqa: S301  # as trusted as what it came in
        except Exception:  # noqa: BLE001  # whatever a foreign class raises
            return self.text


def meet_openai() -> None:
    """Make openai's own exceptions portable, and httpx's, of which they come, where these have been imported."""
    for module, name in _ROOTS:
        root = getattr(sys.modules.get(module), name, None)
        if root not in _met and isinstance(root, type):
            _register_all(root)
            _met.append(root)


def _register_all(kind: type[Any]) -> None:
    if _is_left_to_us(kind):
        _register(kind)
    derived: type[Any]
    for derived in kind.__subclasses__():
        _register_all(derived)


def _register(kind: Any) -> None:
    copyreg.pickle(kind, _reduce)
    if kind.__reduce__ is not _reduce:
        kind.__reduce__ = _reduce


def make_portable(error: BaseException) -> None:
    """Make an exception that goes to the caller portable, and those that have caused it.

    That is done for classes of openai's and other libraries that speak HTTP, and for what derives from them; those that
    say themselves how they are pickled are left alone, and so are all others.
    """
    meet_openai()
    links: list[BaseException | None] = [error]
    seen: set[int] = set()
    while links and len(seen) < _MOST_LINKS:
        link = links.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        kind = type(link)
        if copyreg.dispatch_table.get(kind) is not _reduce and _is_of_http(kind) and _is_left_to_us(kind):
            _register(kind)
        members = getattr(link, "exceptions", None)
        for member in members if isinstance(members, tuple) else ():  # those of a task group
            if isinstance(member, BaseException):
                make_portable(member)
        links += [link.__context__, link.__cause__]  # tblib sends both


def _is_of_http(kind: type[Any]) -> bool:
    from stable_openai.verdict._origin import is_http_library  # not before something has failed

    return any(is_http_library(str(base.__module__)) for base in kind.__mro__)


def _is_left_to_us(kind: type[Any]) -> bool:
    """Whether nobody has said how a class is pickled or copied; tblib speaks for no class."""
    told = copyreg.dispatch_table.get(kind, _reduce)
    is_free = told is _reduce or getattr(told, "__module__", "") == "tblib.pickling_support"
    return is_free and _says_nothing(kind)


def _says_nothing(kind: type[Any]) -> bool:
    if kind.__reduce__ not in (*_DEFAULTS, _reduce):
        return False
    return all(getattr(kind, hook, None) is getattr(BaseException, hook, None) for hook in _HOOKS)


def _reduce(error: BaseException) -> str | tuple[Any, ...]:
    if not _says_nothing(type(error)):  # it has inherited this, and has ways of its own
        return (OSError if isinstance(error, OSError) else BaseException).__reduce__(error)
    from . import parts

    make_portable(error)  # with its causes: it may have come by a way that is not ours
    return rebuild, (type(error), *parts.parts_of(error, _OF_THE_SYSTEM))


def rebuild(kind: Any, args: Any, attributes: dict[str, Any], of_the_system: dict[str, Any], cause: Any) -> Any:
    """Make an exception again that was pickled in another process.

    Args:
        kind: Its class.
        args: Its ``args``.
        attributes: Its attributes; the notes are among them.
        of_the_system: What an ``OSError`` keeps beside them.
        cause: Its ``__cause__``. It becomes the ``__context__``, too: ``concurrent.futures`` and ``multiprocessing``
            put the traceback of their worker in the place of the cause.
    """
    if _is_left_to_us(kind):
        _register(kind)  # it may travel on
    error = kind.__new__(kind)
    error.args = tuple(restored(args))
    error.__dict__.update(restored(attributes))
    for name, value in of_the_system.items():
        setattr(error, name, restored(value))
    if cause is not None:
        cause = restored(cause)
        error.__cause__ = error.__context__ = cause if isinstance(cause, BaseException) else Exception(cause)
    return error


def restored(value: Any) -> Any:
    """A value with all that is frozen in it thawed."""
    kind = type(value)
    if kind is Frozen:
        return value.thaw()
    if kind is dict:
        return {name: restored(entry) for name, entry in value.items()}
    return kind(map(restored, value)) if kind in {list, tuple} else value


copyreg.pickle(ProviderRefusal, _reduce)
if "openai" in sys.modules:
    meet_openai()
