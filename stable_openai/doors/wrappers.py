"""The four wrappers of ``@stable``: function, coroutine, generator, async generator.

A call that succeeds at its first attempt takes the short way: ``pool.quick`` grants, ``slot.done.append`` settles, and
neither the failover loop nor tenacity is touched. Everything else is the loop's business. They are closures, and alike
but for ``await`` and ``yield``: the short way has no frame to spare (each costs a tenth of what a call may cost). For
the same reason ``quick`` is fetched in one line and called in the next: 3.11 has no fast way for both at once, where
it is an attribute of the object (0.03 µs).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from stable_openai.errors import ConfigurationError
from stable_openai.failover.calls import Call
from stable_openai.failover.patience import Patience
from stable_openai.failover.relays import PassOn, pass_on, relay
from stable_openai.pool import manager
from stable_openai.pool.needs import tokens_needed
from stable_openai.pool.usage import check_tokens

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Hashable, Mapping

    from stable_openai.pool.pool import KeyPool
    from stable_openai.stores.queues import Slot

    from .injection import Plan

__all__ = ["make_wrapper"]

_PATIENCE: Final = ("max_wait", "timeout", "stop", "wait")
_OPTIONS: Final = ("pool", "model", "tokens", "affinity", *_PATIENCE)
_NOTHING: Final[Any] = object()  # stands where no item has come yet
_KeyManager: Final = manager.KeyManager


class _Settings:
    """One function's plan and options, and what follows from them for a call. Nothing of a call is kept here."""

    __slots__ = ("affinity", "find_model", "model", "patience", "plan", "pool", "timed", "tokens")

    def __init__(self, plan: Plan, options: Mapping[str, Any]) -> None:
        unknown = sorted(set(options) - set(_OPTIONS))
        if unknown:
            raise ConfigurationError(unknown[0], f"is no option of @stable; known are {', '.join(_OPTIONS)}")
        self.plan = plan
        self.pool: KeyPool | None = options.get("pool")
        if self.pool is not None and not hasattr(self.pool, "quick"):
            raise ConfigurationError("pool", f"must be a KeyPool, not {type(self.pool).__name__}")
        self.model: str | None = options.get("model")
        if self.model is not None and not isinstance(self.model, str):
            raise ConfigurationError("model", f"must be a model's name, not {type(self.model).__name__}")
        self.find_model = plan.model_finder(self.model)
        self.tokens: int | Callable[..., int] | None = options.get("tokens")
        if self.tokens is not None and not callable(self.tokens):
            check_tokens(self.tokens)
        self.affinity: Hashable | Callable[..., Hashable] | None = options.get("affinity")
        self.patience = Patience(**{name: options[name] for name in _PATIENCE if name in options})
        # Whether a call has to know when it began even before its first attempt has failed.
        self.timed = self.patience.timeout is not None or self.patience.stop is not None

    def current_pool(self) -> KeyPool:
        """The pool of the calls that are made now."""
        return manager.current() if self.pool is None else self.pool

    def call(
        self,
        pool: KeyPool,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        shift: int,
        started: float | None = None,
    ) -> Call:
        """Begin the long way."""
        model = kwargs.get("model")
        if model is None and self.find_model is not None:
            model = self.find_model(args, shift)
        model = model if isinstance(model, str) else self.model
        call = Call(pool, self.patience, model, self._tokens(pool, model, args, kwargs, shift), started)
        affinity = self.affinity
        call.ask.affinity = affinity(*args, **kwargs) if callable(affinity) else affinity
        return call

    def resume(  # noqa: PLR0917  # a call and its slot
        self,
        pool: KeyPool,
        slot: Slot,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        shift: int,
        started: float | None,
    ) -> Call:
        """Go on the long way after a first attempt that was granted on the hot path."""
        try:
            call = self.call(pool, args, kwargs, shift, started)
        except BaseException:  # the user's `tokens` may raise
            slot.done.append(None)
            raise
        return call.adopt(slot)

    def _tokens(
        self, pool: KeyPool, model: str | None, args: tuple[Any, ...], kwargs: Mapping[str, Any], shift: int
    ) -> int:
        tokens = self.tokens
        if tokens is None:
            return tokens_needed(self.plan.named(args, kwargs, shift), model) if pool.counts_tokens else 0
        return check_tokens(tokens(*args, **kwargs)) if callable(tokens) else tokens


def make_wrapper(kind: str, plan: Plan, options: Mapping[str, Any]) -> Callable[..., Any]:
    """Make the wrapper (as wrapt calls it) of a function of this kind."""
    settings = _Settings(plan, options)
    return _MAKERS[kind](settings)


def _function(settings: _Settings) -> Callable[..., Any]:
    plan, own_pool, timed, find_model = settings.plan, settings.pool, settings.timed, settings.find_model
    loose = settings.affinity is None and not settings.plan.lends
    is_given, fill, short, first = plan.is_given, plan.fill, plan.short, plan.first
    foreign = plan.credentials.isdisjoint

    def function(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        shift = 0 if instance is None else 1
        named, model = len(args) + shift > first, None
        if kwargs:
            named = named or not foreign(kwargs)
            model = kwargs.get("model")
        if named and is_given(args, kwargs, shift):
            return wrapped(*args, **kwargs)
        pool = own_pool if own_pool is not None else _KeyManager.instance
        if pool is None:
            pool = manager.current()
        if model is None and find_model is not None:
            model = find_model(args, shift)
        started = pool.store.now() if timed or pool.timeout is not None else None
        quick = pool.quick
        slot = quick(model) if loose else None
        if slot is None:
            call = settings.call(pool, args, kwargs, shift, started)
        else:
            try:
                if short and not named:
                    value = wrapped(*args, api_key=slot.secret, **kwargs)
                else:
                    filled_args, filled = fill(slot.member, args, kwargs, shift)
                    value = wrapped(*filled_args, **filled)
            except BaseException as error:
                call = settings.resume(pool, slot, args, kwargs, shift, started)
                if not call.failed(error):
                    raise
            else:
                slot.done.append(None)
                return value
        for attempt in call.attempts():
            with attempt:
                filled_args, filled = fill(attempt, args, kwargs, shift)
                return attempt.result(wrapped(*filled_args, **filled))
        raise AssertionError("attempts end by raising")

    return function


def _coroutine(settings: _Settings) -> Callable[..., Any]:
    plan, own_pool, timed, find_model = settings.plan, settings.pool, settings.timed, settings.find_model
    loose = settings.affinity is None and not settings.plan.lends
    is_given, fill, short, first = plan.is_given, plan.fill, plan.short, plan.first
    foreign = plan.credentials.isdisjoint

    async def coroutine(
        wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        shift = 0 if instance is None else 1
        named, model = len(args) + shift > first, None
        if kwargs:
            named = named or not foreign(kwargs)
            model = kwargs.get("model")
        if named and is_given(args, kwargs, shift):
            return await wrapped(*args, **kwargs)
        pool = own_pool if own_pool is not None else _KeyManager.instance
        if pool is None:
            pool = manager.current()
        if model is None and find_model is not None:
            model = find_model(args, shift)
        started = pool.store.now() if timed or pool.timeout is not None else None
        quick = pool.quick
        slot = quick(model) if loose else None
        if slot is None:
            call = settings.call(pool, args, kwargs, shift, started)
        else:
            try:
                if short and not named:
                    value = await wrapped(*args, api_key=slot.secret, **kwargs)
                else:
                    filled_args, filled = fill(slot.member, args, kwargs, shift)
                    value = await wrapped(*filled_args, **filled)
            except BaseException as error:
                call = settings.resume(pool, slot, args, kwargs, shift, started)
                if not call.failed(error):
                    raise
            else:
                slot.done.append(None)
                return value
        async for attempt in call.attempts():
            with attempt:
                filled_args, filled = fill(attempt, args, kwargs, shift)
                return attempt.result(await wrapped(*filled_args, **filled))
        raise AssertionError("attempts end by raising")

    return coroutine


def _generator(settings: _Settings) -> Callable[..., Any]:  # noqa: C901, PLR0915  # the short way has no frame to spare
    plan, own_pool, timed, find_model = settings.plan, settings.pool, settings.timed, settings.find_model
    loose = settings.affinity is None and not settings.plan.lends
    is_given, fill, short, first = plan.is_given, plan.fill, plan.short, plan.first
    foreign = plan.credentials.isdisjoint

    def generator(  # noqa: C901, PLR0912
        wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Generator[Any, Any, Any]:
        shift = 0 if instance is None else 1
        named, model = len(args) + shift > first, None
        if kwargs:
            named = named or not foreign(kwargs)
            model = kwargs.get("model")
        if named and is_given(args, kwargs, shift):
            return (yield from wrapped(*args, **kwargs))
        pool = own_pool if own_pool is not None else _KeyManager.instance
        if pool is None:
            pool = manager.current()
        if model is None and find_model is not None:
            model = find_model(args, shift)
        started = pool.store.now() if timed or pool.timeout is not None else None
        quick = pool.quick
        slot = quick(model) if loose else None
        if slot is None:
            call = settings.call(pool, args, kwargs, shift, started)
        else:
            begun = False
            try:
                if short and not named:
                    source = wrapped(*args, api_key=slot.secret, **kwargs)
                else:
                    filled_args, filled = fill(slot.member, args, kwargs, shift)
                    source = wrapped(*filled_args, **filled)
                # The relaying of `relay`, without a generator in between: it took a third of the time of the whole.
                try:
                    item = next(source)
                except StopIteration as end:
                    value = end.value
                else:
                    begun = True
                    try:
                        sent = yield item
                    except GeneratorExit:
                        source.close()
                        raise
                    except BaseException as thrown:  # noqa: BLE001  # what the consumer throws belongs to the source
                        value = yield from pass_on(source, source.throw, thrown)
                    else:
                        value = yield from (source if sent is None else pass_on(source, source.send, sent))
            except BaseException as error:
                call = settings.resume(pool, slot, args, kwargs, shift, started)
                if not call.failed(error, begun=begun):
                    raise
            else:
                slot.done.append(None)
                return value
        for attempt in call.attempts():
            with attempt:
                filled_args, filled = fill(attempt, args, kwargs, shift)
                return (yield from relay(wrapped(*filled_args, **filled), attempt.begun))
        raise AssertionError("attempts end by raising")

    return generator


def _async_generator(settings: _Settings) -> Callable[..., Any]:  # noqa: C901, PLR0915  # nor here
    plan, own_pool, timed, find_model = settings.plan, settings.pool, settings.timed, settings.find_model
    loose = settings.affinity is None and not settings.plan.lends
    is_given, fill, short, first = plan.is_given, plan.fill, plan.short, plan.first
    foreign = plan.credentials.isdisjoint

    async def async_generator(  # noqa: C901, PLR0912, PLR0915
        wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> AsyncGenerator[Any, Any]:
        shift = 0 if instance is None else 1
        named, model = len(args) + shift > first, None
        if kwargs:
            named = named or not foreign(kwargs)
            model = kwargs.get("model")
        given = named and is_given(args, kwargs, shift)
        slot = call = None
        if not given:
            pool = own_pool if own_pool is not None else _KeyManager.instance
            if pool is None:
                pool = manager.current()
            if model is None and find_model is not None:
                model = find_model(args, shift)
            started = pool.store.now() if timed or pool.timeout is not None else None
            quick = pool.quick
            slot = quick(model) if loose else None
            if slot is None:
                call = settings.call(pool, args, kwargs, shift, started)
        while True:
            if slot is None and not given:
                attempt = await call.attempts().__anext__()  # type: ignore[union-attr]  # there is a call, then
            item, source = _NOTHING, None
            # `async for` takes two thirds of the time of `while True: item = await source.__anext__()`.
            try:
                if slot is not None and short and not named:
                    items = source = wrapped(*args, api_key=slot.secret, **kwargs)
                elif given:
                    items = source = wrapped(*args, **kwargs)
                else:
                    filled_args, filled = fill(attempt if slot is None else slot.member, args, kwargs, shift)
                    items = source = wrapped(*filled_args, **filled)
                while True:
                    async for item in items:
                        try:
                            sent = yield item
                        except GeneratorExit:
                            raise
                        except BaseException as thrown:  # noqa: BLE001  # what the consumer throws belongs to the source
                            items = PassOn(source, source.athrow(thrown))
                            break
                        if sent is not None:
                            items = PassOn(source, source.asend(sent))
                            break
                    else:
                        break  # the source has come to its end
            except BaseException as error:
                try:
                    if source is not None:
                        await source.aclose()
                finally:
                    if not given:
                        if slot is not None and pool is not None:
                            call, slot = settings.resume(pool, slot, args, kwargs, shift, started), None
                        goes_on = call is not None and call.failed(error, begun=item is not _NOTHING)
                if given or not goes_on:
                    raise
            else:
                if slot is not None:
                    slot.done.append(None)
                elif call is not None:
                    attempt.done()
                return

    return async_generator


_MAKERS: Final[dict[str, Callable[[_Settings], Callable[..., Any]]]] = {
    "function": _function,
    "coroutine": _coroutine,
    "generator": _generator,
    "async generator": _async_generator,
}
