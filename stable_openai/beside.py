"""A file that is written beside its place and renamed, so that it is whole or not there."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PRIVATE", "written_beside"]

PRIVATE: Final = 0o600  # its owner's alone
_COMMON: Final = 0o666  # as the user's umask has it


@contextlib.contextmanager
def written_beside(path: str | os.PathLike[str], *, mode: int = _COMMON, keeps_mode: bool = True) -> Iterator[Path]:
    """The path of an empty file, which takes the other's place where nothing is raised; on the disk by then.

    A link stays one: what it leads to is replaced.

    Args:
        path: The file; its folder has to be there.
        mode: A new one's permissions, before the umask.
        keeps_mode: Whether one that was there keeps its own. Until it is renamed, it is its owner's alone then.

    Raises:
        OSError: It can't be written; a file that was there stays as it was.
    """
    target = Path(os.path.realpath(path))
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    there = _mode_of(target)
    kept = there if keeps_mode else None
    try:
        os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode if kept is None else PRIVATE))
        yield beside
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        if kept is not None:
            beside.chmod(kept)
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _mode_of(path: Path) -> int | None:
    """Its permissions; None where it is not there, or permissions are not POSIX's.

    Raises:
        OSError: It is a device, a pipe or the like, whose place no file can take.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # a folder refuses it by itself
        raise OSError(errno.EINVAL, "is no regular file, so none can be written in its place", str(path))
    return stat.S_IMODE(mode) if os.name == "posix" else None
