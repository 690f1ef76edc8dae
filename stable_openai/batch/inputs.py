"""The bytes of an input, which can be read more than once, from several places at a time."""

from __future__ import annotations

import io
import os
import shutil
import stat
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, Final

from stable_openai.errors import ConfigurationError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["Input", "is_standard_input"]

_BUFFER: Final = 1 << 18
_PIPES: Final = (None, "-", "/dev/stdin")


def is_standard_input(path: str | os.PathLike[str] | None) -> bool:
    """Whether it is what is piped into the process."""
    return path is None or os.fspath(path) in _PIPES


class Input:
    """A file that stays the one it was when it was opened, or what came through a pipe, kept without a name.

    Args:
        path: The file; None, ``-`` and ``/dev/stdin``: the standard input, which is read to its end now, as is any
            other pipe.

    Raises:
        ConfigurationError: There is no standard input.
        OSError: It can't be read, or there is no room to keep it.
    """

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        self._lock = threading.Lock()
        if path is None or is_standard_input(path):
            self._file: IO[bytes] = _kept(_standard_input())
            return
        file = Path(path)
        if _is_pipe(file):
            with file.open("rb") as pipe:
                self._file = _kept(pipe)
        else:
            self._file = file.open("rb", buffering=0)

    def view(self) -> BinaryIO:
        """The bytes from their beginning, in a file with a place of its own."""
        return io.BufferedReader(_View(self._file, self._lock), _BUFFER)

    def is_at(self, path: str | os.PathLike[str]) -> bool:
        """Whether that is the file, under whatever name."""
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), Path(path).stat())
        except OSError:
            return False

    def close(self) -> None:
        """Let go of it; what was kept is gone."""
        self._file.close()


def _is_pipe(file: Path) -> bool:
    """Whether it can be read but once: a FIFO, which is what ``<(command)`` names, a socket, a terminal."""
    mode = file.stat().st_mode
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _standard_input() -> BinaryIO:
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None:
        raise ConfigurationError("input", "there is no standard input: name a file")
    found: BinaryIO = stream
    return found


def _kept(pipe: BinaryIO) -> IO[bytes]:
    """What a pipe has, in a file without a name."""
    file = tempfile.TemporaryFile()  # noqa: SIM115  # closed by who has it
    try:
        shutil.copyfileobj(pipe, file, _BUFFER)
        file.flush()
    except BaseException:
        file.close()
        raise
    return file


class _View(io.RawIOBase):
    """A place in a file that others read too."""

    def __init__(self, file: IO[bytes], lock: threading.Lock) -> None:
        super().__init__()
        self._file = file
        self._lock = lock
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_CUR:
            offset += self._place
        elif whence == os.SEEK_END:
            with self._lock:
                offset += self._file.seek(0, os.SEEK_END)
        self._place = offset
        return offset

    def readinto(self, buffer: WriteableBuffer) -> int:
        into = memoryview(buffer).cast("B")
        with self._lock:
            self._file.seek(self._place)
            data = self._file.read(len(into))
        into[: len(data)] = data
        self._place += len(data)
        return len(data)
