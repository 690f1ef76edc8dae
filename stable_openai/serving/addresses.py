"""Where a server listens, and whether others than this machine can come there."""

from __future__ import annotations

import ipaddress
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from stable_openai.errors import ConfigurationError

__all__ = ["Address", "check_open", "check_url", "is_local", "is_url", "parse_address"]

_MOST: Final = 65_535
_LOCALHOST: Final = "localhost"
_LONGEST_NAME: Final = 253  # RFC 1035, 2.3.4


class Address(NamedTuple):
    """A host and a port.

    Attributes:
        host: A name or an IP address without brackets; empty: every address of this machine.
        port: 0 for any that is free.
    """

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can come there. A name other than ``localhost`` may lead anywhere."""
        return _is_loopback(self.host)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str, option: str = "address") -> Address:
    """Read ``localhost:8000``, ``127.0.0.1:8000``, ``[::1]:8000``, ``8000`` (localhost) or ``:8000`` (all addresses).

    Args:
        text: The address.
        option: What it is called where it was given, such as ``--http``.

    Raises:
        ConfigurationError: It is none.
    """
    host, colon, digits = text.strip().rpartition(":")
    if not (digits.isascii() and digits.isdecimal()) or int(digits[:6]) > _MOST:
        raise ConfigurationError(option, f"must be a host and a port, such as localhost:8000, not {text!r}")
    if not colon:
        host = _LOCALHOST
    elif host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if _ip(host) is None or ":" not in host:
            raise ConfigurationError(option, f"has no IPv6 address in its brackets: {text!r}")
    elif ":" in host:
        raise ConfigurationError(option, f"has an IPv6 address without brackets: write [::1]:8000, not {text!r}")
    elif host and not _is_name(host):
        raise ConfigurationError(option, f"must be a host and a port, such as localhost:8000, not {text!r}")
    return Address(host, int(digits))


def check_url(url: str, option: str) -> str:
    """Check the address of a provider, such as ``https://api.openai.com/v1``, and give it back.

    Args:
        url: The address.
        option: What it is called where it was given, such as ``--base-url``.

    Raises:
        ConfigurationError: It is none, or has a user name, a password or a query in it. The message does not show it.
    """
    if not is_url(url) or "?" in url or "#" in url:
        raise ConfigurationError(
            option, "must be the address of a provider, without a password in it, such as https://api.openai.com/v1"
        )
    return url


def is_url(url: str) -> bool:
    """Whether a text is the URL of a server that speaks HTTP, with neither a user name nor a password in it."""
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return fine and parts.username is None and url.isprintable() and " " not in url


def check_open(address: Address, option: str, *, has_token: bool) -> None:
    """Refuse to listen where others can come without a token.

    Args:
        address: Where the server is to listen.
        option: What that is called where it was given, such as ``--http``.
        has_token: Whether callers have to show one.

    Raises:
        ConfigurationError: They need not, and the address is not on loopback; it says what to do.
    """
    if has_token or address.is_loopback:
        return
    raise ConfigurationError(
        option,
        f"{address} can be reached from other machines, and no token is set: give one with --token NAME=SECRET or in "
        f"STABLE_OPENAI_TOKENS, or listen on localhost:{address.port}",
    )


def is_local(authority: str) -> bool:
    """Whether a ``Host`` or what an ``Origin`` names (without its scheme) is this machine.

    A server that asks for no token looks at both: a page of the web can have a browser send requests to loopback, and
    by a name of its own that leads there can read the answers.
    """
    host, _, port = authority.rpartition(":")
    if not host or not port.isdecimal():
        host = authority
    return _is_loopback(host[1:-1] if host.startswith("[") and host.endswith("]") else host)


def _is_loopback(host: str) -> bool:
    name = host.lower().rstrip(".")
    if name == _LOCALHOST or name.endswith(".localhost"):  # RFC 6761, 6.3
        return True
    address = _ip(host)
    mapped = getattr(address, "ipv4_mapped", None)
    return address is not None and (mapped or address).is_loopback


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_name(host: str) -> bool:
    labels = host.rstrip(".").split(".")
    plain = host.isascii() and len(host) <= _LONGEST_NAME
    return plain and all(label and label.replace("-", "").replace("_", "").isalnum() for label in labels)
