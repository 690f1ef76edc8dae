"""A pool whose store is lost: this worker goes on with what it knows, and its part of each limit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .journal import Entry
from .portions import Portions
from .steps import dismiss

if TYPE_CHECKING:
    from .link import Link

__all__ = ["Alone"]


class Alone:
    """A copy of a replica in which nobody else is left.

    Args:
        link: The link that was cut; its replica stays as it is, for the day when it is mended.
    """

    def __init__(self, link: Link) -> None:
        replica = link.replica.copy()
        names = replica.workers.names()
        if link.name not in names:
            names.append(link.name)
        self.workers = len(names)
        for worker in replica.workers:
            if worker.name != link.name:
                dismiss(replica, worker)
        Portions(self.workers, names.index(link.name)).divide(replica.engine.roster)
        replica.ahead = 0.0
        self.replica = replica
        self._seq = 0
        if replica.workers.get(link.name) is None:
            self.say(json.dumps([link.name, 0, "join", float("inf"), 0, list(link.held)]), link.now())

    def say(self, text: str, now: float) -> Any:
        """Take an entry that the store can't take; returns what came of it."""
        self._seq += 1
        return self.replica.apply(Entry(self._seq, now, text))[2]
