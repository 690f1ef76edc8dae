"""What the errors of a server, and of the way there, mean for a journal."""

from __future__ import annotations

import re
from typing import Final

from stable_openai.errors import StoreError
from stable_openai.stores.shared.journal import Lost

from .scripts import RIGHTS
from .wire import Refused

__all__ = ["code_of", "told"]

_PASSING: Final = frozenset(
    {
        "BUSY",
        "CLUSTERDOWN",
        "LOADING",
        "MASTERDOWN",
        "MISCONF",
        "NOREPLICAS",
        "OOM",
        "READONLY",
        "TRYAGAIN",
        "UNKILLABLE",
    }
)
_REFUSALS: Final = {
    "ASK": "this is a node of a cluster: say redis+cluster://",
    "MOVED": "this is a node of a cluster: say redis+cluster://",
    "NOAUTH": "the user name or the password is missing or wrong",
    "NOPERM": "this user may not do what a pool needs, which is {rights} ~{keys}* &{keys}wake",
    "WRONGPASS": "the user name or the password is missing or wrong",
    "WRONGTYPE": "the keys {keys}* hold something else: choose another namespace",
}
_PLAIN: Final = frozenset({*_PASSING, *_REFUSALS, "NOSCRIPT"})
# Redis before 7 wraps the error of a command within a script into one of the script.
_WITHIN: Final = re.compile(r"\b(MISCONF|NOPERM|NOREPLICAS|OOM|READONLY|WRONGTYPE)\b")
_NOT_ALLOWED: Final = re.compile(r"ACL failure in script|The user executing the script can't")


def code_of(error: Exception) -> str:
    """The word with which the server names its error, such as ``NOSCRIPT``; ``""`` where it is not the server's."""
    if not isinstance(error, Refused) or error.code in _PLAIN:
        return getattr(error, "code", "")
    said = str(error)
    if _NOT_ALLOWED.search(said):
        return "NOPERM"
    found = _WITHIN.search(said)
    return found[1] if found else error.code


def told(error: Exception, place: str, namespace: str, timeout: float) -> Exception:
    """What to raise for an error: ``Lost`` where it may pass, ``StoreError`` where waiting would not help."""
    code = code_of(error)
    if code in _REFUSALS:
        keys = f"stable_openai:{{{namespace}}}:"
        return StoreError(f"{place}: {_REFUSALS[code].format(keys=keys, rights=RIGHTS)} ({error})")
    if isinstance(error, TimeoutError):
        return Lost(f"{place}: no answer within {timeout:g} s")
    if isinstance(error, OSError) or code in _PASSING:
        return Lost(f"{place}: {str(error) or type(error).__name__}")
    if isinstance(error, Refused):
        return StoreError(f"{place}: {error}")
    return error
