"""The addresses of Redis and Valkey: what they may say, and how they are shown. Nothing here needs redis-py.

::

    redis://[[user]:password@]host[:port][/db]             one server; valkey:// means the same
    rediss://…                                             with TLS; valkeys:// means the same
    redis+cluster://…host[:port],host[:port]/              some nodes of a cluster; rediss+cluster:// with TLS
    redis+sentinel://…host[:port],host[:port]/name[/db]    the sentinels, and the name of the master that they watch
    redis+unix://…/path/to.sock                            a socket on this machine; ?db= for another database

and behind a ``?`` the parameters ``namespace``, ``sentinel_username``, ``sentinel_password`` and those of TLS.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn
from urllib.parse import unquote, unquote_plus

from stable_openai.errors import ConfigurationError
from stable_openai.masking import Secret

__all__ = ["Address", "check_redis_url", "read_redis_url", "shown"]

_SCHEME: Final = re.compile(r"(redis|valkey)(s?)(?:\+(cluster|sentinel|unix))?", re.IGNORECASE)
_HOST: Final = re.compile(r"(?:\[([0-9A-Fa-f:.%]+)\]|([^\[\]:@\s]+))(?::(\d{1,5}))?")
_NAMESPACE: Final = re.compile(r"[A-Za-z0-9._-]+")
_PORTS: Final = {"sentinel": 26379}
_TLS: Final = (
    "ssl_ca_certs",
    "ssl_ca_data",
    "ssl_ca_path",
    "ssl_cert_reqs",
    "ssl_certfile",
    "ssl_check_hostname",
    "ssl_ciphers",
    "ssl_keyfile",
    "ssl_password",
)
_SENTINEL: Final = ("sentinel_password", "sentinel_username")
_SHOWN: Final = frozenset({"namespace", "db", "sentinel_username", *_TLS} - {"ssl_password"})
_KNOWN: Final = _SHOWN | {"ssl_password", "sentinel_password"}
_TRUTHS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_PORT_MOST: Final = 65535


@dataclass(frozen=True, slots=True)
class Address:
    """What an address says.

    Attributes:
        kind: ``""`` for one server, or ``cluster``, ``sentinel``, ``unix``.
        hosts: Hosts and ports; for ``unix`` the path and 0.
        db: The number of the database.
        master: What the sentinels call the master.
        namespace: Which pool of those that share the server.
        shown: The whole address, with no password.
        login: User name and password as redis-py's connections take them.
        sentinel_login: Those for the sentinels.
        tls: None without TLS, or what redis-py's TLS connections take.
    """

    kind: str
    hosts: tuple[tuple[str, int], ...]
    db: int
    master: str
    namespace: str
    shown: str
    login: dict[str, str] = field(repr=False)
    sentinel_login: dict[str, str] = field(repr=False)
    tls: dict[str, Any] | None = field(repr=False)


def check_redis_url(url: str) -> None:
    """Check an address, without connecting.

    Raises:
        ConfigurationError: It is wrong; the message says what is, and shows no password.
    """
    read_redis_url(url)


def shown(url: str) -> str:
    """Show an address without passwords, be it right or wrong."""
    scheme, mark, rest = url.partition("://")
    head, _, query = rest.partition("?")
    if not mark:
        return "…"
    pairs = [pair.partition("=")[::2] for pair in query.split("&")] if query else []
    if "@" in query and any(name not in _KNOWN for name, _ in pairs):
        return f"{scheme}://…"  # a password with a question mark in it, perhaps
    if not head.startswith("/"):
        login, at, place = head.rpartition("@")
        user, colon, _ = login.partition(":")
        head = f"{user if colon else '***'}{':***' if colon else ''}@{place}" if at else place
    told = "&".join(f"{name}={value if name in _SHOWN else '***'}" for name, value in pairs)
    return f"{scheme}://{head}{'?' if told else ''}{told}"


def read_redis_url(url: str) -> Address:
    """Read an address.

    Raises:
        ConfigurationError: It is wrong; the message says what is, and shows no password.
    """
    url = Secret(url)
    scheme, _, rest = map(Secret, url.partition("://"))
    is_known = _SCHEME.fullmatch(scheme)
    if is_known is None or (is_known[2] and (is_known[3] or "").lower() == "unix"):
        _complain(url, "it has to begin with redis://, rediss://, redis+cluster://, redis+sentinel:// or redis+unix://")
    kind = (is_known[3] or "").lower()
    head, _, query = map(Secret, rest.partition("?"))
    login, place = (Secret(), head) if head.startswith("/") else map(Secret, head.rpartition("@")[::2])
    given = _parameters(url, query, kind, tls=bool(is_known[2]))
    db, master = given.pop("db", "0"), ""
    if kind == "unix":
        if not place.startswith("/"):
            _complain(url, "redis+unix:// needs the path of a socket, such as redis+unix:///run/redis.sock")
        hosts: tuple[tuple[str, int], ...] = ((unquote(place), 0),)
    else:
        names, _, path = place.partition("/")
        hosts = _hosts(url, names, kind)
        if kind == "sentinel":
            master, _, path = path.partition("/")
            if not master:
                _complain(url, "it needs the name of the master: redis+sentinel://host:26379/mymaster")
        db = path.rstrip("/") or "0"
    if not (db.isascii() and db.isdigit()):
        _complain(url, "the database has to be a number")
    if kind == "cluster" and int(db):
        _complain(url, "a cluster has no database but 0")
    return Address(
        kind=kind,
        hosts=hosts,
        db=int(db),
        master=unquote(master),
        namespace=given.pop("namespace", "default"),
        shown=shown(url),
        login=_login(*login.partition(":")[::2]),
        sentinel_login=_login(given.pop("sentinel_username", ""), given.pop("sentinel_password", "")),
        tls=_tls(url, given) if is_known[2] else None,
    )


def _complain(url: str, problem: str) -> NoReturn:
    raise ConfigurationError("store", f"{shown(url)}: {problem}")


def _login(user: str, password: str) -> dict[str, str]:
    given = {"username": unquote(user), "password": Secret(unquote(password))}
    return {name: text for name, text in given.items() if text}


def _hosts(url: str, names: str, kind: str) -> tuple[tuple[str, int], ...]:
    many = names.split(",") if kind else [names]
    hosts = []
    for name in many:
        match = _HOST.fullmatch(name)
        if match is None or "," in name:
            _complain(url, "a host and its port are not of the form host:port" if name else "a host is missing")
        port = int(match[3] or _PORTS.get(kind, 6379))
        if not 0 < port <= _PORT_MOST:
            _complain(url, f"there is no port {port}")
        hosts.append((match[1] or match[2], port))
    return tuple(hosts)


def _parameters(url: str, query: str, kind: str, *, tls: bool) -> dict[str, str]:
    usable = {"namespace", *(_TLS if tls else ()), *(_SENTINEL if kind == "sentinel" else ())}
    usable |= {"db"} if kind == "unix" else set()
    given: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        if name not in usable:
            problem = "means nothing with this kind of address" if name in _KNOWN else "is unknown"
            _complain(url, f"the parameter {name!r} {problem}; there are {', '.join(sorted(usable))}")
        if name in given or not value:
            _complain(url, f"the parameter {name!r} is given {'twice' if name in given else 'no value'}")
        given[name] = Secret(unquote_plus(value)) if "password" in name else unquote_plus(value)
    if not _NAMESPACE.fullmatch(given.get("namespace", "default")):
        _complain(url, "the parameter 'namespace' may have letters, digits, '.', '_' and '-' only")
    return given


def _tls(url: str, given: dict[str, str]) -> dict[str, Any]:
    options: dict[str, Any] = dict(given)
    if "ssl_check_hostname" in given:
        checked = _TRUTHS.get(given["ssl_check_hostname"].lower())
        if checked is None:
            _complain(url, "the parameter 'ssl_check_hostname' has to be true or false")
        options["ssl_check_hostname"] = checked
    reqs = given.get("ssl_cert_reqs", "required")
    if reqs not in {"none", "optional", "required"}:
        _complain(url, "the parameter 'ssl_cert_reqs' has to be none, optional or required")
    if reqs == "none":
        options["ssl_check_hostname"] = False  # redis-py 6 does not see to it
    return options
