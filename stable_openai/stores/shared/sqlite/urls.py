"""Where a store in a file is: ``sqlite:///keys.db``, ``sqlite:////var/lib/keys.db``, ``sqlite:///C:/keys.db``."""

from __future__ import annotations

import os
import re
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from stable_openai.errors import ConfigurationError

__all__ = ["Place", "check_sqlite_url"]

_NAMESPACE: Final = re.compile(r"[A-Za-z0-9._-]+")
_FORM: Final = "sqlite:///keys.db (in the folder of the process) or sqlite:////var/lib/keys.db"


class Place(NamedTuple):
    """Which pool in which file.

    Attributes:
        path: The file, from the root.
        namespace: The name of the pool in it.
    """

    path: str
    namespace: str


def check_sqlite_url(url: str) -> Place:
    """Read the URL of a SQLite store, without a look at the file.

    Args:
        url: ``sqlite:///`` and a path, in which ``%3F`` stands for a question mark; ``?namespace=`` names the pool
            where several share a file.

    Raises:
        ConfigurationError: It is none.
    """
    try:
        parts = urlsplit(url)
        options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise _wrong(f"{url!r} is no URL ({error}): write {_FORM}") from None
    if parts.scheme != "sqlite":
        raise _wrong(f"{url!r} is no URL of a SQLite store: write {_FORM}")
    if parts.netloc:
        raise _wrong(f"{url!r} has two slashes where three are needed: write {_FORM}")
    if parts.fragment:
        raise _wrong(f"{url!r} has a '#': write %23 where it belongs to the name of the file")
    path = unquote(parts.path[1:])
    if path in {"", ":memory:"}:
        raise _wrong(f"{url!r} names no file; counts that live in memory only are what 'memory://' is for")
    if path.endswith("/") or "\0" in path:
        raise _wrong(f"{url!r} names no file: write {_FORM}")
    return Place(os.path.abspath(path), _namespace(url, options))  # noqa: PTH100  # Path.resolve would look at the disk


def _namespace(url: str, options: list[tuple[str, str]]) -> str:
    for name, _ in options:
        if name != "namespace":
            raise _wrong(f"{url!r} has an option {name!r}; the only one there is is 'namespace'")
    if len(options) > 1:
        raise _wrong(f"{url!r} names more than one namespace")
    namespace = options[0][1] if options else "default"
    if not _NAMESPACE.fullmatch(namespace):
        raise _wrong(f"the namespace {namespace!r} may have letters, digits, '.', '_' and '-' only, and at least one")
    return namespace


def _wrong(problem: str) -> ConfigurationError:
    return ConfigurationError("store", problem)
