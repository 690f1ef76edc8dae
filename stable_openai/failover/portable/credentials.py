"""The credentials that an exception's requests carried: in headers, and in addresses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit, urlunsplit

from stable_openai.verdict.responses import attribute

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["HIDDEN", "clean_url", "secrets_of"]

HIDDEN: Final = "***"
_MASKED: Final = "\N{HORIZONTAL ELLIPSIS}"  # what has travelled before is masked
_MOST_LINKS: Final = 12
_SHORTEST: Final = 8  # what is shorter is a placeholder, or would be found in other words
_HEADER: Final = re.compile(
    r"authorization|api[-_]?key|subscription[-_]key|token|secret|password|cookie", re.IGNORECASE
)
_PARAMETER: Final = re.compile(
    r"(?:^|[-_])(?:api|access|auth)?(?:key|token|secret|sig|signature|password|auth|credential|code)$", re.IGNORECASE
)
_ADDRESS: Final = re.compile(r"https?://\S+")


def secrets_of(error: BaseException) -> list[str]:
    """The credentials of all requests that an exception, or what has caused it, has to do with; the longest first."""
    found: set[str] = set()
    link: BaseException | None = error
    for _ in range(_MOST_LINKS):
        if link is None:
            break
        for value in (*vars(link).values(), *link.args):
            for holder in (value, attribute(value, "_request"), attribute(value, "request")):
                found.update(_secrets_in(holder))
        link = link.__cause__
    return sorted((secret for secret in found if len(secret) >= _SHORTEST and _MASKED not in secret), key=len)[::-1]


def _secrets_in(holder: Any) -> list[str]:
    """Those of a request, or of an address."""
    try:
        if isinstance(holder, str):
            return list(_of_url(holder)) if _ADDRESS.fullmatch(holder) else []
        return list(_of_request(holder))
    except Exception:  # noqa: BLE001  # what looks like a request may be anything
        return []


def _of_request(request: Any) -> Iterator[str]:
    headers, url = attribute(request, "headers"), attribute(request, "url")
    if headers is None or url is None:
        return
    for name, value in headers.items():
        if _HEADER.search(_text(name)):
            yield _text(value).rpartition(" ")[2]
    yield from _of_url(str(url))


def _of_url(url: str) -> Iterator[str]:
    parts = urlsplit(url)
    if parts.password:
        yield unquote(parts.password)
    for pair in parts.query.split("&"):
        name, _, value = pair.partition("=")
        if _PARAMETER.search(unquote(name)):
            yield value
            yield unquote(value)


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)  # requests takes bytes, too


def clean_url(url: str) -> str:
    """A URL without user and password, and without the values of parameters that hold secrets."""
    parts = urlsplit(url)
    pairs = [pair.partition("=") for pair in parts.query.split("&")]
    query = "&".join(
        f"{name}={HIDDEN}" if value and _PARAMETER.search(unquote(name)) else f"{name}{found}{value}"
        for name, found, value in pairs
    )
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query, parts.fragment))
