"""Texts of others as they may be written: providers repeat keys in their errors, and not all keys look like keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stable_openai.masking import mask
from stable_openai.verdict._masking import mask_secrets

if TYPE_CHECKING:
    from collections.abc import Callable

    from stable_openai.pool.pool import KeyPool

__all__ = ["hider_of"]

_CUT: Final = "…"  # at the end of a text that was too long
_SHORTEST: Final = 6  # characters of a secret that are taken for a part of it


def hider_of(pool: KeyPool | None) -> Callable[[str], str]:
    """What hides the secrets of a pool in a text, whatever they look like, and all else that looks like one."""

    def hide(text: str) -> str:
        for key in () if pool is None else pool.keys:
            text = _without(text, key.secret)
        return mask_secrets(text)

    return hide


def _without(text: str, secret: str) -> str:
    """A text without a secret, and without the beginning of one that was cut off with the text."""
    if secret in text:
        text = text.replace(secret, mask(secret))
    whole = text.removesuffix(_CUT)
    begin = whole.rfind(secret[:_SHORTEST])
    if begin >= 0 and secret.startswith(whole[begin:]):
        return whole[:begin] + _CUT
    return text
