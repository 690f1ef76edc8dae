"""Those who wait for one model (and, where only some keys may serve them, for the same ones), and whom to ask for next.

Rules of this file:

* First come, first served; calls of one size (a power of two of tokens) are never passed by one another.
* Where a call has to wait, smaller ones behind it may pass, but not on the key that it claims: each that waits claims,
  in the order of the line, the key that is to have room for it first, with all that draw on the same quota. Where as
  many claim as there are keys, the line is strict.
* So whoever is passed is served, as a rule, when the key that he claims has room, or sooner: nobody behind him uses it.
  He is passed until that moment at most, as it was foreseen: for the length of a window. Where he is not served by
  then (the key rests, or those in front took it, or other models and processes, who have lines of their own), the line
  is strict behind him from then on.
"""

from __future__ import annotations

import heapq
import itertools
import operator
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from stable_openai.stores.protocol import Ask, Way

    from .waiting import Waiter

    Look = Callable[[str | None, int], list[Way]]

__all__ = ["Group", "Round"]

_NEVER: Final = float("inf")
_MOST: Final = 64  # who may claim; beyond that the line is strict
_GOOD_FOR: Final = (0.1, 1.0)  # seconds at least and at most for which a look ahead is good
_UNKNOWN: Final = 30.0  # seconds for which one may be passed who waits for a running call to end
_ANY_SIZE: Final = 1 << 16  # no number of tokens has so many bits
_ticket: Final = operator.attrgetter("ticket")


class Group:
    """Those who wait for one model, in the order of their tickets.

    Args:
        strict: Whether nobody may pass another, of whatever size.
    """

    __slots__ = ("_outlooks", "_sizes", "strict")

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict
        self._sizes: dict[int, deque[Waiter]] = {}
        self._outlooks: dict[int, tuple[float, list[Way]]] = {}  # until when they are good; by tokens

    def __len__(self) -> int:
        return sum(map(len, tuple(self._sizes.values())))

    def __iter__(self) -> Iterator[Waiter]:
        return self.of_size(0, _ANY_SIZE)

    def of_size(self, least: int, below: int) -> Iterator[Waiter]:
        """Those of these sizes."""
        chosen = [alike for size, alike in self._sizes.items() if least <= size < below]
        return iter(chosen[0]) if len(chosen) == 1 else heapq.merge(*chosen, key=_ticket)

    def add(self, waiter: Waiter) -> None:
        """Let one stand in line."""
        alike = self._sizes.get(waiter.size)
        if alike is None:
            alike = self._sizes[waiter.size] = deque()
        place = len(alike)
        while place and alike[place - 1].ticket > waiter.ticket:
            place -= 1  # a call that goes on after a failure keeps the place it had
        alike.insert(place, waiter)

    def remove(self, waiter: Waiter) -> None:
        """Let one go."""
        alike = self._sizes[waiter.size]
        alike.remove(waiter)
        if not alike:
            del self._sizes[waiter.size]

    def used(self, key: str) -> None:
        """Take note that a key was just used: it will be the last to have room."""
        for _, ways in self._outlooks.values():
            ways.sort(key=lambda way: key in way.keys)

    def look_afresh(self) -> None:
        """Forget what was seen ahead: there may be other keys."""
        self._outlooks = {}

    def outlook(self, waiter: Waiter, look: Look, now: float) -> list[Way]:
        """The keys, the one first that is to have room first for this one."""
        tokens = waiter.ask.tokens
        until, ways = self._outlooks.get(tokens, (-_NEVER, []))
        if now >= until:
            ways = look(waiter.ask.model, tokens)
            least, most = _GOOD_FOR
            if len(self._outlooks) > _MOST:
                self.look_afresh()
            self._outlooks[tokens] = now + min(max(ways[0].at - now if ways else 0.0, least), most), ways
        return ways


class Round:
    """One round of asking a store for those of a group, until all that are left have to wait.

    Args:
        group: The group.
        look: Looks ahead, as a store's ``outlook`` does; None where nobody may pass.
        now: The moment.
    """

    __slots__ = ("_falls", "_look", "_now", "group")

    def __init__(self, group: Group, look: Look | None, now: float) -> None:
        self.group = group
        self._look = None if group.strict else look
        self._now = now
        self._falls: list[Waiter] = []  # who was refused, each smaller than the one before

    def next(self, most: int = 1) -> list[tuple[Waiter, Ask]]:
        """Whom to ask for next, and what for; nobody, where all that are left have to wait.

        Of several, who are asked for at once, none is smaller than one before, and so may pass none of them.
        """
        falls, look = self._falls, self._look
        if look is None:
            return [] if falls else [(waiter, waiter.ask) for waiter in itertools.islice(self.group, most)]
        chosen: list[tuple[Waiter, Ask]] = []
        claims = None
        for waiter in self.group.of_size(0, falls[-1].size if falls else _ANY_SIZE):
            if len(chosen) == most or (chosen and waiter.size < chosen[-1][0].size):
                break
            ask = waiter.ask
            if falls:
                claims = claims or _Claims(self.group, falls, look, self._now)
                claimed = claims.before(waiter)
                if claimed is None:
                    break
                ask = replace(ask, shun=ask.shun | claimed)
            chosen.append((waiter, ask))
        return chosen

    def refused(self, waiter: Waiter) -> None:
        """One has to wait, and so have all behind him that are not smaller."""
        if not self._falls or waiter.size < self._falls[-1].size:
            self._falls.append(waiter)


class _Claims:
    """What those who have to wait claim, in the order of the line."""

    def __init__(self, group: Group, falls: Sequence[Waiter], look: Look, now: float) -> None:
        self._group = group
        self._look = look
        self._now = now
        self._falls = deque(falls)
        self._size = _ANY_SIZE  # who is of this size or larger has to wait
        self._waiting = group.of_size(falls[-1].size, _ANY_SIZE)
        self._next = next(self._waiting, None)
        self._number = 0
        self._is_strict = False
        self._claimed: frozenset[str] = frozenset()
        self._all: frozenset[str] = frozenset()  # the keys that there are

    def before(self, waiter: Waiter) -> frozenset[str] | None:
        """The keys that are claimed by those in front of one; None where there is nothing left."""
        while self._next is not None and self._next.ticket < waiter.ticket:
            while self._falls and self._falls[0].ticket <= self._next.ticket:
                self._size = self._falls.popleft().size
            if self._next.size >= self._size:
                self._claim(self._next)
            self._next = next(self._waiting, None)
        return None if self._is_strict or self._all <= self._claimed else self._claimed

    def _claim(self, waiter: Waiter) -> None:
        self._number += 1
        ways = self._group.outlook(waiter, self._look, self._now)
        if not self._all:
            self._all = self._all.union(*(way.keys for way in ways))
        shun = waiter.ask.shun
        for way in ways:
            if way.at < _NEVER and way.key not in shun and self._claimed.isdisjoint(way.keys):
                self._claimed |= way.keys
                until = way.at if way.at > self._now else self._now + _UNKNOWN
                waiter.passed_until = min(waiter.passed_until, until)
                break
        if self._number > _MOST or waiter.passed_until <= self._now:
            self._is_strict = True
