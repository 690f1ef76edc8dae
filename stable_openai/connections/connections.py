"""``Connections``: httpx clients that share their connections."""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final

from stable_openai.errors import ConfigurationError

from .loops import Loops
from .pools import Pools
from .transports import close_all, flavour

if TYPE_CHECKING:
    import ssl

    import openai

__all__ = ["Connections"]


class _Builder:
    """Makes the httpx clients behind the light ones, all with one TLS context."""

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._tls: ssl.SSLContext | None = None

    def tls(self) -> ssl.SSLContext:
        """The TLS context, made once: it takes 20 to 180 ms to read the certificates of the authorities."""
        if self._tls is None:
            with self._lock:
                if self._tls is None:
                    self._tls = flavour().make_tls()
        return self._tls

    def build(self) -> Any:
        return flavour().client(verify=self.tls())

    def build_async(self) -> Any:
        return flavour().async_client(verify=self.tls())


class Connections:
    """HTTP connections that any number of httpx clients share, safe in threads, event loops and after a fork.

    The clients that it hands out are light. Each has its own timeouts, cookies and ``close()``, which closes no
    connection. Requests of one origin (scheme, host, port) share a pool of open connections; async ones do so per
    running event loop, and each client works in all of them. All pools share one TLS context. Limits, redirects and
    proxies are those that openai gives its own clients. Nothing is imported or opened before a client is asked for.

    Connections of a loop end with it (``asyncio.run`` sees to that); the rest at ``close()``, or when this and the last
    of its clients are collected. A request that is made even later has a connection of its own, which ends with it:
    clients that outlive this go on working. In a forked child everything is opened anew, and the parent's left alone.

    Args:
        max_origins: The most origins to keep connections to, in each event loop and outside; beyond, the one used
            longest ago is closed as soon as no request runs over it.

    Raises:
        ConfigurationError: ``max_origins`` is less than 1.
    """

    def __init__(self, *, max_origins: int = 64) -> None:
        if max_origins < 1:
            raise ConfigurationError("max_origins", f"must be 1 or more, not {max_origins!r}")
        self._max_origins = max_origins
        self._start_afresh()
        _all.add(self)

    def _start_afresh(self) -> None:
        lock = threading.RLock()
        self._builder = builder = _Builder(lock)
        most = self._max_origins
        self._pools = Pools(builder.build, most, lock)
        self._loops = Loops(lambda: Pools(builder.build_async, most, lock), lock)
        self._finalizer = weakref.finalize(self, _close, self._pools, self._loops)

    # -- clients

    def client(self, base_url: str | None = None) -> openai.DefaultHttpxClient:
        """Make a light httpx client over the shared connections.

        Args:
            base_url: What relative addresses are relative to; openai's clients need none.
        """
        self._builder.tls()  # where its certificates can't be read, this is the time to say so
        made: openai.DefaultHttpxClient = flavour().client(
            transport=flavour().transport(self._current), base_url=base_url or ""
        )
        return made

    def async_client(self, base_url: str | None = None) -> openai.DefaultAsyncHttpxClient:
        """Make a light async httpx client over the shared connections; it can be made and used in any event loop.

        Args:
            base_url: What relative addresses are relative to; openai's clients need none.
        """
        self._builder.tls()
        made: openai.DefaultAsyncHttpxClient = flavour().async_client(
            transport=flavour().async_transport(self._acurrent), base_url=base_url or ""
        )
        return made

    def _current(self) -> Pools:
        return self._pools

    async def _acurrent(self) -> Pools:
        return await self._loops.current()

    # -- the end

    def close(self) -> None:
        """Close the connections.

        Those over which a request runs are closed as it ends. Those of event loops are closed in their loop, as soon as
        it comes to it.
        """
        _close(self._pools, self._loops)

    async def aclose(self) -> None:
        """Close the connections; those of the loop that runs are closed when this returns."""
        close_all(self._pools.end())
        await self._loops.aclose()

    def __enter__(self) -> Connections:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    async def __aenter__(self) -> Connections:
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<Connections to {len(self._pools)} origins, and in {len(self._loops)} event loops>"

    def after_fork(self) -> None:
        """Open everything anew in a forked child: the parent's sockets are neither used nor closed."""
        self._finalizer.detach()
        _inherited.append((self._pools, self._loops))
        self._start_afresh()


def _close(pools: Pools, loops: Loops) -> None:
    close_all(pools.end())
    loops.close()


_all: Final[weakref.WeakSet[Connections]] = weakref.WeakSet()
_inherited: Final[list[object]] = []  # kept, for what is collected is closed


def _after_fork() -> None:
    for connections in tuple(_all):
        connections.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
