"""Where the command line keeps what it is to remember: keys, the last conversation, the lines that were typed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["home"]


def home() -> Path:
    """The user's configuration folder for this program, which may not be there yet.

    ``STABLE_OPENAI_HOME`` names another one. Else it is as the platform has it: ``$XDG_CONFIG_HOME/stable-openai`` (or
    ``~/.config/stable-openai``), ``~/Library/Application Support/stable-openai``, ``%APPDATA%\\stable-openai``.
    """
    own = os.environ.get("STABLE_OPENAI_HOME")
    if own:
        return Path(own).expanduser().absolute()
    return _configuration() / "stable-openai"


def _configuration() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    told = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    return told if told.is_absolute() else Path.home() / ".config"  # relative ones are to be ignored, it says
