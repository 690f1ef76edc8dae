"""``PoolAuth``: keys of a pool for a session of requests as it is, with nothing mounted."""

from __future__ import annotations

import itertools
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from .aims import PreparedAim
from .terms import Terms, WholeExchange, origin_of

if TYPE_CHECKING:
    from requests import PreparedRequest, Response
    from typing_extensions import Unpack

    from stable_openai.failover.attempts import Attempt, Attempts
    from stable_openai.pool.pool import KeyPool

    from .terms import Bounds

__all__ = ["Begun", "Leased", "Mark", "PoolAuth", "mark_of"]


class PoolAuth:
    """``session.auth = PoolAuth(pool)``, or ``requests.post(…, auth=PoolAuth(pool))``: any request gets a key.

    An answer that another key may better is asked for again with that key, as ``HTTPDigestAuth`` does; a stream, until
    its first content. What requests does not tell an auth is a connection that breaks before there is an answer: for
    failover then, mount a ``PoolAdapter`` as well, or alone. A header ``Authorization`` of the caller's own wins.

    Args:
        pool: Where keys come from; default: the process-wide ``KeyManager()``.
        base_url: The part of an address that stands for the provider, as for ``PoolAdapter``.
        bounds: ``max_wait`` and ``timeout`` in seconds, ``stop``, ``wait`` and ``affinity``, as ``@stable`` takes them.

    Raises:
        ConfigurationError: An option is unknown or wrong.
        NoKeyAvailable: (by a request) no key is free in time, and the provider has answered nothing.
    """

    def __init__(self, pool: KeyPool | None = None, *, base_url: str | None = None, **bounds: Unpack[Bounds]) -> None:
        self._terms = Terms.of(pool, base_url, bounds)

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Give a request a key, at the moment at which it is prepared; for the session."""
        if not hasattr(request, "register_hook"):
            raise TypeError(
                "PoolAuth is for requests; to a client of httpx, give transport=stable_openai.Transport(pool)"
            )
        exchange = self._terms.begin(str(request.url), request.headers, request.body, PreparedAim, Begun)
        if exchange is not None:
            Leased(exchange, request)
        return request

    def __repr__(self) -> str:
        return f"<PoolAuth over {self._terms.whence}>"


class Begun(WholeExchange):
    """An exchange whose first key was taken before there is anybody to send."""

    __slots__ = ("_first",)

    _first: Attempt

    def take_first(self) -> Attempt:
        """Take it.

        Raises:
            StableError: There is none.
        """
        self._first = next(super().attempts())
        return self._first

    def attempts(self) -> Attempts:
        """The attempts, that one first."""
        return cast("Attempts", itertools.chain([self._first], super().attempts()))


class Mark:
    """Travels with a request, as one of its hooks, through all redirects: they must not take a key elsewhere."""

    def __init__(self, request: PreparedRequest) -> None:
        self.origin = origin_of(str(request.url))
        request.register_hook("response", self)

    def __call__(self, response: Response, **_: Any) -> Response:
        """Nothing is to be done about an answer."""
        return response


def mark_of(request: PreparedRequest) -> Mark | None:
    """The mark that a request has, if any."""
    return next((hook for hook in request.hooks["response"] if isinstance(hook, Mark)), None)


class Leased(Mark):
    """The key of one request, from when that is prepared to when its answer is complete.

    Args:
        exchange: What decides; its first key is taken here.
        request: The request. It gets the key, and this as a hook that looks at the answer.
    """

    _exchange: Begun | None = None

    def __init__(self, exchange: Begun, request: PreparedRequest) -> None:
        self._original = request.copy()
        self._original.hooks = {"response": []}
        attempt = exchange.take_first()
        try:
            outgoing = exchange.outgoing(request, attempt)
        except BaseException as error:
            exchange.broke(error)
            raise
        self._exchange = exchange
        super().__init__(request)
        request.headers, request.url = outgoing.headers, outgoing.url
        self.credential = outgoing.headers["Authorization"]
        self._redirected = False

    def take_over(self) -> tuple[Begun, PreparedRequest] | None:
        """The exchange and the request without its key, for an adapter of ours; None where it is over."""
        exchange, self._exchange = self._exchange, None
        return None if exchange is None else (exchange, self._original)

    def __call__(self, response: Response, **options: Any) -> Response:
        """Look at an answer, and ask for a better one where another key may have it."""
        if response.is_redirect:
            self._redirected = True
            return response
        taken = self.take_over()
        if taken is None:
            return response
        exchange, request = taken
        if self._redirected:  # only requests knows where this is from by now: no key is blamed for it
            exchange.call.succeeded(None)
            return response
        answers = [response]

        def transmit(outgoing: PreparedRequest) -> Response:
            if answers:
                return answers.pop()
            started = time.perf_counter()
            again: Response = response.connection.send(outgoing, **options)
            again.elapsed = timedelta(seconds=time.perf_counter() - started)
            return again

        from .requests_replies import drive  # only where requests is in use, as it is here

        return drive(exchange, request, transmit, stream=options.get("stream", False))

    def __del__(self) -> None:
        if self._exchange is not None:  # never sent, or it broke; the exchange was told nothing
            self._exchange.broke(GeneratorExit())
