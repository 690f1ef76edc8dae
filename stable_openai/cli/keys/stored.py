"""Keys in the user's configuration folder: a file with mode 0600, of the same format as any ``keys.toml``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from stable_openai.cli.places import home
from stable_openai.cli.private_files import locked, write
from stable_openai.errors import ConfigurationError
from stable_openai.key_sources import settings_from_file
from stable_openai.keys import Key, as_keys
from stable_openai.masking import hide
from stable_openai.pool.naming import name_keys
from stable_openai.pool.options import check_in_file

from . import ring

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Stored", "add", "clear", "file_of_keys", "options", "stored"]

_HEAD: Final = """\
# The keys of stable-openai's command line. You may edit this file: see "Giving it keys" in the README for what a
# keys.toml can hold. Keep it to yourself: it is read only while nobody else can read it (chmod 600).
"""


@dataclass(frozen=True)
class Stored:
    """A key that is kept, under the name that it has in the pool.

    Attributes:
        name: Its name.
        key: The key.
        where: ``"file"`` or ``"keyring"``.
    """

    name: str
    key: Key
    where: str


def file_of_keys() -> Path:
    """The file."""
    return home() / "keys.toml"


def stored() -> list[Stored]:
    """All keys that are kept: those of the system keyring first, then those of the file.

    Raises:
        ConfigurationError: Others can read the file, or it is wrong; or the keyring can't be used.
        OSError: It can't be read.
    """
    in_ring = ring.keys()
    in_file = _from_file()[0]
    named = name_keys(as_keys([*in_ring, *in_file]), (), 0)
    return [Stored(name, key, "keyring" if index < len(in_ring) else "file") for index, (key, name) in enumerate(named)]


def options() -> dict[str, Any]:
    """What the file says of the pool as a whole.

    Raises:
        ConfigurationError: Something in the file is wrong.
    """
    told = _from_file()[1]
    check_in_file(file_of_keys(), told)
    return told


def _from_file() -> tuple[list[Key], dict[str, Any]]:
    try:
        return settings_from_file(file_of_keys())
    except FileNotFoundError:
        return [], {}


def add(
    secret: str,
    *,
    name: str | None = None,
    owner: str | None = None,
    base_url: str | None = None,
    in_keyring: bool = False,
) -> Stored:
    """Keep one more key. Two processes that do so at once wait for each other.

    Raises:
        ConfigurationError: The key is bad, or is kept already; nothing is changed then.
        OSError: It can't be written.
    """
    secret = hide(secret)
    Key(secret, name=name, owner=owner, base_url=base_url)  # what is wrong with it is said before anything is touched
    with locked(home() / "keys.lock"):
        known = stored()
        for each in known:
            if each.key.secret == secret:
                raise ConfigurationError("key", f"{each.key.masked} is kept already, as {each.name}")
        if name is None:
            name = _free_name({each.name for each in known})
        elif name in {each.name for each in known}:
            raise ConfigurationError("name", f"{name!r} is the name of another key")
        key = Key(secret, name=name, owner=owner, base_url=base_url)
        if in_keyring:
            ring.add(key)
        else:
            _append(key)
    return Stored(name, key, "keyring" if in_keyring else "file")


def _free_name(taken: set[str]) -> str:
    number = len(taken) + 1
    while f"key-{number}" in taken:
        number += 1
    return f"key-{number}"


def _append(key: Key) -> None:
    """Put a key behind what the file holds, whatever that is."""
    path = file_of_keys()
    before = path.read_text(encoding="utf-8") if path.exists() else _HEAD
    fields = {"secret": str.__str__(key.secret), "name": key.name, "owner": key.owner, "base_url": key.base_url}
    # A JSON string is a TOML basic string; the one character that only TOML wants escaped is in no key and no name.
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in fields.items() if value is not None]
    text = "\n".join([before.rstrip("\n"), "", "[[keys]]", *lines, ""])
    try:
        write(path, text, check=settings_from_file)
    except ConfigurationError:
        raise ConfigurationError(
            path.name, "has its keys in a form to which none can be added: write each under a [[keys]] of its own"
        ) from None


def clear() -> None:
    """Remove all keys, from the file and from the keyring; a file that can't be read goes, too.

    Raises:
        ConfigurationError: The keyring can't be used.
        OSError: The file can't be removed.
    """
    with locked(home() / "keys.lock"):
        file_of_keys().unlink(missing_ok=True)
        ring.clear()
