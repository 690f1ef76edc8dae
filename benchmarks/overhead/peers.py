"""The peers that run in this process: decorators, and limiters asked by hand before the call."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

from benchmarks.environments import is_there
from benchmarks.timing import LOOPS, Contender

from .functions import EMPTY
from .ours import RPD, RPM, make_keys

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DECORATORS", "LIMITERS", "bare", "decorated", "in_process"]

_CAPACITY: Final = 0.75


def _wrapt(function: Any) -> Any:
    import wrapt

    return wrapt.FunctionWrapper(function, lambda wrapped, _instance, args, kwargs: wrapped(*args, **kwargs))


def _tenacity(function: Any) -> Any:
    import tenacity

    wait = tenacity.wait_random_exponential(min=1, max=60)
    return tenacity.retry(wait=wait, stop=tenacity.stop_after_attempt(6))(function)


def _stamina(function: Any) -> Any:
    import stamina

    return stamina.retry(on=ConnectionError)(function)


def _backoff(function: Any) -> Any:
    import backoff

    return backoff.on_exception(backoff.expo, ConnectionError, max_tries=6)(function)


# What each can decorate. On a generator, tenacity and backoff guard the making of it alone, which is next to nothing:
# their figures there are those of a function.
DECORATORS: Final[dict[str, Callable[[Any], Any]]] = {
    "wrapt": _wrapt,
    "tenacity": _tenacity,
    "stamina": _stamina,
    "backoff": _backoff,
}


def _moving(keys: list[str]) -> Callable[[], Any]:
    return _limits("MovingWindowRateLimiter", keys)


def _sliding(keys: list[str]) -> Callable[[], Any]:
    return _limits("SlidingWindowCounterRateLimiter", keys)


def _limits(strategy: str, keys: list[str]) -> Callable[[], Any]:
    import limits

    limiter = getattr(limits.strategies, strategy)(limits.storage.MemoryStorage())
    minute, day = limits.RateLimitItemPerMinute(RPM), limits.RateLimitItemPerDay(RPD)
    turns, function = itertools.cycle(keys), EMPTY["function"]

    def call() -> Any:
        key = next(turns)
        if not (limiter.hit(minute, key) and limiter.hit(day, key)):
            raise RuntimeError("no room: the benchmark was to see to that")
        return function(api_key=key)

    return call


def _pyrate(keys: list[str]) -> Callable[[], Any]:
    from pyrate_limiter import Duration, Limiter, Rate

    limiters = {key: Limiter([Rate(RPM, Duration.MINUTE), Rate(RPD, Duration.DAY)]) for key in keys}
    turns, function = itertools.cycle(keys), EMPTY["function"]

    def call() -> Any:
        key = next(turns)
        if not limiters[key].try_acquire(key, blocking=False):
            raise RuntimeError("no room: the benchmark was to see to that")
        return function(api_key=key)

    return call


def _aiolimiter(keys: list[str]) -> Callable[[], Any]:
    from aiolimiter import AsyncLimiter

    limiters = {key: (AsyncLimiter(RPM, 60), AsyncLimiter(RPD, 86_400)) for key in keys}
    turns, function = itertools.cycle(keys), EMPTY["coroutine"]

    async def call() -> Any:
        key = next(turns)
        minute, day = limiters[key]
        async with minute, day:
            return await function(api_key=key)

    return call


# module, kind of function, what makes the call
LIMITERS: Final[dict[str, tuple[str, str, Callable[[list[str]], Callable[[], Any]]]]] = {
    "limits, moving": ("limits", "function", _moving),
    "limits, sliding": ("limits", "function", _sliding),
    "pyrate-limiter": ("pyrate_limiter", "function", _pyrate),
    "aiolimiter": ("aiolimiter", "coroutine", _aiolimiter),
}


class _Renewed:
    """A limiter that is made anew, outside the timing, before it is full."""

    def __init__(self, make: Callable[[list[str]], Callable[[], Any]], kind: str, keys: int) -> None:
        self._make = make
        self._kind = kind
        self._keys = make_keys(keys)
        self.capacity = int(_CAPACITY * keys * RPM)
        self._left = 0
        self._call: Callable[[], Any]

    def run(self, calls: int) -> float:
        # aiolimiter belongs to the loop that it was first used in, and each round has its own
        if calls > self._left or self._kind == "coroutine":
            self._call = self._make(self._keys)
            self._left = self.capacity
        self._left -= calls
        return LOOPS[self._kind](self._call, calls)


def bare(kind: str) -> Contender:
    """The function itself."""
    return Contender("bare", lambda calls: LOOPS[kind](EMPTY[kind], calls))


def decorated(name: str, kind: str) -> Any:
    """The empty function under a decorator; None where that is not installed, or does not take this kind."""
    if not is_there(name):
        return None
    try:
        return DECORATORS[name](EMPTY[kind])
    except TypeError:
        return None


def in_process(kind: str, keys: int) -> tuple[list[Contender], list[str]]:
    """The peers that can be timed here, and the names of those that are not installed."""
    found, missing = [], []
    for name in DECORATORS:
        function = decorated(name, kind)
        if function is not None:
            found.append(Contender(name, lambda calls, function=function: LOOPS[kind](function, calls)))
        elif not is_there(name):
            missing.append(name)
    for name, (module, its_kind, make) in LIMITERS.items():
        if its_kind != kind:
            continue
        if is_there(module):
            renewed = _Renewed(make, kind, keys)
            found.append(Contender(name, renewed.run, most=renewed.capacity))
        else:
            missing.append(name)
    return found, missing
