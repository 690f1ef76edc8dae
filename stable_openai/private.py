"""Files that hold secrets: only their owner may be able to read them."""

from __future__ import annotations

import os
import stat
from typing import Final

__all__ = ["fault_of_mode"]

_FORBIDDEN: Final = stat.S_IRWXG | stat.S_IRWXO


def fault_of_mode(mode: int, path: str | os.PathLike[str]) -> str | None:
    """What is wrong with the mode of a file that holds secrets, and how to mend it; None where nothing is.

    Args:
        mode: Its mode, as ``os.fstat`` tells it.
        path: What it is called, for the command that mends it.
    """
    if os.name != "posix" or not mode & _FORBIDDEN:
        return None
    return f"can be read by others (mode {stat.S_IMODE(mode):04o}): run 'chmod 600 {os.fspath(path)}' and try again"
