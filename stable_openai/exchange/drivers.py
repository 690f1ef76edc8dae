"""The two drivers of an exchange: in a thread, and in a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stable_openai.errors import StableError

from .streams import watched, watched_async

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .exchange import Exchange

__all__ = ["asend", "send"]


def send(exchange: Exchange, request: Any, transmit: Callable[[Any], Any]) -> Any:
    """Send a request under one key after the other until an answer ends it.

    Args:
        exchange: What decides.
        request: An httpx request.
        transmit: What really sends one, and returns the response, whose body may still be coming.

    Returns:
        The response; a stream is settled when it is over.

    Raises:
        Ended: No key could be had, and there is no answer of the provider's.
    """
    attempts = exchange.attempts()
    while True:
        try:
            attempt = next(attempts)
        except StableError as error:
            return exchange.without_key(error)
        response = stream = watch = None
        try:
            response = transmit(exchange.outgoing(request, attempt))
            if exchange.is_error(response):
                response.read()
            elif not response.is_closed:
                watch = exchange.watch(response)
                stream = watched(response, watch)
                stream.begin(ahead=exchange.reads_ahead)
        except BaseException as error:
            if response is not None:
                response.close()
            if not exchange.broke(error):
                raise
            continue
        if exchange.ends(response, watch):
            if stream is not None:
                stream.pass_on(exchange)
            elif not exchange.is_error(response):
                exchange.ended_well(response)
            return response
        if stream is not None:
            stream.put_by()


async def asend(exchange: Exchange, request: Any, transmit: Callable[[Any], Awaitable[Any]]) -> Any:
    """The twin of ``send`` for tasks."""
    attempts = exchange.attempts()
    while True:
        try:
            attempt = await anext(attempts)
        except StableError as error:
            return exchange.without_key(error)
        response = stream = watch = None
        try:
            response = await transmit(exchange.outgoing(request, attempt))
            if exchange.is_error(response):
                await response.aread()
            elif not response.is_closed:
                watch = exchange.watch(response)
                stream = watched_async(response, watch)
                await stream.begin(ahead=exchange.reads_ahead)
        except BaseException as error:
            try:
                if response is not None:
                    await response.aclose()
            finally:  # a task may be cancelled once more
                goes_on = exchange.broke(error)
            if not goes_on:
                raise
            continue
        if exchange.ends(response, watch):
            if stream is not None:
                stream.pass_on(exchange)
            elif not exchange.is_error(response):
                exchange.ended_well(response)
            return response
        if stream is not None:
            await stream.put_by()
