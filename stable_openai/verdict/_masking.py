"""Hiding of whatever has the shape of a secret in text that may be shown."""

from __future__ import annotations

import re
from typing import Final

_MARK: Final = "\N{HORIZONTAL ELLIPSIS}"

# Prefixes under which providers hand out keys; the separator belongs to the prefix.
_PREFIXES: Final = (
    r"sk[-_]|pk[-_]|rk[-_]|ak[-_]|gsk_|xai-|hf_|nvapi-|pplx-|r8_|fw_|csk-|tgp_v1_|github_pat_|gh[opsu]_|glpat-|"
    r"AIza|ya29\.|dapi|AKIA|ASIA|jina_|pa-|bce-v3/|eyJ"
)
_KEY: Final = re.compile(rf"(?<![A-Za-z0-9])({_PREFIXES})([A-Za-z0-9*+/=_.\-\N{{HORIZONTAL ELLIPSIS}}]{{4,400}})")
_LABELLED: Final = re.compile(
    r"\b(bearer|basic|authorization|api[-_ ]?key|x-api-key|access[-_ ]?token|secret|password)"
    r"(\"?'?\s{0,3}[=:]\s{0,3}\"?'?|\s)"
    r"([A-Za-z0-9+/=_.\-]{12,400})",
    re.IGNORECASE,
)
# Long runs of letters and digits without a break: Azure's and zhipu's keys have no prefix.
_OPAQUE: Final = re.compile(r"(?<![A-Za-z0-9])(?=[A-Za-z]{0,60}[0-9])[A-Za-z0-9]{32,400}(?![A-Za-z0-9])")
# What stands before the host of a URL: a password, or a key in the place of one.
_USER: Final = re.compile(r"(?<=://)[^\s/?#@]{1,400}@")
_SHOWN_FROM: Final = 12
_TAIL: Final = 4


def mask_secrets(text: str) -> str:
    """Returns `text` with each key-shaped run shortened to its prefix and, if it is long, its last four characters.

    Args:
        text: any text; its length should be bounded by the caller.
    """
    text = _USER.sub(_MARK + "@", text)
    text = _KEY.sub(lambda m: m[1] + _MARK + _tail(m[2]), text)
    text = _LABELLED.sub(lambda m: m[1] + m[2] + _MARK + _tail(m[3]) if _is_opaque(m[3]) else m[0], text)
    return _OPAQUE.sub(lambda m: _MARK + _tail(m[0]), text)


def _tail(secret: str) -> str:
    """The last four characters, where they are a small part and no part of another mark."""
    tail = secret[-_TAIL:]
    return tail if len(secret) >= _SHOWN_FROM and tail.isalnum() else ""


def _is_opaque(word: str) -> bool:
    """A word of a sentence is not a secret: what follows `bearer ` must have a digit or a mix of cases."""
    return any(c.isdigit() for c in word) or (not word.islower() and not word.istitle())
