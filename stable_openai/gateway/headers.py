"""Which headers pass, either way.

Hop-by-hop ones never do (RFC 9110, 7.6.1): those that are known, and those that ``Connection`` names. Towards the
provider, besides: nothing by which the client identifies itself to us (its credential, cookies, address) or chooses an
organisation, which is the key's matter; and only those codings are accepted that can be read here. ``Via`` is added, as
a gateway has to (7.6.3), under a name of this process's own, so that a request that comes back is known. ``Forwarded``
and its like are neither passed nor added: where the client is, is none of the provider's business.

Towards the client: nothing that belongs to the key or to the provider's own site. The ``x-ratelimit-…`` headers tell
of one key and would mislead; those of the client's token stand in their place, where it has limits. Which pages of the
web may read the provider's answers says nothing of ours: see ``origins``.
"""

from __future__ import annotations

import functools
import secrets
from typing import TYPE_CHECKING, Final

from multidict import CIMultiDict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from multidict import MultiMapping

__all__ = ["PSEUDONYM", "for_client", "for_provider", "is_worth_hiding"]

PSEUDONYM: Final = f"stable-openai-{secrets.token_hex(4)}"
_HOP_BY_HOP: Final = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authentication-info", "proxy-authorization",
    "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "http2-settings",
})  # fmt: skip
_NOT_SENT: Final = _HOP_BY_HOP | {
    "accept-encoding", "api-key", "authorization", "content-length", "cookie", "expect", "forwarded", "host",
    "max-forwards", "openai-organization", "openai-project", "via", "x-api-key", "x-goog-api-key", "x-real-ip",
}  # fmt: skip
_NOT_GIVEN: Final = _HOP_BY_HOP | {
    "alt-svc", "anthropic-organization-id", "clear-site-data", "nel", "openai-organization", "openai-project",
    "report-to", "reporting-endpoints", "server", "set-cookie", "set-cookie2", "strict-transport-security",
}  # fmt: skip
_FORWARDED: Final = "x-forwarded-"
_KINDS_NOT_GIVEN: Final = ("x-ratelimit-", "ratelimit", "anthropic-ratelimit-", "x-envoy-", "access-control-")
_CODINGS: Final = frozenset({"gzip", "deflate", "identity"})
_SHORTEST: Final = 8  # characters: servers without keys are given words such as "EMPTY", which may stand anywhere


def for_provider(headers: MultiMapping[str], version: str) -> CIMultiDict[str]:
    """A request's headers as they are sent on, without a credential.

    Args:
        headers: As they came.
        version: The HTTP version by which they came, such as ``1.1``.
    """
    named = _named(headers)
    kept: CIMultiDict[str] = CIMultiDict()
    for name, value in headers.items():
        lower = name.lower()
        if lower in _NOT_SENT or lower in named or lower.startswith(_FORWARDED):
            continue
        if value.isascii() or _is_text(value):
            kept.add(name, value)
    accepted = headers.get("Accept-Encoding")
    if accepted is not None:
        kept["Accept-Encoding"] = _readable(accepted)
    kept["Via"] = ", ".join([*headers.getall("Via", ()), f"{version} {PSEUDONYM}"])
    return kept


def for_client(headers: MultiMapping[str], secret: str, added: Mapping[str, str]) -> CIMultiDict[str]:
    """An answer's headers as they are given to the client.

    Args:
        headers: As they came.
        secret: That of the key: whatever holds it is left out.
        added: What is set besides.
    """
    named = _named(headers)
    hides = is_worth_hiding(secret)
    lowered = secret.lower()
    kept: CIMultiDict[str] = CIMultiDict()
    for name, value in headers.items():
        lower = name.lower()
        if lower in _NOT_GIVEN or lower in named or lower.startswith(_KINDS_NOT_GIVEN):
            continue
        if hides and (secret in value or lowered in lower):
            continue
        if lower == "x-request-id":
            name = "x-provider-request-id"  # noqa: PLW2901  # ours takes its place
        if value.isascii() or _is_text(value):
            kept.add(name, value)
    kept.update(added)
    return kept


def is_worth_hiding(secret: str) -> bool:
    """Whether a secret is long enough to be one."""
    return len(secret) >= _SHORTEST


def _named(headers: MultiMapping[str]) -> frozenset[str]:
    """What ``Connection`` names as hop-by-hop."""
    value = headers.get("Connection")
    if value is None:
        return frozenset()
    return _options(value) if len(values := headers.getall("Connection")) == 1 else _options(",".join(values))


@functools.lru_cache(maxsize=256)
def _options(value: str) -> frozenset[str]:
    return frozenset(option.strip().lower() for option in value.split(","))


@functools.lru_cache(maxsize=256)
def _readable(accepted: str) -> str:
    """Of the codings that a client accepts, those that can be read here; none: as it is."""
    kept = [coding.strip() for coding in accepted.split(",") if coding.partition(";")[0].strip().lower() in _CODINGS]
    return ", ".join(kept) or "identity"


def _is_text(value: str) -> bool:
    """Whether a value can be written again: bytes that are no UTF-8 cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
