"""A file of lines that only grows: each batch is on the disk when ``append`` returns, or the file is as it was."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from stable_openai.errors import ConfigurationError

from .values import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from .forms import Form

__all__ = ["LineFile", "encoded"]

_SHOWN: Final = 60  # characters of a line that is not understood
_CLOSED: Final = -1
_FLAGS: Final = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


class LineFile:
    """One JSON object a line. ``append`` and ``close`` are safe in threads.

    Args:
        path: The file; made where it is not there.
        form: What its lines look like.

    Raises:
        ConfigurationError: Another run is at it, or it is another kind of file; it is then left as it is.
        OSError: It can't be opened for writing.
    """

    def __init__(self, path: Path, form: Form) -> None:
        self.path = path
        self._form = form
        self._reading = threading.Lock()
        self._reader: BinaryIO | None = None
        self._writing = threading.Lock()
        self._descriptor = os.open(path, _FLAGS, 0o666)
        try:
            if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
                raise ConfigurationError("checkpoint", f"{path} is no file on a disk: results are kept in one")
            if not _lock(self._descriptor):
                raise ConfigurationError(
                    "checkpoint", f"another run is writing {path}: wait for it, stop it, or name another file"
                )
            self._end = os.fstat(self._descriptor).st_size
            _sync_folder(path.parent)
        except BaseException as error:
            os.close(self._descriptor)
            _name(error, path)
            raise
        _open.add(self)

    def lines(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Each line, with where it begins. A last one that was cut off is taken away, once all others were found good.

        Raises:
            ConfigurationError: A line is no result; the file is left as it is.
        """
        return ((place, line) for place, _, line in self._lines())

    def _lines(self) -> Iterator[tuple[int, bytes, Mapping[str, Any]]]:
        """As ``lines``, with the bytes of each. What is being written meanwhile is not seen."""
        number = place = 0
        end = self._end
        with self.path.open("rb") as file:
            for raw in file:
                if place >= end:
                    break
                number += 1
                if raw.endswith(b"\n"):
                    if raw.strip():
                        yield place, raw, self._read(raw, number)
                else:
                    found = self._mend(place, raw, number)
                    if found is not None:
                        yield place, raw, found
                place += len(raw)

    def _mend(self, place: int, raw: bytes, number: int) -> Mapping[str, Any] | None:
        """Take away a last line that was cut off; give one where but its end was lost."""
        whole = raw.rstrip(b"\0")  # which stand there after a power failure
        text = whole.decode("utf-8", "replace")
        found = _object(whole)
        if found is not None and self._form.id_of(found) is not None:
            os.ftruncate(self._descriptor, place + len(whole))
            self._end = place + len(whole)
            self.append([b"\n"])
            return found
        if not self._form.starts(text[:_SHOWN]):
            raise self._foreign(number, text)
        os.ftruncate(self._descriptor, place)
        os.fsync(self._descriptor)
        self._end = place
        return None

    def _read(self, raw: bytes, number: int) -> Mapping[str, Any]:
        line = _object(raw)
        if line is None or self._form.id_of(line) is None:
            raise self._foreign(number, raw.decode("utf-8", "replace"))
        return line

    def _foreign(self, number: int, text: str) -> ConfigurationError:
        shown = text.strip()[:_SHOWN]
        return ConfigurationError(
            "checkpoint", f"line {number} of {self.path} is no result of a run ({shown!r}…): is it another file?"
        )

    def line_at(self, place: int) -> Mapping[str, Any]:
        """The line that begins there. Safe in threads."""
        with self._reading:
            if self._reader is None:
                self._reader = self.path.open("rb")
            self._reader.seek(place)
            raw = self._reader.readline()
        found: Mapping[str, Any] = json.loads(raw)
        return found

    def append(self, lines: Sequence[bytes]) -> None:
        """Write these and have them on the disk.

        Raises:
            OSError: There is no room, or the like; the file is then as it was before.
        """
        data = memoryview(b"".join(lines))
        with self._writing:
            try:
                os.lseek(self._descriptor, self._end, os.SEEK_SET)
                written = 0
                while written < len(data):
                    written += os.write(self._descriptor, data[written:])
                os.fsync(self._descriptor)
            except BaseException as error:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._descriptor, self._end)
                _name(error, self.path)
                raise
            self._end += len(data)

    def keep(self, wanted: Callable[[Mapping[str, Any]], bool]) -> None:
        """Leave out all lines but those, if there are others: written beside and renamed."""
        if not sum(not wanted(line) for _, line in self.lines()):
            return
        path = self.path.resolve()
        beside = path.with_name(f".{path.name}.part")
        descriptor = os.open(beside, _FLAGS | os.O_TRUNC, 0o666)
        try:
            _lock(descriptor)
            with open(descriptor, "wb", closefd=False) as file:
                file.writelines(raw for _, raw, line in self._lines() if wanted(line))
            os.fsync(descriptor)
            size = os.fstat(descriptor).st_size
            beside.replace(path)
        except BaseException as error:
            os.close(descriptor)
            beside.unlink(missing_ok=True)
            _name(error, beside)
            raise
        old, self._descriptor, self._end = self._descriptor, descriptor, size
        os.close(old)
        _sync_folder(path.parent)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing in it."""
        return self._end == 0

    def close(self) -> None:
        """Let go of it, when nobody is writing; idempotent."""
        with self._reading:
            if self._reader is not None:
                self._reader.close()
        with self._writing:
            self._let_go()

    def _let_go(self) -> None:
        descriptor, self._descriptor = self._descriptor, _CLOSED
        if descriptor != _CLOSED:
            with contextlib.suppress(OSError):  # all that counts was on the disk before
                os.close(descriptor)

    def after_fork(self) -> None:
        """Let go of it in a forked child: the file stays locked as long as the run's own process lives."""
        self._let_go()


_open: Final[weakref.WeakSet[LineFile]] = weakref.WeakSet()


def _after_fork() -> None:
    for file in tuple(_open):
        file.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _name(error: BaseException, path: Path) -> None:
    """Have an error of the system's say which file it is about."""
    if isinstance(error, OSError) and error.filename is None:
        error.filename = str(path)


def _object(raw: bytes) -> dict[str, Any] | None:
    try:
        line = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return line if isinstance(line, dict) else None


def encoded(line: Mapping[str, Any]) -> bytes:
    """A line as it is written."""
    try:
        return text_of(line).encode() + b"\n"
    except UnicodeEncodeError:  # half a character, which no UTF-8 can hold
        return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def _sync_folder(folder: Path) -> None:
    """Have a new file's name on the disk, too."""
    if sys.platform == "win32":
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> bool:
        """Whether this process has the file for itself, from now until it is closed."""
        try:
            os.lseek(descriptor, 1 << 40, os.SEEK_SET)  # a byte far beyond the end: reading stays allowed
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _lock(descriptor: int) -> bool:
        """Whether this process has the file for itself, from now until it is closed."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
