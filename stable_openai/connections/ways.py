"""The way to a provider, for those who go there by aiohttp: whom to trust, and through which proxy."""

from __future__ import annotations

import functools
import ssl
import urllib.request
from urllib.parse import urlsplit

__all__ = ["proxy_for", "trust"]


@functools.cache
def proxy_for(address: str) -> str | None:
    """The proxy that the environment names for an address; aiohttp's own way reads a file for each request."""
    parts = urlsplit(address)
    if not parts.hostname or urllib.request.proxy_bypass(parts.hostname):
        return None
    return urllib.request.getproxies().get(parts.scheme)


def trust() -> ssl.SSLContext:
    """The system's certificates, and those that openai's own client brings along: some systems have none."""
    context = ssl.create_default_context()
    try:
        import certifi
    except ImportError:
        return context
    context.load_verify_locations(certifi.where())
    return context
