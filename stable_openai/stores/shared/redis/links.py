"""Which server to talk to, and the way there: one server, the master that sentinels watch, a node of a cluster.

A journal has all its keys in one hash slot, so at any time one node of a cluster has them all. Any node says which.
redis-py retries nothing here: whoever asks knows what may be said twice.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import TYPE_CHECKING, Any, Final

from stable_openai.errors import ConfigurationError, StoreError

from .wire import Refused, Wire

if TYPE_CHECKING:
    from types import ModuleType

    from .urls import Address

__all__ = ["ClusterLink", "Link", "SentinelLink", "link_to"]

_KEEP_ALIVE: Final = {
    getattr(socket, name): seconds
    for name, seconds in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
    if hasattr(socket, name)
}
_REFUSALS: Final = (  # redis-py takes the first word from what the server says, and makes a class of it
    ("AuthenticationError", "NOAUTH"),
    ("BusyLoadingError", "LOADING"),
    ("NoPermissionError", "NOPERM"),
)


def link_to(address: Address, timeout: float) -> Link:
    """Make the link for this kind of address; nothing is opened yet."""
    kinds = {"cluster": ClusterLink, "sentinel": SentinelLink}
    return kinds.get(address.kind, Link)(address, timeout)


class Link:
    """The way to one server, or to one socket on this machine.

    Connecting raises what a ``Wire`` raises.

    Attributes:
        place: Where it leads, for messages.
        follows: Whether an answer that names another node means anything.
    """

    follows = False

    def __init__(self, address: Address, timeout: float) -> None:
        self._address = address
        self._timeout = timeout
        self.place = self._name(*address.hosts[0])

    def connect(self) -> Wire:
        """Connect to the server that has the journal, as far as can be told."""
        return self.connect_to(*self._address.hosts[0])

    def connect_to(self, host: str, port: int) -> Wire:
        """Connect to this server."""
        self.place = self._name(host, port)
        return self._open(host, port, self._timeout, self._address.login, self._address.db)

    def moved(self, host: str, port: int) -> None:
        """Remember that another node has the journal now."""

    def avoid(self) -> None:
        """Try the node that was tried last after all others, the next time."""

    def _name(self, host: str, port: int) -> str:
        scheme = "rediss" if self._address.tls is not None else "redis"
        if not port:
            return f"{scheme}+unix://{host}"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    def _open(self, host: str, port: int, timeout: float, login: dict[str, str], db: int) -> Wire:
        redis = _load_redis()
        options: dict[str, Any] = {
            **login,
            "db": db,
            "protocol": 2,
            "socket_timeout": timeout,
            "socket_connect_timeout": timeout,
            "retry": redis.retry.Retry(redis.backoff.NoBackoff(), 0),
        }
        kind = redis.connection.UnixDomainSocketConnection
        if port:
            kind = redis.connection.Connection if self._address.tls is None else redis.connection.SSLConnection
            options |= {"host": host, "port": port, **(self._address.tls or {})}
            options |= {"socket_keepalive": True, "socket_keepalive_options": _KEEP_ALIVE}
        else:
            options["path"] = host
        connection = kind(**options)
        try:
            connection.connect()
        except BaseException as error:
            connection.disconnect()
            if isinstance(error, redis.RedisError):
                raise self._plainly(error) from error
            raise
        return Wire(connection, timeout)

    def _plainly(self, error: Exception) -> Exception:
        """What redis-py raises, as a ``Wire`` would."""
        names = {kind.__name__ for kind in type(error).__mro__}
        if "TimeoutError" in names:
            return TimeoutError()
        for name, code in _REFUSALS:
            if name in names:
                return Refused(f"{code} {error}")
        if "ResponseError" in names:
            return Refused(str(error))
        if self._address.tls is not None and isinstance(error.__context__, (ssl.CertificateError, FileNotFoundError)):
            return StoreError(f"{self.place}: TLS: {error.__context__}")  # waiting would change nothing
        return ConnectionError(str(error))


class SentinelLink(Link):
    """The way to the master that sentinels watch."""

    def __init__(self, address: Address, timeout: float) -> None:
        super().__init__(address, timeout)
        self._patience = timeout / len(address.hosts)

    def connect(self) -> Wire:
        """Ask the sentinels, one after the other, where the master is, and connect to it."""
        problem: Exception = ConnectionError(f"no sentinel knows a master {self._address.master!r}")
        for host, port in self._address.hosts:
            self.place = self._name(host, port)
            try:
                master = self._ask(host, port)
            except (OSError, Refused) as error:
                problem = error
                continue
            if master is not None:
                return self.connect_to(*master)
        raise problem

    def _ask(self, host: str, port: int) -> tuple[str, int] | None:
        wire = self._open(host, port, self._patience, self._address.sentinel_login, 0)
        try:
            answer = wire.ask(b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", self._address.master.encode())
        finally:
            wire.close()
        return (answer[0].decode(), int(answer[1])) if answer else None


class ClusterLink(Link):
    """The way to the node of a cluster that has the journal's slot."""

    follows = True

    def __init__(self, address: Address, timeout: float) -> None:
        super().__init__(address, timeout)
        self._nodes = dict.fromkeys(address.hosts)  # in the order in which to try them
        self._tried = address.hosts[0]

    def connect(self) -> Wire:
        """Connect to the node that had the journal, or else to the first that answers: it will name the right one.

        One that does not answer goes to the end of the line, and is all that is waited for: the next try is another's.
        """
        problem: Exception = ConnectionError("no node is known")
        for host, port in tuple(self._nodes):
            try:
                wire = self.connect_to(host, port)
            except TimeoutError:
                self.avoid()
                raise
            except (OSError, Refused) as error:
                problem = error
                continue
            self._learn(wire)
            return wire
        raise problem

    def connect_to(self, host: str, port: int) -> Wire:
        """Connect to this node."""
        self._tried = host, port
        return super().connect_to(host, port)

    def moved(self, host: str, port: int) -> None:
        """Try this node first from now on."""
        self._nodes = {(host, port): None, **self._nodes}

    def avoid(self) -> None:
        """Try the node that was tried last after all others, the next time."""
        self._nodes.pop(self._tried, None)
        self._nodes[self._tried] = None

    def _learn(self, wire: Wire) -> None:
        """Hear of all other nodes, for the day when those of the address are gone; not every user may ask."""
        try:
            with contextlib.suppress(Refused):
                for _, _, *nodes in wire.ask(b"CLUSTER", b"SLOTS"):
                    for name, port, *_ in nodes:
                        self._nodes.setdefault(((name or b"").decode() or wire.host, int(port)))
        except BaseException:
            wire.close()
            raise


def _load_redis() -> ModuleType:
    try:
        import redis.connection
    except ImportError:
        raise ConfigurationError("store", "needs the extra `redis`: pip install 'stable-openai[redis]'") from None
    return redis
