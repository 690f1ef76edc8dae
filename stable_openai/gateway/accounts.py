"""Which keys are of one account, as far as is known: what one of them has made, the others know too.

At OpenAI that is the project, which each answer names in a header; keys of one organisation, and of one ``owner``, may
be of several. Where answers name none, keys with one ``owner``, or of one organisation, are taken to be of one account.
Keys of which nothing is known are each an account of their own: to ask one too many costs a request, and to ask one too
few would lose what somebody has made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from stable_openai.keys import Key
    from stable_openai.pool.pool import KeyPool

__all__ = ["Accounts"]

_PROJECT: Final = "openai-project"
_ORGANISATION: Final = "openai-organization"
_FEW: Final = 64  # keys of one account that may serve a request
_OTHERS: Final = 4  # keys of each account that may have it
_SPARE: Final = 64


class _Seen(NamedTuple):
    """What answers have said of a key."""

    project: str | None
    organisation: str | None


_NOTHING: Final = _Seen(None, None)


class Accounts:
    """Accounts, and the names of their keys.

    Args:
        pool: Where the keys are.

    Attributes:
        replaced: How often another key has taken the name of one that was there.
    """

    def __init__(self, pool: KeyPool) -> None:
        self._pool = pool
        self.replaced = 0
        self._seen: dict[str, _Seen] = {}
        self._keys: list[Key] = []
        self._named: dict[str, Key] = {}
        self._marks: dict[str, int] = {}  # by which another key of the same name is known
        self._of: dict[str, frozenset[str] | None] = {}

    def see(self, name: str, headers: Mapping[str, str]) -> None:
        """Take note of whom an answer names.

        Args:
            name: The name of the key that it came under.
            headers: Its headers, whose names may be asked for in lower case.
        """
        project, organisation = headers.get(_PROJECT), headers.get(_ORGANISATION)
        seen = self._seen.get(name)
        if seen is not None and seen.project == project and seen.organisation == organisation:
            return  # as of nearly every answer
        if len(self._seen) > 2 * len(self._pool) + _SPARE:
            self._seen.clear()  # of keys that have gone
        self._seen[name] = _Seen(project, organisation)
        self._of.clear()

    def has(self, name: str) -> bool:
        """Whether there is a key of this name."""
        return name in self.look()

    def of(self, name: str) -> frozenset[str] | None:
        """A key's name, and those of others of its account; None where all keys are of that."""
        names = self.look()
        if name not in self._of:
            alike = [other for other in names if other == name or self._are_one(name, other)]
            few = [name, *(other for other in alike if other != name)][:_FEW]
            self._of[name] = None if len(alike) == len(names) else frozenset(few)
        return self._of[name]

    def others(self, asked: Collection[str], most: int) -> frozenset[str]:
        """The names of some keys of every account that none of these keys is of.

        Args:
            asked: Names of keys, which have been asked.
            most: So many accounts at most.
        """
        found: list[str] = []
        accounts: list[tuple[str, int]] = []
        for name in self.look():
            if any(name == each or self._are_one(each, name) for each in asked):
                continue
            place = next((i for i, (first, _) in enumerate(accounts) if self._are_one(first, name)), None)
            if place is None and len(accounts) < most:
                accounts.append((name, 1))
                found.append(name)
            elif place is not None and accounts[place][1] < _OTHERS:
                first, size = accounts[place]
                accounts[place] = first, size + 1
                found.append(name)
        return frozenset(found)

    def look(self) -> dict[str, Key]:
        """The keys by name, looked up afresh where the pool's have changed."""
        keys = self._pool.keys
        if keys != self._keys:  # each is equal to itself alone
            self._named = {}
            for key in keys:
                try:
                    self._named[self._pool.name_of(key)] = key
                except KeyError:
                    continue  # it was removed meanwhile
            self._keys = keys
            self._of.clear()
            self._look_for_replaced()
        return self._named

    def _look_for_replaced(self) -> None:
        if len(self._marks) > 2 * len(self._pool) + _SPARE:  # of keys that have gone
            self._marks.clear()
            self.replaced += 1
        for name, key in self._named.items():
            mark = hash(key.secret)
            if self._marks.setdefault(name, mark) != mark:
                self._marks[name] = mark
                self._seen.pop(name, None)
                self.replaced += 1

    def _are_one(self, name: str, other: str) -> bool:
        key, also = self._named.get(name), self._named.get(other)
        if key is None or also is None or key.base_url != also.base_url:
            return False
        seen, seen_too = self._seen.get(name, _NOTHING), self._seen.get(other, _NOTHING)
        if seen.project is not None or seen_too.project is not None:
            return seen.project == seen_too.project
        if key.owner is not None and also.owner is not None:
            return key.owner == also.owner
        return seen.organisation is not None and seen.organisation == seen_too.organisation
