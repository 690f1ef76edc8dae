"""The locks of openai's resources in a forked child: importing this minds them."""

from __future__ import annotations

import functools
import os
import sys
import threading

__all__: list[str] = []


def _renew_locks() -> None:
    """Free the resources of openai's clients, in a child of a thread that was about to use one.

    Before Python 3.12, ``functools.cached_property`` has a lock for all instances (bpo-43468); ``client.chat`` is one.
    """
    for name, module in tuple(sys.modules.items()):
        if name == "openai._client" or name.startswith("openai.resources."):
            for kind in tuple(vars(module).values()):
                for found in tuple(vars(kind).values()) if isinstance(kind, type) else ():
                    if isinstance(found, functools.cached_property) and hasattr(found, "lock"):
                        found.lock = threading.RLock()


if hasattr(os, "register_at_fork") and sys.version_info < (3, 12):
    os.register_at_fork(after_in_child=_renew_locks)
