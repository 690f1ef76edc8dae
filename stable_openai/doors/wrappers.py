"""The four wrappers of ``@stable``: function, coroutine, generator, async generator.

A call that succeeds at its first attempt takes the short way: ``pool.quick`` grants, ``slot.done.append`` settles, and
neither the failover loop nor tenacity is touched. Everything else is the loop's business. They are closures, and alike
but for ``await`` and ``yield``: the short way has no frame to spare (each costs a tenth of what a call may cost).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from stable_openai.errors import ConfigurationError
from stable_openai.failover.attempts import Call
from stable_openai.failover.patience import Patience
from stable_openai.failover.relays import relay
from stable_openai.pool import manager
from stable_openai.pool.usage import estimate_tokens

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Mapping

    from stable_openai.keys import Key
    from stable_openai.pool.pool import KeyPool

    from .injection import Plan

__all__ = ["make_wrapper"]

_PATIENCE: Final = ("max_wait", "timeout", "stop", "wait")
_OPTIONS: Final = ("pool", "model", "tokens", *_PATIENCE)
_KeyManager: Final = manager.KeyManager


class _Settings:
    """One function's plan and options, and what follows from them for a call. Nothing of a call is kept here."""

    __slots__ = ("model", "patience", "plan", "pool", "tokens")

    def __init__(self, plan: Plan, options: Mapping[str, Any]) -> None:
        unknown = sorted(set(options) - set(_OPTIONS))
        if unknown:
            raise ConfigurationError(unknown[0], f"is no option of @stable; known are {', '.join(_OPTIONS)}")
        self.plan = plan
        self.pool: KeyPool | None = options.get("pool")
        if self.pool is not None and not hasattr(self.pool, "quick"):
            raise ConfigurationError("pool", f"must be a KeyPool, not {type(self.pool).__name__}")
        self.model: str | None = options.get("model")
        self.tokens: int | Callable[..., int] | None = options.get("tokens")
        self.patience = Patience(**{name: options[name] for name in _PATIENCE if name in options})

    def call(self, pool: KeyPool, args: tuple[Any, ...], kwargs: Mapping[str, Any], shift: int) -> Call:
        """Begin the long way."""
        model = self.model if self.model is not None else self.plan.argument("model", args, kwargs, shift)
        return Call(
            pool, self.patience, model if isinstance(model, str) else None, self._tokens(pool, args, kwargs, shift)
        )

    def _tokens(self, pool: KeyPool, args: tuple[Any, ...], kwargs: Mapping[str, Any], shift: int) -> int:
        tokens = self.tokens
        if tokens is None:
            return estimate_tokens(self.plan.named(args, kwargs, shift)) if pool.counts_tokens else 0
        return tokens(*args, **kwargs) if callable(tokens) else tokens


def make_wrapper(kind: str, plan: Plan, options: Mapping[str, Any]) -> Callable[..., Any]:
    """Make the wrapper (as wrapt calls it) of a function of this kind."""
    settings = _Settings(plan, options)
    return _MAKERS[kind](settings)


def _function(settings: _Settings) -> Callable[..., Any]:
    plan, own_pool, own_model = settings.plan, settings.pool, settings.model
    is_given, fill, short = plan.is_given, plan.fill, plan.short

    def function(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        shift = 0 if instance is None else 1
        if is_given(args, kwargs, shift):
            return wrapped(*args, **kwargs)
        pool = own_pool or _KeyManager.instance or manager.current()
        slot = pool.quick(own_model or kwargs.get("model"))
        if slot is None:
            call = settings.call(pool, args, kwargs, shift)
        else:
            try:
                if short:
                    value = wrapped(*args, api_key=slot.secret, **kwargs)
                else:
                    filled_args, filled = fill(slot.member.key, args, kwargs, shift)
                    value = wrapped(*filled_args, **filled)
            except BaseException as error:
                call = settings.call(pool, args, kwargs, shift).adopt(slot)
                if not call.failed(error):
                    raise
            else:
                slot.done.append(None)
                return value
        for attempt in call.attempts():
            with attempt:
                filled_args, filled = fill(attempt.key, args, kwargs, shift)
                return attempt.result(wrapped(*filled_args, **filled))
        raise AssertionError("attempts end by raising")

    return function


def _coroutine(settings: _Settings) -> Callable[..., Any]:
    plan, own_pool, own_model = settings.plan, settings.pool, settings.model
    is_given, fill, short = plan.is_given, plan.fill, plan.short

    async def coroutine(
        wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        shift = 0 if instance is None else 1
        if is_given(args, kwargs, shift):
            return await wrapped(*args, **kwargs)
        pool = own_pool or _KeyManager.instance or manager.current()
        slot = pool.quick(own_model or kwargs.get("model"))
        if slot is None:
            call = settings.call(pool, args, kwargs, shift)
        else:
            try:
                if short:
                    value = await wrapped(*args, api_key=slot.secret, **kwargs)
                else:
                    filled_args, filled = fill(slot.member.key, args, kwargs, shift)
                    value = await wrapped(*filled_args, **filled)
            except BaseException as error:
                call = settings.call(pool, args, kwargs, shift).adopt(slot)
                if not call.failed(error):
                    raise
            else:
                slot.done.append(None)
                return value
        async for attempt in call.attempts():
            with attempt:
                filled_args, filled = fill(attempt.key, args, kwargs, shift)
                return attempt.result(await wrapped(*filled_args, **filled))
        raise AssertionError("attempts end by raising")

    return coroutine


def _generator(settings: _Settings) -> Callable[..., Any]:
    plan, own_pool, own_model = settings.plan, settings.pool, settings.model
    is_given, fill = plan.is_given, plan.fill

    def generator(
        wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Generator[Any, Any, Any]:
        shift = 0 if instance is None else 1
        if is_given(args, kwargs, shift):
            return (yield from wrapped(*args, **kwargs))
        pool = own_pool or _KeyManager.instance or manager.current()
        slot = pool.quick(own_model or kwargs.get("model"))
        if slot is None:
            call = settings.call(pool, args, kwargs, shift)
        else:
            begun: list[None] = []
            try:
                filled_args, filled = fill(slot.member.key, args, kwargs, shift)
                value = yield from relay(wrapped(*filled_args, **filled), begun)
            except BaseException as error:
                call = settings.call(pool, args, kwargs, shift).adopt(slot)
                if not call.failed(error, begun=bool(begun)):
                    raise
            else:
                slot.done.append(None)
                return value
        for attempt in call.attempts():
            with attempt:
                filled_args, filled = fill(attempt.key, args, kwargs, shift)
                return (yield from relay(wrapped(*filled_args, **filled), attempt.begun))
        raise AssertionError("attempts end by raising")

    return generator


def _async_generator(settings: _Settings) -> Callable[..., Any]:
    plan, own_pool, own_model = settings.plan, settings.pool, settings.model
    is_given, fill = plan.is_given, plan.fill

    async def async_generator(
        wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> AsyncGenerator[Any, Any]:
        shift = 0 if instance is None else 1
        given = is_given(args, kwargs, shift)
        pool = own_pool or _KeyManager.instance or manager.current()
        slot = None if given else pool.quick(own_model or kwargs.get("model"))
        call = attempts = None
        while True:
            key: Key | None = None
            if slot is not None:
                key = slot.member.key
            elif not given:
                call = call or settings.call(pool, args, kwargs, shift)
                attempts = attempts or call.attempts()
                key = (await attempts.__anext__()).key
            filled_args, filled = (args, kwargs) if key is None else fill(key, args, kwargs, shift)
            begun = False
            source = wrapped(*filled_args, **filled)
            # An async generator has no `yield from`, so the relaying of DESIGN, "Streams", stands here in full.
            try:
                item = await source.__anext__()
                begun = True
                while True:
                    try:
                        sent = yield item
                    except GeneratorExit:
                        raise
                    except BaseException as thrown:  # noqa: BLE001  # what the consumer throws belongs to the source
                        item = await source.athrow(thrown)
                    else:
                        item = await (source.__anext__() if sent is None else source.asend(sent))
            except StopAsyncIteration:
                if slot is not None:
                    slot.done.append(None)
                elif call is not None:
                    call.succeeded(None)
                return
            except BaseException as error:
                if given:
                    raise
                if slot is not None:
                    call = settings.call(pool, args, kwargs, shift).adopt(slot)
                    slot = None
                assert call is not None  # noqa: S101  # made above, or before the attempt
                if not call.failed(error, begun=begun):
                    raise
            finally:
                await source.aclose()

    return async_generator


_MAKERS: Final[dict[str, Callable[[_Settings], Callable[..., Any]]]] = {
    "function": _function,
    "coroutine": _coroutine,
    "generator": _generator,
    "async generator": _async_generator,
}
