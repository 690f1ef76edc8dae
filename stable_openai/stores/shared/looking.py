"""What a look at a shared pool shows, in a pool's own words: its names in place of fingerprints, its time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .ops import Op

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stable_openai.keys import Key
    from stable_openai.stores.protocol import Way
    from stable_openai.stores.snapshots import KeyStatus

    from .link import Link
    from .speaking import Speaker

__all__ = ["Looking"]


class Looking:
    """What ``SharedStore`` shows; nothing here grants or settles."""

    _link: Link
    _speaker: Speaker
    _keys: dict[str, tuple[Key, str]]
    _prints: dict[str, str]

    @property
    def counts_tokens(self) -> bool:
        """Whether any limit that is known is about tokens."""
        return self._link.state.engine.roster.counts_tokens

    @property
    def workers(self) -> int:
        """How many workers share the pool, as far as this one has heard."""
        return len(self._link.replica.workers)

    def snapshot(self, *, fresh: bool = True) -> list[KeyStatus]:
        """The state of each key that this pool holds.

        If it is to be ``fresh``, that is the store's own word: this waits for it, even in a task. Else it is what this
        process has heard.
        """
        if fresh and not self._speaker.closed:
            self._speaker.do(Op("beat"))
        now = self._link.now()
        return _statuses_of(self._speaker.look_at(lambda engine: engine.snapshot(now)), self._keys)

    def reasons(self, model: str | None, tokens: int = 0) -> dict[str, str]:
        """Why each key is out for this model, by name; keys that are not out are left out."""
        keys, now = self._keys, self._link.now()
        found = self._speaker.look_at(lambda engine: engine.reasons(model, tokens, now))
        return {keys[fingerprint][1]: why for fingerprint, why in found.items() if fingerprint in keys}

    def earliest(self, model: str | None, tokens: int = 0, only: frozenset[str] | None = None) -> float:
        """When a key may be eligible for this model again; infinity where none will be by itself. Looks at all keys."""
        now, prints = self._link.now(), self._prints
        few = None if only is None else frozenset(prints[name] for name in only if name in prints)
        return self._link.local_time(self._speaker.look_at(lambda engine: engine.earliest(model, tokens, now, few)))

    def outlook(self, model: str | None, tokens: int = 0) -> list[Way]:
        """The keys of a model, the one first that is to have room first for so many tokens."""
        return _ways_of(self._link, model, tokens, self._keys)

    def pending_work(self) -> int:
        """Grants that are not settled, of all workers."""
        self._speaker.flush()
        return self._speaker.look_at(lambda engine: engine.pending_work())


def _statuses_of(statuses: Iterable[KeyStatus], keys: Mapping[str, tuple[Key, str]]) -> list[KeyStatus]:
    """The states of these keys, which are told with their names by fingerprint."""
    found = {status.name: status for status in statuses}
    return [
        replace(found[fingerprint], name=name, masked=key.masked)
        for fingerprint, (key, name) in keys.items()
        if fingerprint in found
    ]


def _ways_of(link: Link, model: str | None, tokens: int, keys: Mapping[str, tuple[Key, str]]) -> list[Way]:
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
