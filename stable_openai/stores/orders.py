"""The order among eligible keys: six strategies, and the user's own.

An order holds the slots that are ready. ``pop`` takes the next one to be tried (IndexError where there is none),
``push`` puts one in, after its use or when it becomes ready.
"""

from __future__ import annotations

import heapq
import itertools
import operator
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, runtime_checkable

from stable_openai.errors import ConfigurationError

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

    from .queues import Slot

__all__ = ["Candidate", "Order", "Shares", "Strategy", "StrategyLike", "check_strategy", "make_order"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a strategy of the user's own sees of a key.

    Attributes:
        name: The key's name.
        owner: Its owner, or None.
        index: Its place in the pool, from 0.
        weight: Its weight.
        uses: Grants so far.
        in_flight: Grants that are not settled.
        last_used: The monotonic moment of the last grant, in seconds; minus infinity where there was none.
    """

    name: str
    owner: str | None
    index: int
    weight: float
    uses: int
    in_flight: int
    last_used: float


@runtime_checkable
class Strategy(Protocol):
    """A strategy of the user's own: among the eligible keys, the one with the lowest rank is used.

    Each choice asks for the rank of every key that is ready, so it takes longer the more keys there are.
    """

    def rank(self, candidate: Candidate) -> float:
        """The key's rank now. It is called under the pool's lock: be quick, and do not call the pool."""


StrategyLike: TypeAlias = str | Strategy


class Order(Protocol):
    """Slots that are ready, in the order of a strategy."""

    def pop(self) -> Slot:
        """Take the next one to be tried; IndexError where there is none."""

    def push(self, slot: Slot, /) -> None:
        """Put one in: it was used, or has become ready."""

    def unpop(self, slot: Slot, /) -> None:
        """Put back what was popped a moment ago, without use."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Slot]:
        """All that are in it, so that pushing them into an empty one makes the same order."""


class _Turns:
    """``round-robin``: in turn."""

    __slots__ = ("_slots", "pop", "push", "unpop")

    def __init__(self) -> None:
        self._slots: deque[Slot] = deque()
        self.pop = self._slots.popleft  # bound methods of the deque itself: no frame of ours on the hot path
        self.push = self._slots.append
        self.unpop = self._slots.appendleft

    def __len__(self) -> int:
        return len(self._slots)

    def __iter__(self) -> Iterator[Slot]:
        return iter(self._slots)


class _Dice:
    """``random``: any of them, all alike."""

    __slots__ = ("_dice", "_slots", "push", "unpop")

    def __init__(self, dice: random.Random) -> None:
        self._slots: list[Slot] = []
        self._dice = dice
        self.push = self.unpop = self._slots.append

    def __len__(self) -> int:
        return len(self._slots)

    def __iter__(self) -> Iterator[Slot]:
        return iter(self._slots)

    def pop(self) -> Slot:
        slots = self._slots
        index = int(self._dice.random() * len(slots))
        slots[index], slots[-1] = slots[-1], slots[index]
        return slots.pop()


class _Ranked:
    """The lowest rank first; ranks are looked at again as slots come up, since uses change them meanwhile."""

    __slots__ = ("_heap", "_order", "_rank")

    def __init__(self, rank: Callable[[Slot], float]) -> None:
        self._rank = rank
        self._heap: list[tuple[float, int, Slot]] = []
        self._order = itertools.count()

    def __len__(self) -> int:
        return len(self._heap)

    def __iter__(self) -> Iterator[Slot]:
        return (slot for _, _, slot in sorted(self._heap, key=operator.itemgetter(0, 1)))

    def push(self, slot: Slot, /) -> None:
        heapq.heappush(self._heap, (self._rank(slot), next(self._order), slot))

    def unpop(self, slot: Slot, /) -> None:
        self.push(slot)

    def pop(self) -> Slot:
        if not self._heap:
            raise IndexError("no slot is ready")
        for _ in range(len(self._heap)):
            stored, order, slot = self._heap[0]
            rank = self._rank(slot)
            if rank <= stored:
                break
            heapq.heapreplace(self._heap, (rank, order, slot))
        return heapq.heappop(self._heap)[2]


class _Survey:
    """A strategy of the user's own: its ranks may rise and fall, so each choice looks at all that are ready."""

    __slots__ = ("_rank", "_slots", "push", "unpop")

    def __init__(self, rank: Callable[[Slot], float]) -> None:
        self._rank = rank
        self._slots: list[Slot] = []
        self.push = self.unpop = self._slots.append

    def __len__(self) -> int:
        return len(self._slots)

    def __iter__(self) -> Iterator[Slot]:
        return iter(self._slots)

    def pop(self) -> Slot:
        if not self._slots:
            raise IndexError("no slot is ready")
        index = min(range(len(self._slots)), key=lambda place: self._rank(self._slots[place]))
        return self._slots.pop(index)


class Shares(_Ranked):
    """``weighted``: uses in proportion to weights, counted from when a key joined in, with no catching up.

    Attributes:
        floor: The share of the one that was taken last.
        behind: By the index of a key, what it missed while it was not ready.
    """

    __slots__ = ("behind", "floor")

    def __init__(self) -> None:
        super().__init__(self._share)
        self.floor = 0.0
        self.behind: dict[int, float] = {}

    def _share(self, slot: Slot) -> float:
        return slot.member.uses / slot.member.key.weight + self.behind.get(slot.member.index, 0.0)

    def push(self, slot: Slot, /) -> None:
        missing = self.floor - self._share(slot)
        if missing > 0:
            index = slot.member.index
            self.behind[index] = self.behind.get(index, 0.0) + missing
        super().push(slot)

    def pop(self) -> Slot:
        slot = super().pop()
        self.floor = self._share(slot)
        return slot


def _rank_by(strategy: Strategy) -> Callable[[Slot], float]:
    def rank(slot: Slot) -> float:
        member = slot.member
        candidate = Candidate(
            name=member.key.name or member.name,  # a shared store knows its keys by fingerprints
            owner=member.key.owner,
            index=member.index,
            weight=member.key.weight,
            uses=member.uses,
            in_flight=member.in_flight,
            last_used=member.used_at,
        )
        return float(strategy.rank(candidate))

    return rank


_ORDERS: Final[dict[str, Callable[[random.Random], Order]]] = {
    "round-robin": lambda _dice: _Turns(),
    "random": _Dice,
    "least-used": lambda _dice: _Ranked(lambda slot: slot.member.uses),
    "rest-time": lambda _dice: _Ranked(lambda slot: slot.member.used_at),
    "weighted": lambda _dice: Shares(),
    "fill-first": lambda _dice: _Ranked(lambda slot: slot.member.index),
}
_OTHER_NAMES: Final = {"default": "round-robin", "roll-polling": "round-robin"}


def check_strategy(strategy: object) -> StrategyLike:
    """Return the strategy under its own name, or the user's object.

    Raises:
        ConfigurationError: There is no such strategy.
    """
    if isinstance(strategy, str):
        name = _OTHER_NAMES.get(strategy, strategy)
        if name in _ORDERS:
            return name
        raise ConfigurationError("strategy", f"{strategy!r} is unknown; known are {', '.join(_ORDERS)}")
    if isinstance(strategy, Strategy) and not isinstance(strategy, type):
        return strategy
    raise ConfigurationError("strategy", "must be a name, or an object with a method rank(candidate)")


def make_order(strategy: StrategyLike, dice: random.Random) -> Order:
    """Make an empty order of a strategy that ``check_strategy`` has passed."""
    if isinstance(strategy, str):
        return _ORDERS[strategy](dice)
    return _Survey(_rank_by(strategy))
