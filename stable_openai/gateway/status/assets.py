"""The page's one style and one script, and the policy that allows nothing else."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import TYPE_CHECKING, Final

from stable_openai.bulk.page import style

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DARK", "HEADERS", "LIGHT", "SCRIPT", "STYLE"]

LIGHT: Final = {**style.LIGHT, "cooling": "#995300", "open": "#1a7035", "grave": "#b3261e"}
DARK: Final = {**style.DARK, "open": "#6cc784", "grave": "#f2918a"}


def _variables(colours: Mapping[str, str]) -> str:
    return ";".join(f"--{name}:{colour}" for name, colour in colours.items())


def _read(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


STYLE: Final = (
    f":root{{color-scheme:light dark;{_variables(LIGHT)}}}\n"
    f"@media screen and (prefers-color-scheme:dark){{:root{{{_variables(DARK)}}}}}\n" + _read("style.css")
)
SCRIPT: Final = _read("script.js")
_POLICY: Final = (
    f"default-src 'none'; style-src {_hash(STYLE)}; script-src {_hash(SCRIPT)}; connect-src 'self'; img-src data:; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # with none at all, browsers would not say where a form is from
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
