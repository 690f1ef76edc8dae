"""A lock that somebody else holds, and what SQLite's errors mean for a store."""

from __future__ import annotations

import random
import sqlite3
import time
from typing import TYPE_CHECKING, Final, TypeVar

from stable_openai.errors import StoreError
from stable_openai.stores.shared.journal import Lost

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["damaged", "is_busy", "meaning_of", "patiently"]

_FIRST_NAP: Final = 0.0001
_LONGEST_NAP: Final = 0.005

T = TypeVar("T")


def patiently(action: Callable[[], T], timeout: float) -> T:
    """Do what needs a lock, again and again while others hold it.

    SQLite can wait by itself (``busy_timeout``), but sleeps up to 100 ms at a time and in step with the others, where a
    transaction takes 20 µs: with eight busy processes, that costs a third of the throughput, and the unluckiest waits
    several times as long.

    Args:
        action: It raises SQLite's "database is locked", and has changed nothing then.
        timeout: Seconds after which that error is raised to the caller.
    """
    start = time.monotonic()
    waited, nap = 0.0, _FIRST_NAP
    while True:
        try:
            return action()
        except sqlite3.OperationalError as error:
            if not is_busy(error) or waited >= timeout:
                raise
        pause = min(nap * random.uniform(0.5, 1.5), timeout - waited)  # noqa: S311  # out of step, not secret
        time.sleep(pause)
        waited = max(waited + pause, time.monotonic() - start)  # the clock may be a frozen one
        nap = min(2 * nap, _LONGEST_NAP)


def is_busy(error: BaseException) -> bool:
    """Whether somebody else holds a lock. The codes of SQLite's errors are to be had from Python 3.11 on only."""
    return isinstance(error, sqlite3.OperationalError) and str(error).startswith(
        ("database is lock", "locking protocol")
    )


def meaning_of(error: sqlite3.DatabaseError, path: str, timeout: float) -> Lost | StoreError:
    """What to raise for an error of SQLite's."""
    said = str(error)
    if is_busy(error):
        return Lost(f"the SQLite store {path} was locked by another process for {timeout:g} s")
    if isinstance(error, sqlite3.OperationalError) and not said.startswith(("no such", "table ")):
        return Lost(f"the SQLite store {path} can't be used: {said}")  # a full disk, one that fails or is read-only
    return damaged(path, said)


def damaged(path: str, said: str) -> StoreError:
    """A file that is none of ours any more, or is in part."""
    return StoreError(
        f"the SQLite store {path} is damaged ({said}): stop what uses it and move it away, with those beside it "
        f"({path}-wal, -shm, -journal) where they are there; a new one is made then, and counts begin afresh"
    )
