"""What kind of output a command has."""

from __future__ import annotations

import os
from typing import TextIO

__all__ = ["is_live"]


def is_live(stream: TextIO) -> bool:
    """Whether a live display can be drawn there; else plain lines without control characters are written."""
    return stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")
