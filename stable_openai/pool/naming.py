"""Names for keys that have none, and sums that tell what changed in a list of keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stable_openai.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from stable_openai.keys import Key

__all__ = ["name_keys", "staying"]


def name_keys(keys: Iterable[Key], taken: Collection[str], start: int) -> list[tuple[Key, str]]:
    """Give each key its name: its own, or ``key-N`` counted from ``start``.

    Raises:
        ConfigurationError: A name is taken by another key.
    """
    used = set(taken)
    named = []
    number = start
    for key in keys:
        number += 1
        name = key.name
        if name is None:
            while f"key-{number}" in used:
                number += 1
            name = f"key-{number}"
        elif name in used:
            raise ConfigurationError("key.name", f"{name!r} is the name of another key in this pool")
        used.add(name)
        named.append((key, name))
    return named


def staying(names: Mapping[str, str], wanted: Iterable[Key]) -> set[str]:
    """The names under which keys stay when a pool is given these keys; one that is renamed starts afresh.

    Args:
        names: The pool's names by secret.
        wanted: The keys that it is to have.

    Raises:
        ConfigurationError: A key wants the name of another that stays.
    """
    wanted = list(wanted)
    stay = {names[key.secret] for key in wanted if key.secret in names and key.name in (None, names[key.secret])}
    for key in wanted:
        if key.name in stay and names.get(key.secret) != key.name:
            raise ConfigurationError("key.name", f"{key.name!r} is the name of another key in this pool")
    return stay
