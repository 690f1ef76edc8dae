"""Files that nobody but their owner may read, from their first byte on; and locks between processes."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any

from stable_openai.beside import PRIVATE, written_beside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["Busy", "locked", "make_folder", "write"]


class Busy(OSError):
    """Another process holds the lock."""


def make_folder(path: Path) -> None:
    """Make a folder that is its owner's alone; one that is there stays as it is."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def write(path: Path, text: str, check: Callable[[Path], Any] | None = None) -> None:
    """Write a file beside its place with mode 0600, and rename it: it is never half-written, nor open to others.

    Args:
        path: The file; where it is a link, what it leads to.
        text: What it is to hold.
        check: Is given the new file before it takes the old one's place; what it raises leaves the old one there.

    Raises:
        OSError: It can't be written; a file that was there stays as it was.
    """
    make_folder(path.resolve().parent)
    with written_beside(path, mode=PRIVATE, keeps_mode=False) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")
        if check is not None:
            check(beside)


@contextlib.contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a lock that only one process has at a time; the system takes it back from one that is killed.

    Args:
        path: The lock's file, which stays.
        wait: Whether to wait for it.

    Raises:
        Busy: Another process holds it, and it was not to be waited for.
    """
    make_folder(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE)
    try:
        _lock(descriptor, wait=wait)
        yield
    finally:
        os.close(descriptor)


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int, *, wait: bool) -> None:
        while True:
            try:
                msvcrt.locking(descriptor, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
            except OSError as error:  # LK_LOCK gives up after ten seconds
                if not wait:
                    raise Busy(str(error)) from None
            else:
                return
else:
    import fcntl

    def _lock(descriptor: int, *, wait: bool) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Busy(*error.args) from None
