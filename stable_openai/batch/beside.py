"""A file that is written beside its place and renamed, so that it is whole or not there."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["written_beside"]


@contextlib.contextmanager
def written_beside(path: str | os.PathLike[str]) -> Iterator[Path]:
    """The path of an empty file, which takes the other's place where nothing is raised.

    One that was there keeps its mode, and stays a link if it is one.

    Raises:
        OSError: It can't be written; a file that was there stays as it was.
    """
    target = Path(os.path.realpath(path))
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        if os.name == "posix" and target.exists():
            beside.chmod(stat.S_IMODE(target.stat().st_mode))
        yield beside
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
