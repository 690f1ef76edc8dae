"""TOML files, and errors that say where in them something is wrong."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from stable_openai.errors import ConfigurationError
from stable_openai.masking import mask
from stable_openai.near_names import is_unknown
from stable_openai.private import fault_of_mode

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]  # only there where it is needed

__all__ = ["TomlFile", "read_toml"]

_INDEX: Final = re.compile(r"\[(\d+)\]")
_SECRET: Final = re.compile(r"sk-.+|(?=.*\d).{32,}", re.DOTALL)  # what may be one, where none belongs


@dataclass(frozen=True)
class TomlFile:
    """A file that was read.

    Attributes:
        path: Where it is.
        data: What it says.
        text: What stands in it.
        mode: Its mode.
    """

    path: Path
    data: dict[str, Any] = field(repr=False)
    text: str = field(repr=False)
    mode: int

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return self.path.name

    def check_names(self, *known: str) -> None:
        """Refuse names at the top that are none of these.

        Raises:
            ConfigurationError: There is one; the message says which may have been meant.
        """
        for name in self.data:
            if name not in known:
                raise ConfigurationError(name, is_unknown(name, known))

    def has(self, place: str) -> bool:
        """Whether the file says something in this place, such as ``tokens[1].rpm``."""
        return not self._walk(place)[1]

    def where(self, place: str) -> str:
        """The file, the line and the place, as messages have them: ``serve.toml, line 7: tokens[1].rpm``.

        The line is that of the place, or of what it is in, where the file does not say it.

        Args:
            place: Names and numbers as messages have them, such as ``keys[0].limits['gpt-4o'].rpm``.
        """
        from .lines import lines_of

        path, _ = self._walk(place)
        line = lines_of(self.text).get(path)
        shown = _without_secrets(place, [name for name in path if str(name).startswith("sk-")])
        return f"{self.name}{'' if line is None else f', line {line}'}: {shown}"

    def placed(self, error: ConfigurationError, place: str | None = None) -> ConfigurationError:
        """The same error, with the file and the line of what is wrong.

        Args:
            error: An error whose field is a place in this file.
            place: The place, where the field is not.
        """
        place = error.field if place is None else place
        value: Any = self.data
        path, rest = self._walk(place)
        for step in path:
            value = value[step]
        problem = error.problem if rest else _without_secrets(error.problem, [value])
        return ConfigurationError(self.where(place), problem)

    def _walk(self, place: str) -> tuple[tuple[str | int, ...], str]:
        """The path to a place as far as the file has it, and what of the place is left."""
        path: list[str | int] = []
        found: Any = self.data
        rest = f".{place}"
        while rest:
            step = _step(found, rest)
            if step is None:
                break
            name, rest = step
            path.append(name)
            found = found[name]
        return tuple(path), rest


def read_toml(path: str | os.PathLike[str], *, is_private: bool = False) -> TomlFile:
    """Read a TOML file.

    Args:
        path: Where it is.
        is_private: Whether to refuse one that others than its owner can read, before anything of it is read.

    Raises:
        ConfigurationError: It is no TOML, or others can read it. The message shows nothing of what is in it.
        OSError: It can't be read.
    """
    found = _read(Path(path), is_private=is_private)
    if isinstance(found, ConfigurationError):
        raise found
    return found


def _read(path: Path, *, is_private: bool) -> TomlFile | ConfigurationError:
    """The file, or the error without the frames in which it has been read: their variables hold secrets."""
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        fault = fault_of_mode(mode, path) if is_private else None
        if fault:
            return ConfigurationError(path.name, fault)
        raw = file.read()
    try:
        text = raw.decode()
        return TomlFile(path, tomllib.loads(text), text, mode)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        problem = f"line {line} is not UTF-8"
    except tomllib.TOMLDecodeError as error:
        spot = re.search(r"line \d+, column \d+", str(error))  # its own words could hold a piece of a secret
        problem = spot[0] if spot else "see its quoting"
    except RecursionError:
        problem = "too many brackets within brackets"
    return ConfigurationError(path.name, f"is no valid TOML ({problem})")


def _step(found: Any, rest: str) -> tuple[str | int, str] | None:
    """The first step on a way that is left, and what is left then."""
    if isinstance(found, list):
        index = _INDEX.match(rest)
        return (int(index[1]), rest[index.end() :]) if index and int(index[1]) < len(found) else None
    if not isinstance(found, dict):
        return None
    near = [
        (name, rest[len(spelled) :])
        for name in found
        for spelled in (f".{name}", f"[{name!r}]")
        if rest.startswith(spelled) and rest[len(spelled) :][:1] in {"", ".", "["}
    ]
    return min(near, key=lambda step: len(step[1]), default=None)


def _without_secrets(text: str, values: list[Any]) -> str:
    """A message without those values that look like secrets."""
    for value in values:
        if isinstance(value, str) and _SECRET.fullmatch(value):
            text = text.replace(value, mask(value))
    return text
