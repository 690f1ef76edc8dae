"""What processes and machines share: a journal of everything that happened to a pool, in one order.

A store that is shared keeps no counters. It keeps the list of what was asked and what was answered, each entry with its
number and the moment at which the store took it, and now and then a snapshot of what they add up to. Each process
applies the same entries in the same order with the code of the memory store, and so arrives at the same state: which
key an entry was granted follows from the entries before it. To ask for a key is to append one entry and to be told
those that came before it, in one atomic step (state machine replication: F. B. Schneider, ACM Computing Surveys 22(4),
1990).

Rules of this file:

* ``seq`` is the number of an entry: it grows from entry to entry, and a journal may leave numbers out.
* ``at`` is in seconds on the store's own clock: for Redis that of the server, for SQLite that of the machine.
* What is stored is text that the process has written; no journal looks into it, and no secret is in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Appended", "Entry", "Journal", "Lost", "Opened", "Outdated"]


class Lost(Exception):  # a state rather than a fault: the caller goes on without, or says StoreError
    """The store can't be reached, or does not answer in time. The message says what and where, with no password."""


class Outdated(Exception):  # likewise
    """What this process knows is no part of the journal any more: open it again."""


class Entry(NamedTuple):
    """One entry.

    Attributes:
        seq: Its number.
        at: When the store took it, in seconds of the store's clock.
        text: What happened.
    """

    seq: int
    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Opened:
    """All that a journal holds.

    Attributes:
        identity: A random text that the journal got when it was begun: another one is another journal.
        seq: The number of the last entry that is in the snapshot; 0 for the one that the journal was begun with.
        snapshot: What the entries up to ``seq`` add up to.
        entries: Those from ``seq`` on, in order: the first is that very one, unless ``seq`` is 0.
    """

    identity: str
    seq: int
    snapshot: bytes
    entries: list[Entry] = field(default_factory=list)


class Appended(NamedTuple):
    """What came of an ``append``.

    Attributes:
        at: When the store took the new entries (all in one moment), in seconds of its clock; where there were none,
            its time now.
        seqs: Their numbers.
        missed: The entries between the one that the caller knew as the last and the new ones, in order.
    """

    at: float
    seqs: Sequence[int]
    missed: list[Entry]


class Journal(Protocol):
    """A journal. ``append``, ``open``, ``begin`` and ``save`` are called by one thread at a time.

    Each raises ``Lost`` where the store can't be reached or does not answer within the time-out that the journal was
    made with, and ``StoreError`` where waiting would not help: a damaged file, a wrong password, a newer format.
    """

    def open(self) -> Opened | None:
        """Connect where that is not done, and read everything; None where there is no journal yet."""

    def begin(self, identity: str, snapshot: bytes) -> None:
        """Begin a journal with this snapshot, unless there is one by now (another process was first)."""

    def append(self, identity: str, last: Entry | None, texts: Sequence[str], *, wake: bool) -> Appended:
        """Add entries, and read those that came after ``last``, in one atomic step.

        Args:
            identity: That of the journal which the caller has read.
            last: The last entry that the caller knows; None where there was none yet.
            texts: The new entries; where there are none, it only reads.
            wake: Whether to tell all who listen that it is worth looking.

        Raises:
            Outdated: The journal is another one, ``last`` is not in it with this very text, or entries after ``last``
                are gone because a snapshot has taken their place. Nothing was added.
        """

    def save(self, identity: str, seq: int, snapshot: bytes) -> None:
        """Keep this snapshot of the entries up to ``seq``, and drop those before (the entry ``seq`` itself is kept).

        Does nothing where the journal is another one or a later snapshot is there.
        """

    def listen(self, callback: Callable[[], None]) -> None:
        """Call ``callback``, in a thread of the journal's own, whenever another process says ``wake``; idempotent.

        Nothing polls. That a call comes too often does no harm; and while the store is lost, none comes.
        """

    def close(self) -> None:
        """Close all connections and end all threads of the journal; idempotent."""

    def after_fork(self) -> None:
        """Forget the parent's connections and threads without touching them, and be as one that was never opened."""
