"""Reads the settings of a simulator from a TOML file or a mapping."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from stable_openai.simulator.provider import Provider
from stable_openai.simulator.settings import SETTING_NAMES, Account, SimKey, SimOwner

if TYPE_CHECKING:
    from os import PathLike

A = TypeVar("A", bound=Account)


def settings_from_toml(path: str | PathLike[str]) -> dict[str, Any]:
    """Read a file into what `Simulator` takes.

    Settings stand at the top, keys in `[[keys]]`, owners in `[[owners]]`, limits of a model in
    `[keys.model_limits."gpt-4o"]`.

    Raises:
        ValueError: If the file is no TOML, or a field is wrong; the field is named.
    """
    toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    text = Path(path).read_text(encoding="utf-8")
    try:
        told = toml.loads(text)
    except toml.TOMLDecodeError as error:
        # The cause would show the text, and with it the secrets.
        raise ValueError(f"{path} is no valid TOML: {error}") from None
    return settings_from_mapping(told)


def settings_from_mapping(told: Mapping[str, Any]) -> dict[str, Any]:
    """Check a mapping and make of it what `Simulator` takes.

    Raises:
        TypeError: If a field has the wrong type; the field is named.
        ValueError: If a field is unknown or out of range; the field is named.
    """
    settings = {name: tupled(value) for name, value in told.items() if name not in ("keys", "owners", "port")}
    unknown = sorted(set(settings) - SETTING_NAMES)
    if unknown:
        raise ValueError(f"unknown setting {unknown[0]!r}; known are keys, owners, port, {', '.join(SETTING_NAMES)}")
    keys = [account(SimKey, "keys", number, each) for number, each in listed(told, "keys")]
    owners = [account(SimOwner, "owners", number, each) for number, each in listed(told, "owners")]
    Provider(keys, owners, **settings)  # what is wrong with them together shows here, not at the first start
    port = {"port": told["port"]} if "port" in told else {}
    return {"keys": keys, "owners": owners, **port, **settings}


def listed(told: Mapping[str, Any], name: str) -> list[tuple[int, Any]]:
    """Give the entries of a list with their numbers, from 1."""
    entries = told.get(name, [])
    if not isinstance(entries, list):
        raise TypeError(f"{name} must be a list, as [[{name}]] makes it")
    return list(enumerate(entries, 1))


def account(kind: type[A], name: str, number: int, entry: Any) -> A:
    """Make a key or an owner of an entry: a table, or a bare string."""
    main = "secret" if name == "keys" else "name"
    if isinstance(entry, str):
        entry = {main: entry}
    if not isinstance(entry, Mapping):
        raise TypeError(f"{name}[{number}] must be a table or a string, not {type(entry).__name__}")
    known = {each.name for each in fields(kind)}
    unknown = sorted(set(entry) - known)
    if unknown:
        raise ValueError(f"{name}[{number}] has an unknown field {unknown[0]!r}; known are {', '.join(sorted(known))}")
    if main not in entry:
        raise ValueError(f"{name}[{number}] has no {main}")
    try:
        return kind(**{key: tupled(value) for key, value in entry.items()})
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}[{number}]: {error}") from None


def tupled(value: Any) -> Any:
    """Make a tuple of a list, as pairs of latencies are."""
    return tuple(value) if isinstance(value, list) else value
