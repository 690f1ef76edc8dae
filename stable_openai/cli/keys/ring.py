"""Keys in the system's keyring, by the package ``keyring``; their names stand in a file beside."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, Final

from stable_openai.cli.places import home
from stable_openai.cli.private_files import write
from stable_openai.errors import ConfigurationError
from stable_openai.keys import Key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["add", "clear", "keys"]

_SERVICE: Final = "stable-openai"
_FIELDS: Final = ("name", "owner", "base_url")


def _list() -> Path:
    return home() / "keyring.json"


def keys() -> list[Key]:
    """The keys that are kept there. Without any, the keyring is not asked, and need not be installed.

    Raises:
        ConfigurationError: It can't be used, or lacks a key.
    """
    found = []
    for entry in _entries():
        with _keyring() as keyring:
            secret = keyring.get_password(_SERVICE, entry["name"])
        if not secret:
            raise ConfigurationError(
                "keyring", f"it has no key {entry['name']!r} any more: clear the keys, and add them again"
            )
        found.append(Key(secret, **entry))
    return found


def add(key: Key) -> None:
    """Keep a key there. Called under the lock of the keys."""
    name = str(key.name)
    entries = _entries()
    with _keyring() as keyring:
        keyring.set_password(_SERVICE, name, str.__str__(key.secret))
    _write([*entries, {"name": name, "owner": key.owner, "base_url": key.base_url}])


def clear() -> None:
    """Remove them all. Called under the lock of the keys."""
    entries = _entries()
    while entries:
        with _keyring() as keyring, contextlib.suppress(keyring.errors.PasswordDeleteError):  # it has gone already
            keyring.delete_password(_SERVICE, entries[0]["name"])
        entries = entries[1:]
        _write(entries)
    _list().unlink(missing_ok=True)


def _entries() -> list[dict[str, Any]]:
    try:
        entries = json.loads(_list().read_text(encoding="utf-8"))["keys"]
        return [{field: entry.get(field) for field in _FIELDS} for entry in entries]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ConfigurationError("keyring", f"{_list()} is no list of keys; remove it, and add them again") from None


def _write(entries: list[dict[str, Any]]) -> None:
    write(_list(), json.dumps({"format": 1, "keys": entries}, ensure_ascii=False, indent=1) + "\n")


@contextlib.contextmanager
def _keyring() -> Iterator[Any]:
    """The package; its errors come in our words."""
    try:
        import keyring  # type: ignore[import-not-found,unused-ignore]  # an extra
        import keyring.errors  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        raise ConfigurationError(
            "keyring", 'the package is not installed: pip install "stable-openai[keyring]"'
        ) from None
    try:
        yield keyring
    except keyring.errors.KeyringError as error:
        raise ConfigurationError("keyring", f"can't be used: {str(error) or type(error).__name__}") from None
