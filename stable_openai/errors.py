"""What can go wrong, as exceptions that carry data.

::

    StableError
    ├── ConfigurationError (ValueError)     a key, a limit, an option or a file is wrong; names the field
    │   └── InjectionError (TypeError)      a function has nothing that @stable could inject
    ├── NoKeyAvailable                      every key is out for longer than the call may wait
    ├── RequestTooLarge                     the call needs more tokens than any key's limit allows
    ├── StoreError                          the store that processes share is lost, or refuses
    └── PoolClosed                          the pool was closed while, or before, the call was made

A provider's own exceptions are never wrapped: what ends a call is the provider's exception, with notes of
each attempt.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ConfigurationError",
    "InjectionError",
    "NoKeyAvailable",
    "PoolClosed",
    "RequestTooLarge",
    "StableError",
    "StoreError",
]


class StableError(Exception):
    """The root of all errors that this library raises of its own.

    Pickled, each keeps its attributes, its notes, and its cause as far as that can be pickled.
    """

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.args, vars(self), _frozen(self.__cause__))


def _rebuild(
    kind: type[StableError], args: tuple[object, ...], attributes: dict[str, object], cause: bytes | None
) -> StableError:
    error = kind.__new__(kind, *args)
    vars(error).update(attributes)
    if cause is not None:
        # concurrent.futures and multiprocessing put the traceback of their worker in the place of the cause.
        error.__cause__ = error.__context__ = _thawed(cause)
    return error


def _frozen(cause: BaseException | None) -> bytes | None:
    """An exception as a pickle of its own: where it can't be loaded, nothing else is lost."""
    if cause is None:
        return None
    try:
        return pickle.dumps(cause)
    except Exception:  # noqa: BLE001  # whatever a foreign class raises
        return pickle.dumps(_stand_in(type(cause).__qualname__))


def _thawed(cause: bytes) -> BaseException:
    try:
        found = pickle.loads(cause)  # noqa: S301  # as trusted as what it came in
    except Exception as error:  # noqa: BLE001  # as above
        return _stand_in(f"({error})")
    return found if isinstance(found, BaseException) else _stand_in(type(found).__qualname__)


def _stand_in(name: str) -> Exception:
    return Exception(f"{name} caused it, and could not be pickled")


class ConfigurationError(StableError, ValueError):
    """A key, limit, option or file is wrong.

    Attributes:
        field: The name of what is wrong, such as ``limits.rpm`` or ``keys[3]``.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class InjectionError(ConfigurationError, TypeError):
    """A function was decorated that has no parameter which the pool could fill."""


class NoKeyAvailable(StableError):
    """No key is eligible now, and none will be within the time that the call may wait.

    The provider's last error, where there was one, is the ``__cause__``.

    Attributes:
        retry_after: Seconds until the earliest key is expected back; None where none is expected.
        reasons: Why each key is out, by the key's name.
        model: The model that was asked for, or None.
    """

    def __init__(
        self,
        problem: str,
        *,
        retry_after: float | None = None,
        reasons: Mapping[str, str] | None = None,
        model: str | None = None,
    ) -> None:
        super().__init__(problem)
        self.retry_after = retry_after
        self.reasons = dict(reasons or {})
        self.model = model


class RequestTooLarge(StableError):
    """The call needs more tokens than any key's limit ever allows, so waiting would not help.

    Attributes:
        tokens: What the call asked for.
        largest: The most that any key's limits allow in one request.
    """

    def __init__(self, tokens: int, largest: int) -> None:
        super().__init__(
            f"the request needs {tokens} tokens, but the largest token limit of any key is {largest}: "
            "send a smaller request, or tell the pool of a higher limit"
        )
        self.tokens = tokens
        self.largest = largest


class PoolClosed(StableError):
    """The pool was closed; make a new one."""


class StoreError(StableError):
    """The store that a pool is shared through can't be reached, does not answer in time, or refuses.

    Raised when a pool is made, and by calls where the pool has ``on_store_error="raise"``. The message says what is
    wrong and where; an address is shown without its password.
    """
