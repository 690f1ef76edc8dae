"""What happened to a key, told to the log and to whoever listens."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from stable_openai.stores.lanes import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from stable_openai.stores.protocol import Change

__all__ = ["Event", "Listener", "Listeners", "event_of"]

logger: Final = logging.getLogger("stable_openai")
logger.addHandler(logging.NullHandler())

_LEVELS: Final = {
    "parked": logging.WARNING,
    "barred": logging.WARNING,
    "one owner": logging.WARNING,
    "outage": logging.WARNING,
    "retired": logging.ERROR,
}


_PHRASES: Final = {
    "owner": "belongs to {owner}",
    "learned": "has a limit of {note}, as answers show",
    "one owner": "{note}",
}


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened to a key, or to a lane that it goes through.

    Attributes:
        kind: ``"cooldown"``, ``"parked"``, ``"barred"`` (this model on this key), ``"retired"``, ``"revived"``,
            ``"recovered"`` (back after a rest, step by step), ``"learned"`` (a limit), ``"owner"`` (found out whose the
            key is), ``"one owner"`` (all keys draw on one quota), ``"outage"`` (keys of several owners fail alike),
            ``"outage over"``, ``"added"`` or ``"removed"``.
        key: The key's name.
        lane: What is concerned: ``"key"``, ``"key and model"``, ``"owner"``, ``"owner and model"`` or ``"endpoint"``.
        seconds: For how long, in seconds; infinity until somebody revives it; 0 where that does not apply.
        reason: Why, in one of the verdict's words.
        note: The evidence, in the provider's words, masked.
        owner: The owner, where its lane is concerned.
        model: The model, where one is concerned.
    """

    kind: str
    key: str
    lane: str = "key"
    seconds: float = 0.0
    reason: str = ""
    note: str = ""
    owner: str | None = None
    model: str | None = None

    def __str__(self) -> str:
        who = f"owner {self.owner} (seen on {self.key})" if self.owner and self.kind != "owner" else self.key
        if self.lane == "endpoint":
            who = f"the endpoint of {self.key}"
        what = _PHRASES.get(self.kind, self.kind).format(owner=self.owner, note=self.note)
        model = f" for {self.model}" if self.model else ""
        seconds = f" for {self.seconds:.3g} s" if 0 < self.seconds < float("inf") else ""
        why = f": {self.reason}" if self.reason else ""
        note = f" ({self.note})" if self.note and "{note}" not in _PHRASES.get(self.kind, "") else ""
        return f"{who}{model}: {what}{seconds}{why}{note}"


Listener = "Callable[[Event], object]"


def event_of(change: Change) -> Event:
    """The event of a change that a store reports."""
    return Event(
        kind=change.what,
        key=change.key,
        lane=Kind(change.kind).value,
        seconds=change.seconds,
        reason=change.reason,
        note=change.note,
        owner=change.owner,
        model=change.model,
    )


class Listeners:
    """Those who are told; a listener that fails is logged and harms nobody."""

    def __init__(self) -> None:
        self._listeners: tuple[Callable[[Event], object], ...] = ()

    def add(self, listener: Callable[[Event], object]) -> Callable[[], None]:
        """Tell this one from now on; the result, when called, ends that."""
        self._listeners = (*self._listeners, listener)

        def forget() -> None:
            self._listeners = tuple(known for known in self._listeners if known is not listener)

        return forget

    def tell(self, event: Event) -> None:
        """Log the event in one line, and tell everybody. Never called under a lock."""
        logger.log(_LEVELS.get(event.kind, logging.INFO), "%s", event)
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:
                logger.exception("an event listener failed")
