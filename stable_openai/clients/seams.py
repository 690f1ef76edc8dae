"""Where openai's clients are opened: ``request`` begins an exchange, and each HTTP request of it goes through that.

openai's own loop stays in charge of what is the provider's trouble (``max_retries``, its waits, its logging); what is a
matter of the key never reaches it. Versions before 2.21 send by ``self._client.send``, later ones by
``self._send_request``: both lead here.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar, Final

import openai
from openai._base_client import AsyncAPIClient, SyncAPIClient

from stable_openai.exchange import Ended, asend, send
from stable_openai.verdict import Reason

from . import resource_locks  # noqa: F401  # which minds them
from .errors import as_client_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stable_openai.exchange import Exchange, Observation

__all__ = ["AsyncSeam", "SyncSeam", "raise_ended"]

_current: Final[ContextVar[tuple[Any, Exchange | Observation] | None]] = ContextVar(
    "stable_openai_exchange", default=None
)


def _exchange_of(client: Any) -> Exchange | Observation | None:
    """The exchange of the request that this client is making here; another client's is none of its business."""
    found = _current.get()
    return found[1] if found is not None and found[0] is client else None


def raise_ended(ended: Ended) -> Any:
    """Raise what has ended a request, in the place of what has carried it."""
    error = as_client_error(ended.error)
    raise error from error.__cause__


def _send_in_time(exchange: Exchange, request: Any, transmit: Callable[[Any], Any]) -> Any:
    """As ``send``; for openai's loop neither asks where a connection broke, nor again when it has rested."""
    if exchange.is_late():
        return _ended_late(exchange, request)
    try:
        return send(exchange, request, transmit)
    except Exception as error:
        if exchange.is_late() and exchange.last is error:
            _ended_late(exchange, request)
        raise


async def _asend_in_time(exchange: Exchange, request: Any, transmit: Callable[[Any], Awaitable[Any]]) -> Any:
    """The twin of ``_send_in_time`` for tasks."""
    if exchange.is_late():
        return _ended_late(exchange, request)
    try:
        return await asend(exchange, request, transmit)
    except Exception as error:
        if exchange.is_late() and exchange.last is error:
            _ended_late(exchange, request)
        raise


def _ended_late(exchange: Exchange, request: Any) -> Any:
    """The last answer, whose error openai raises itself.

    Raises:
        Ended: There was none; what openai makes of a connection that broke.
    """
    last = exchange.last
    if not isinstance(last, Exception):
        return last
    timed_out = exchange.call.verdict is not None and exchange.call.verdict.reason is Reason.TIMEOUT
    error = (openai.APITimeoutError if timed_out else openai.APIConnectionError)(request=request)
    error.__cause__ = last
    exchange.note(error)
    raise Ended(error)


class _Seam:
    """What the clients of both kinds have in common."""

    def _begin(self, options: Any) -> Exchange | Observation | None:
        """Begin an exchange; None: the request is none of the pool's."""
        raise NotImplementedError

    def copy(self, **options: Any) -> Any:
        """As openai has it; also from within a request, as its hooks may."""
        token = _current.set(None)  # so that what stands for the HTTP client does not get into the copy
        try:
            return super().copy(**options)  # type: ignore[misc]  # openai's own
        finally:
            _current.reset(token)

    def _should_retry(self, response: Any) -> bool:
        exchange = _exchange_of(self)
        if exchange is not None and exchange.is_over:
            return False
        return bool(super()._should_retry(response))  # type: ignore[misc]  # openai's own


class SyncSeam(_Seam):
    """To be mixed into a subclass of ``openai.OpenAI``, in front of it."""

    _drive: ClassVar[Callable[..., Any]] = staticmethod(_send_in_time)

    def request(self, cast_to: Any, options: Any, *args: Any, **kwargs: Any) -> Any:
        """Make a request as openai does, under the keys of the pool."""
        exchange = self._begin(options)
        if exchange is None:
            return super().request(cast_to, options, *args, **kwargs)  # type: ignore[misc]  # openai's own
        token = _current.set((self, exchange))
        try:
            return super().request(cast_to, options, *args, **kwargs)  # type: ignore[misc]
        except Ended as ended:
            return raise_ended(ended)
        except Exception as error:
            exchange.note(error)
            raise
        finally:
            _current.reset(token)

    def _send_request(self, request: Any, **kwargs: Any) -> Any:
        exchange = _exchange_of(self)
        transmit = super()._send_request  # type: ignore[misc]
        if exchange is None or not exchange.aim.is_ours(request):
            return transmit(request, **kwargs)
        return self._drive(exchange, request, lambda outgoing: transmit(outgoing, **kwargs))


class AsyncSeam(_Seam):
    """To be mixed into a subclass of ``openai.AsyncOpenAI``, in front of it."""

    _drive: ClassVar[Callable[..., Any]] = staticmethod(_asend_in_time)

    async def request(self, cast_to: Any, options: Any, *args: Any, **kwargs: Any) -> Any:
        """Make a request as openai does, under the keys of the pool."""
        exchange = self._begin(options)
        if exchange is None:
            return await super().request(cast_to, options, *args, **kwargs)  # type: ignore[misc]  # openai's own
        token = _current.set((self, exchange))
        try:
            return await super().request(cast_to, options, *args, **kwargs)  # type: ignore[misc]
        except Ended as ended:
            return raise_ended(ended)
        except Exception as error:
            exchange.note(error)
            raise
        finally:
            _current.reset(token)

    async def _send_request(self, request: Any, **kwargs: Any) -> Any:
        exchange = _exchange_of(self)
        transmit = super()._send_request  # type: ignore[misc]
        if exchange is None or not exchange.aim.is_ours(request):
            return await transmit(request, **kwargs)
        return await self._drive(exchange, request, lambda outgoing: transmit(outgoing, **kwargs))


class _Sender:
    """Stands for the HTTP client while an older openai makes a request: all is the client's own but ``send``."""

    def __init__(self, client: Any, exchange: Exchange | Observation, send_all: Any) -> None:
        self._own = client
        self._exchange = exchange
        self._send_all = send_all

    def send(self, request: Any, **kwargs: Any) -> Any:
        """Send over the pool; a coroutine where the client is async."""
        transmit = self._own.send
        if not self._exchange.aim.is_ours(request):
            return transmit(request, **kwargs)
        return self._send_all(self._exchange, request, lambda outgoing: transmit(outgoing, **kwargs))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)


class _HttpClient:
    """The attribute ``_client`` of a client of openai before 2.21: the HTTP client, or what stands for it."""

    def __set__(self, instance: Any, client: Any) -> None:
        instance.__dict__["_http_client"] = client

    def __get__(self, instance: Any, owner: Any) -> Any:
        if instance is None:
            return self
        try:
            client = instance.__dict__["_http_client"]
        except KeyError:
            raise AttributeError("_client") from None  # openai asks by `hasattr`
        exchange = _exchange_of(instance)
        return client if exchange is None else _Sender(client, exchange, instance._drive)  # noqa: SLF001  # ours


for _base, _seam in ((SyncAPIClient, SyncSeam), (AsyncAPIClient, AsyncSeam)):
    if not hasattr(_base, "_send_request"):
        delattr(_seam, "_send_request")
        setattr(_seam, "_client", _HttpClient())  # noqa: B010  # mypy knows of no such attribute
