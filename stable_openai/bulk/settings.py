"""What ``map`` and ``amap`` are told, checked."""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from stable_openai.errors import ConfigurationError

if TYPE_CHECKING:
    import os

    from stable_openai.pool.pool import KeyPool

    from .checkpoint import RetryFailed
    from .forms import Form
    from .progress import Progress

__all__ = ["AUTO", "MOST_TASKS", "MOST_THREADS", "Settings"]

AUTO: Final = "auto"
MOST_THREADS: Final = 256
MOST_TASKS: Final = 1_024
_DAY: Final = 86_400.0
_BUFFER: Final = 10_000


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of a run; ``map`` tells of them."""

    workers: int | Literal["auto"] = AUTO
    order: Literal["input", "completed"] = "input"
    errors: Literal["raise", "return"] = "raise"
    checkpoint: str | os.PathLike[str] | None = None
    id: str | Callable[[Any], Hashable] | None = None
    retry_failed: RetryFailed = "retriable"
    replay: bool = True
    max_wait: float = _DAY
    buffer: int = _BUFFER
    total: int | None = None
    progress: bool | Progress | Callable[..., Any] | None = None
    pool: KeyPool | None = None
    encode: Callable[[Any], Any] | None = None
    decode: Callable[[Any], Any] | None = None
    form: Form | None = None

    def __post_init__(self) -> None:
        if self.workers != AUTO:
            _check_count("workers", self.workers, 'or "auto"')
        _check_count("buffer", self.buffer)
        total: object = self.total
        if total is not None and (isinstance(total, bool) or not isinstance(total, int)):
            raise ConfigurationError("total", f"must be the number of items, not {total!r}")
        for name, choices in (("order", ("input", "completed")), ("errors", ("raise", "return"))):
            value = getattr(self, name)
            if value not in choices:
                raise ConfigurationError(name, f"must be {' or '.join(map(repr, choices))}, not {value!r}")
        wait: object = self.max_wait
        if isinstance(wait, bool) or not isinstance(wait, (int, float)) or not wait >= 0:
            raise ConfigurationError("max_wait", f"must be a number of seconds from 0 up, not {wait!r}")
        if self.id is not None and not isinstance(self.id, str) and not callable(self.id):
            raise ConfigurationError("id", "must be the name of a field, or a function of the item")
        if self.checkpoint is None and (self.id is not None or self.encode is not None or self.decode is not None):
            raise ConfigurationError("checkpoint", "is missing: id, encode and decode say how to keep results in one")

    def id_of(self, item: Any, index: int) -> str | None:
        """The id that was given for an item; None where none is given, and its content stands for it.

        Raises:
            ConfigurationError: The item has none, or it is no text or number.
        """
        if self.id is None:
            return None
        try:
            found = self.id(item) if callable(self.id) else _field(item, self.id)
        except (LookupError, AttributeError, TypeError) as error:
            problem = f"has no id by {self.id!r} ({type(error).__name__}: {error})"
            raise ConfigurationError(f"items[{index}]", problem) from None
        name = _name_of(found)
        if not name:
            raise ConfigurationError(f"items[{index}]", f"has the id {found!r}: an id is a text or a whole number")
        if not name.isprintable() and _is_half(name):
            raise ConfigurationError(f"items[{index}]", f"has the id {found!r}, which is no text that can be written")
        return name


def _field(item: Any, name: str) -> Any:
    return item[name] if isinstance(item, Mapping) else operator.attrgetter(name)(item)


def _name_of(found: object) -> str:
    """An id as text; an empty one where it is none."""
    if isinstance(found, str):
        return str(found)
    if isinstance(found, bool) or not hasattr(found, "__index__"):
        return ""
    return str(operator.index(found))  # numpy's and the like, too


def _is_half(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return True
    return False


def _check_count(name: str, value: object, other: str = "") -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(name, f"must be a whole number from 1 up{f' {other}' if other else ''}, not {value!r}")
