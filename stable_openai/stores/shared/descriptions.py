"""Keys and limits as a shared store knows them: by fingerprint, and as plain values."""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import TYPE_CHECKING, Any, Final

from stable_openai.keys import Key
from stable_openai.limits import Limits, as_limits

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Fingerprints", "key_of", "pack_key", "pack_limits"]

KEY_VARIABLE: Final = "STABLE_OPENAI_STORE_KEY"
_LENGTH: Final = 24  # hexadecimal digits: 96 bits, so that no two keys ever meet


class Fingerprints:
    """Names for secrets, from which nobody finds the secret: HMAC-SHA-256 (RFC 2104), shortened.

    The key of the HMAC is the pool's: from ``STABLE_OPENAI_STORE_KEY`` where that is set, else derived from the secret
    itself. Where secrets are short words rather than keys of a provider's making, set the variable (to the same text on
    each machine), or they could be guessed from what is stored.
    """

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._key = os.environ.get(KEY_VARIABLE, "").encode()

    def of(self, text: str, purpose: str = "key") -> str:
        """The fingerprint of a secret, or of another text that is nobody's business."""
        key = self._key or hashlib.sha256(f"stable_openai {purpose} {text!s}".encode()).digest()
        message = f"{self._namespace} {purpose} {text!s}".encode()
        return hmac.new(key, message, hashlib.sha256).hexdigest()[:_LENGTH]


def pack_limits(limits: Limits) -> dict[str, Any]:
    """Limits as a mapping of what is told."""
    packed: dict[str, Any] = {
        name: value
        for name in ("rpm", "rpd", "tpm", "tpd", "max_concurrency", "zone")
        if (value := getattr(limits, name)) is not None
    }
    if limits.windows:
        packed["windows"] = [
            {"what": window.what, "limit": window.limit, "zone": window.zone}
            | ({"seconds": window.seconds} if window.calendar is None else {"calendar": window.calendar})
            for window in limits.windows
        ]
    return packed


def pack_key(fingerprint: str, name: str, key: Key, limits: Limits, endpoint: str | None) -> list[Any]:
    """What others may know of a key: all but its secret and its address, which stand there as fingerprints."""
    models = None if key.models is None else sorted(key.models)
    by_model = {model: pack_limits(told) for model, told in key.model_limits.items()}
    return [fingerprint, name, key.owner, endpoint, models, key.weight, pack_limits(limits), by_model]


def key_of(packed: list[Any]) -> tuple[Key, Limits]:
    """The key of a description, with its fingerprint in the secret's place, and its limits."""
    fingerprint, name, owner, endpoint, models, weight, limits, by_model = packed[:8]
    told: Mapping[str, Any] = {"*": as_limits(limits), **{model: as_limits(own) for model, own in by_model.items()}}
    key = Key(fingerprint, name=name, owner=owner, base_url=endpoint, models=models, limits=told, weight=weight)
    return key, key.limits
