"""``PoolAdapter``: failover beneath a session of requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .aims import PreparedAim
from .requests_auth import Leased, Mark, mark_of
from .terms import BOUNDS, Terms, WholeExchange, origin_of

if TYPE_CHECKING:
    from requests import PreparedRequest, Response
    from requests.adapters import HTTPAdapter

    from stable_openai.exchange import Exchange
    from stable_openai.pool.pool import KeyPool
else:
    try:
        from requests.adapters import HTTPAdapter
    except ImportError:

        class HTTPAdapter:
            """Stands where requests is not installed, so that the name can be imported even so."""

            __attrs__ = ()

            def __init__(self, **_: Any) -> None:
                raise ModuleNotFoundError("PoolAdapter needs requests: pip install requests", name="requests")


__all__ = ["PoolAdapter"]


class PoolAdapter(HTTPAdapter):
    """An adapter over the keys of a pool: ``session.mount("https://", stable_openai.PoolAdapter(pool))``.

    Each request gets a key that is free, and goes on with another one where that fails; of a stream, until its first
    content. It backs off from the provider's own trouble. What the session gets at last is the provider's own response,
    or requests' own exception. A request with an ``Authorization`` (or ``api-key``) of the caller's own goes out as it
    is. With ``session.auth = PoolAuth(…)`` as well, both use the one key. Safe in threads.

    Args:
        pool: Where keys come from; default: the process-wide ``KeyManager()``.
        base_url: The part of an address that stands for the provider. Only requests beneath it get a key, and those
            move to the endpoint of a key that has a ``base_url``. Default: all get a key, and those move that are
            beneath ``https://api.openai.com/v1``.
        options: ``max_wait`` and ``timeout`` in seconds, ``stop``, ``wait`` and ``affinity``, as ``@stable`` takes
            them; and those of ``HTTPAdapter`` (``pool_maxsize``, ``max_retries``…).

    Raises:
        ConfigurationError: An option is wrong.
        ModuleNotFoundError: requests is not installed.
        NoKeyAvailable: (by a request) no key is free in time, and the provider has answered nothing.
    """

    # What pickling keeps: that is refused where the pool is one of one's own.
    __attrs__ = [*HTTPAdapter.__attrs__, "_terms"]  # noqa: RUF012  # requests' own

    def __init__(self, pool: KeyPool | None = None, *, base_url: str | None = None, **options: Any) -> None:
        bounds = {name: options.pop(name) for name in BOUNDS if name in options}
        self._terms = Terms.of(pool, base_url, bounds)
        super().__init__(**options)

    def send(self, request: PreparedRequest, stream: bool = False, *args: Any, **options: Any) -> Response:  # noqa: FBT001, FBT002  # requests' own signature
        """Send a request over the pool; for the session."""
        begun = self._begin(request)
        if begun is None:
            return super().send(request, stream, *args, **options)
        exchange, request = begun
        transmit = super().send

        from .requests_replies import drive  # it needs requests

        return drive(exchange, request, lambda outgoing: transmit(outgoing, stream, *args, **options), stream=stream)

    def _begin(self, request: PreparedRequest) -> tuple[Exchange, PreparedRequest] | None:
        """Begin an exchange for a request; None: it is none of the pool's."""
        mark = mark_of(request) or Mark(request)
        origin = origin_of(str(request.url))
        if isinstance(mark, Leased):
            taken = mark.take_over()
            if taken is not None:
                return taken
            if request.headers.get("Authorization") == mark.credential:  # of a request that is sent once more
                request = request.copy()
                del request.headers["Authorization"]
        if mark.origin != origin:
            return None  # a redirect leads elsewhere
        exchange = self._terms.begin(str(request.url), request.headers, request.body, PreparedAim, WholeExchange)
        return None if exchange is None else (exchange, request)

    def __repr__(self) -> str:
        return f"<PoolAdapter over {self._terms.whence}>"
