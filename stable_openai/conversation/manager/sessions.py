"""A session: what was asked and what was answered, as pairs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeAlias

from stable_openai.errors import ConfigurationError

from .messages import ChatMessage
from .responses import ChatResponse

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Booking", "Pair", "Session"]

Pair: TypeAlias = tuple[ChatMessage, ChatResponse]


class Session:
    """The pairs of one session, in the order in which they were sent. Safe in threads.

    Args:
        name: Its name.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._lock = threading.Lock()
        self._pairs: dict[int, Pair] = {}  # by place; answers come in any order
        self._next = 0
        self._expected = 0

    def book(self, count: int, most: int) -> Booking:
        """Take the next places, for messages that are to be sent.

        Args:
            count: How many messages.
            most: How many pairs the session may hold.

        Raises:
            ConfigurationError: There is no room for them.
        """
        with self._lock:
            held = len(self._pairs) + self._expected
            if held + count > most:
                raise ConfigurationError(
                    "max_pairs",
                    f"is {most}, and the session {self.name!r} holds {held}: there is no room for {count} more. Export "
                    "and clear it, set another, or raise ChatSetup.max_pairs",
                )
            first = self._next
            self._next += count
            self._expected += count
        return Booking(self, first)

    def put(self, place: int, pair: Pair) -> None:
        """Keep a pair at its place."""
        with self._lock:
            self._pairs[place] = pair
            self._expected -= 1

    def release(self, count: int) -> None:
        """So many places stay empty: nothing came of their messages."""
        with self._lock:
            self._expected -= count

    @property
    def pairs(self) -> list[Pair]:
        """The pairs so far."""
        with self._lock:
            return [self._pairs[place] for place in sorted(self._pairs)]

    def clear(self) -> list[Pair]:
        """Forget all pairs, and return them."""
        with self._lock:
            gone, self._pairs = self._pairs, {}
        return [gone[place] for place in sorted(gone)]

    def __len__(self) -> int:
        return len(self._pairs)

    def __iter__(self) -> Iterator[Pair]:
        return iter(self.pairs)

    def __repr__(self) -> str:
        return f"<Session {self.name!r} of {len(self)} pairs>"


class Booking:
    """Places of a session that one ``send`` fills."""

    __slots__ = ("_first", "_session")

    def __init__(self, session: Session, first: int) -> None:
        self._session = session
        self._first = first

    def put(self, index: int, pair: Pair) -> None:
        """Keep the pair of the message with this index."""
        self._session.put(self._first + index, pair)

    def release(self, count: int = 1) -> None:
        """Nothing comes of so many messages: their places stay empty."""
        self._session.release(count)
