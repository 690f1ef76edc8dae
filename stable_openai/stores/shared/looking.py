"""What a look at a shared pool shows, in a pool's own words: its names in place of fingerprints, its time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stable_openai.keys import Key
    from stable_openai.stores.protocol import Way
    from stable_openai.stores.snapshots import KeyStatus

    from .link import Link

__all__ = ["statuses_of", "ways_of"]


def statuses_of(statuses: Iterable[KeyStatus], keys: Mapping[str, tuple[Key, str]]) -> list[KeyStatus]:
    """The states of these keys, which are told with their names by fingerprint."""
    found = {status.name: status for status in statuses}
    return [
        replace(found[fingerprint], name=name, masked=key.masked)
        for fingerprint, (key, name) in keys.items()
        if fingerprint in found
    ]


def ways_of(link: Link, model: str | None, tokens: int, keys: Mapping[str, tuple[Key, str]]) -> list[Way]:
    """When which of these keys is to have room for so many tokens, as far as this process has heard."""
    with link.lock:
        found = link.state.engine.outlook(model, tokens, link.now())
    return [
        way._replace(
            at=link.local_time(way.at),
            key=keys[way.key][1],
            keys=frozenset(keys[key][1] for key in way.keys if key in keys),
        )
        for way in found
        if way.key in keys
    ]
