"""The messages of a conversation: rounds, pins, and what is trimmed when they grow too many. No I/O, no locks."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from stable_openai.errors import ConfigurationError

from .content import Message

__all__ = ["Entry", "History", "checked"]

ROLES: Final = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_LASTING: Final = frozenset({"system", "developer"})
_RESULTS: Final = frozenset({"tool", "function"})
Counter: TypeAlias = Callable[[Message], int]


class Entry:
    """One message, and whether it is pinned."""

    __slots__ = ("message", "pinned")

    def __init__(self, message: Message, *, pinned: bool = False) -> None:
        self.message = message
        self.pinned = pinned

    @property
    def role(self) -> str:
        """Who said it."""
        return str(self.message["role"])


class History:
    """The messages of one conversation.

    Args:
        most: The most messages to keep; None for no bound. Pinned and system messages stay, and count; so do tool
            calls that have no result yet.
        most_tokens: The most tokens to keep, by ``count``; None for no bound.
        count: Tokens of one message.

    Raises:
        ConfigurationError: A bound is no positive number.
    """

    def __init__(self, most: int | None = None, most_tokens: int | None = None, count: Counter = len) -> None:
        bounds: tuple[tuple[str, Any], ...] = (("MsgMaxCount", most), ("max_tokens_history", most_tokens))
        for name, bound in bounds:
            if bound is not None and (isinstance(bound, bool) or not isinstance(bound, int) or bound < 1):
                raise ConfigurationError(name, f"must be a whole number from 1 up, or None, not {bound!r}")
        self.most = most
        self.most_tokens = most_tokens
        self._count = count
        self._entries: list[Entry] = []

    # -- looking

    def messages(self) -> list[Message]:
        """The messages, oldest first: copies that one may change."""
        return [copy.deepcopy(entry.message) for entry in self._entries]

    def pinned(self) -> list[int]:
        """The places of the pinned messages."""
        return [index for index, entry in enumerate(self._entries) if entry.pinned]

    def __len__(self) -> int:
        return len(self._entries)

    def open_tool_calls(self) -> list[str]:
        """The ids of the tool calls that the model has made last, and that have no result yet."""
        return _open_calls([entry.message for entry in self._entries])

    # -- changing

    def add(self, messages: Iterable[Any]) -> None:
        """Put messages behind those that are there, and trim.

        Raises:
            ConfigurationError: One is no message; nothing is added then.
        """
        entries = [Entry(checked(message, f"messages[{index}]")) for index, message in enumerate(messages)]
        self._entries = self._trimmed(self._entries + entries)

    def sending(self, messages: Sequence[Message]) -> list[Message]:
        """What is sent for a new round: the history, without what has no room beside it, and the round.

        Changes nothing. ``MsgMaxCount`` is about what is remembered, so it takes nothing away here.

        Raises:
            ConfigurationError: The round, with what is pinned, is larger than ``max_tokens_history``.
        """
        new = [Entry(message) for message in messages]
        entries = self._fitting(self._entries + new, keep=len(new))
        if self.most_tokens is not None and (needed := self._tokens(entries)) > self.most_tokens:
            raise ConfigurationError(
                "max_tokens_history",
                f"is {self.most_tokens}, but this round with what is pinned needs {needed} tokens: unpin something, "
                "say less, or raise the bound",
            )
        return [entry.message for entry in entries]

    def replace(self, messages: Iterable[Any], pinned: Iterable[Any] = ()) -> None:
        """Take these messages in the place of all that are there.

        Raises:
            ConfigurationError: One is no message, or a pin points nowhere; the history is then as it was.
        """
        entries = [Entry(checked(message, f"messages[{index}]")) for index, message in enumerate(messages)]
        for place in pinned:
            if isinstance(place, bool) or not isinstance(place, int) or not 0 <= place < len(entries):
                raise ConfigurationError("pinned", f"names the message {place!r}, which is not there")
            entries[place].pinned = True
        self._entries = self._trimmed(entries)

    def pin(self, places: Iterable[Any], *, pinned: bool) -> None:
        """Pin or unpin messages, by Python's rules for an index.

        Raises:
            IndexError: There is no such message; nothing is changed then.
        """
        entries = []
        for place in places:
            if isinstance(place, bool) or not isinstance(place, int):
                raise TypeError(f"an index must be a whole number, not {type(place).__name__}")
            if not -len(self._entries) <= place < len(self._entries):
                raise IndexError(f"there is no message {place}: there are {len(self._entries)}")
            entries.append(self._entries[place])
        for entry in entries:
            entry.pinned = pinned

    def take_back(self, rounds: Any) -> list[Message]:
        """Remove the last rounds, each a question with all that followed it; system messages stay.

        Returns:
            What was taken back, oldest first.

        Raises:
            ValueError: ``rounds`` is no positive number.
        """
        if isinstance(rounds, bool) or not isinstance(rounds, int) or rounds < 1:
            raise ValueError(f"n must be a whole number from 1 up, not {rounds!r}")
        starts = _starts(self._entries)
        if not starts:
            return []
        cut = starts[-min(rounds, len(starts))]
        gone = [entry for entry in self._entries[cut:] if entry.role not in _LASTING]
        self._entries = [entry for index, entry in enumerate(self._entries) if index < cut or entry.role in _LASTING]
        return [entry.message for entry in gone]

    def last_round(self) -> list[Message]:
        """The last question with all that followed it."""
        starts = _starts(self._entries)
        return [entry.message for entry in self._entries[starts[-1] :]] if starts else []

    def clear(self) -> list[Message]:
        """Remove all that is said; what is pinned, too."""
        gone, self._entries = self._entries, []
        return [entry.message for entry in gone]

    # -- trimming

    def _trimmed(self, entries: list[Entry]) -> list[Entry]:
        """Without the oldest, as the bounds demand: one by one by their number, as the seeds have it."""
        if self.most is not None:
            entries = _without_oldest(entries, _groups(entries), 0, len(entries) - self.most, lambda _: 1)
        return self._fitting(entries)

    def _fitting(self, entries: list[Entry], keep: int = 0) -> list[Entry]:
        """Without the oldest, as the bound of tokens demands; the last ``keep`` stay.

        Whole rounds go first, so that no answer is left without its question; then what goes alone.
        """
        if self.most_tokens is not None:
            for grouped in (_rounds, _groups):
                excess = self._tokens(entries) - self.most_tokens
                entries = _without_oldest(entries, grouped(entries), keep, excess, self._count)
        return entries

    def _tokens(self, entries: Iterable[Entry]) -> int:
        return sum(self._count(entry.message) for entry in entries)


def _without_oldest(
    entries: list[Entry], groups: list[list[int]], keep: int, excess: int, weigh: Counter
) -> list[Entry]:
    """Remove the oldest groups until so much is gone: no pinned or system message, nor what goes with the last.

    The last are the newest ``keep``, and tool calls that wait for their results.
    """
    gone: set[int] = set()
    before = len(entries) - keep
    if _open_calls([entry.message for entry in entries]):
        before = min(before, _groups(entries)[-1][0])
    for group in groups:
        if excess <= 0:
            break
        if group[-1] >= before or any(entries[index].pinned or entries[index].role in _LASTING for index in group):
            continue
        gone.update(group)
        excess -= sum(weigh(entries[index].message) for index in group)
    return [entry for index, entry in enumerate(entries) if index not in gone]


def _starts(entries: Sequence[Entry]) -> list[int]:
    """Where rounds begin: with what the user says after somebody else, or at first."""
    roles = [entry.role for entry in entries]
    return [index for index, role in enumerate(roles) if role == "user" and (index == 0 or roles[index - 1] != "user")]


def _rounds(entries: Sequence[Entry]) -> list[list[int]]:
    """The places of each round's messages, without those of the system; first what stands before any question."""
    bounds = [0, *_starts(entries), len(entries)]
    rounds = [
        [index for index in range(start, end) if entries[index].role not in _LASTING]
        for start, end in itertools.pairwise(bounds)
    ]
    return [places for places in rounds if places]


def _groups(entries: Sequence[Entry]) -> list[list[int]]:
    """The places of messages that go together: the model's tool calls with their results; any other goes alone."""
    groups: list[list[int]] = []
    for index, entry in enumerate(entries):
        if entry.role in _RESULTS and groups and _calls_tools(entries[groups[-1][0]].message):
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def _calls_tools(message: Mapping[str, Any]) -> bool:
    return bool(message.get("tool_calls") or message.get("function_call"))


def _open_calls(messages: Sequence[Message]) -> list[str]:
    answered: set[str] = set()
    for message in reversed(messages):
        if message["role"] in _RESULTS:
            answered.add(str(message.get("tool_call_id")))
        else:
            calls = message.get("tool_calls") or () if message["role"] == "assistant" else ()
            return [call["id"] for call in calls if call.get("id") and call["id"] not in answered]
    return []


def checked(message: Any, where: str) -> Message:
    """A message of one's own: a copy, which nobody else changes.

    Raises:
        ConfigurationError: It has no known role, nothing to say, or parts or tool calls that are none.
    """
    if not isinstance(message, Mapping):
        raise ConfigurationError(where, f"must be a mapping with role and content, not {type(message).__name__}")
    if message.get("role") not in ROLES:
        raise ConfigurationError(f"{where}.role", f"must be one of {', '.join(sorted(ROLES))}")
    content = message.get("content")
    if not (isinstance(content, (str, list)) or (content is None and set(message) - {"role", "content"})):
        raise ConfigurationError(f"{where}.content", f"must be text or a list of parts, not {type(content).__name__}")
    parts = content if isinstance(content, list) else []
    for index, part in enumerate(parts):
        if not isinstance(part, Mapping) or not isinstance(part.get("type"), str):
            raise ConfigurationError(f"{where}.content[{index}]", "must be a part with a type")
    calls = message.get("tool_calls")
    if calls is not None and not (isinstance(calls, list) and all(isinstance(call, Mapping) for call in calls)):
        raise ConfigurationError(f"{where}.tool_calls", "must be a list of calls")
    return copy.deepcopy(dict(message))
