"""Keys from the environment and from TOML files."""

from __future__ import annotations

import os
import re
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .errors import ConfigurationError
from .keys import Key, as_keys
from .limits import Limits, as_limits

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DEFAULT_VARIABLES", "keys_from_env", "settings_from_file"]

DEFAULT_VARIABLES: Final = ("OPENAI_API_KEYS", "OPENAI_API_KEY")
_SEPARATORS: Final = re.compile(r"[\s,;]+")
_FORBIDDEN_BITS: Final = stat.S_IRWXG | stat.S_IRWXO


def keys_from_env(*variables: str, environ: Mapping[str, str] | None = None) -> list[Key]:
    """Read keys from variables: ``NAME`` holds one or a list (comma, semicolon, white space), ``NAME_1…`` one each.

    Without names, ``OPENAI_API_KEYS``, ``OPENAI_API_KEY_1…`` and ``OPENAI_API_KEY`` are read, in this order. A key
    that stands in several places is taken once. A key's name is the variable that it came from.

    Raises:
        ConfigurationError: A key is bad; the message names the variable.
    """
    environ = os.environ if environ is None else environ
    found: dict[str, Key] = {}
    for variable in variables or DEFAULT_VARIABLES:
        for source, text in _texts(variable, environ):
            secrets = [secret for secret in _SEPARATORS.split(text) if secret]
            for index, secret in enumerate(secrets):
                name = source if len(secrets) == 1 else f"{source}[{index}]"
                try:
                    found.setdefault(secret, Key(secret, name=name))
                except ConfigurationError as error:
                    raise ConfigurationError(name, error.problem) from None
    return list(found.values())


def _texts(variable: str, environ: Mapping[str, str]) -> list[tuple[str, str]]:
    numbered = sorted(
        (int(match[1]), name)
        for name in environ
        if (match := re.fullmatch(re.escape(variable) + r"_(\d+)", name)) is not None
    )
    names = [name for _, name in numbered]
    if variable in environ:
        names.append(variable) if numbered else names.insert(0, variable)
    return [(name, environ[name]) for name in names]


def settings_from_file(path: str | os.PathLike[str]) -> tuple[list[Key], dict[str, Any]]:
    """Read a TOML file of keys: the keys, and the pool's options.

    ``[pool]`` holds the options of ``KeyPool`` (``strategy``, ``rpm``, ``store``, …), each ``[[keys]]`` the fields of
    ``Key``, ``[owners.NAME]`` limits. A key's ``secret`` may be given as ``secret_env = "VARIABLE"``.

    Raises:
        ConfigurationError: The file can be read by others than its owner, is no TOML, or has a wrong field.
        FileNotFoundError: There is no such file.
    """
    path = Path(path)
    where = path.name
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if os.name == "posix" and mode & _FORBIDDEN_BITS:
            raise ConfigurationError(
                where, f"can be read by others (mode {stat.S_IMODE(mode):04o}): run 'chmod 600 {path}' and try again"
            )
        try:
            data = tomllib.load(file)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            # Only the place: the decoder's own words could hold a piece of a secret.
            spot = re.search(r"line \d+, column \d+", str(error))
            raise ConfigurationError(where, f"is no valid TOML ({spot[0] if spot else 'see its quoting'})") from None
    unknown = sorted(set(data) - {"pool", "keys", "owners"})
    if unknown:
        raise ConfigurationError(f"{where}: {unknown[0]}", "is unknown; known are pool, keys, owners")
    return _keys_of(data.get("keys", []), where), _options_of(data, where)


def _keys_of(entries: object, where: str) -> list[Key]:
    if isinstance(entries, dict) or not isinstance(entries, list):
        raise ConfigurationError(f"{where}: keys", 'must be a list: write [[keys]] for each, or keys = ["…"]')
    resolved = []
    for index, entry in enumerate(entries):
        if isinstance(entry, dict) and "secret_env" in entry:
            fields = dict(entry)
            variable = fields.pop("secret_env")
            if variable not in os.environ:
                raise ConfigurationError(f"{where}: keys[{index}].secret_env", f"the variable {variable} is not set")
            resolved.append({"secret": os.environ[variable], **fields})
        else:
            resolved.append(entry)
    try:
        return as_keys(resolved)
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error.field}", error.problem) from None


def _options_of(data: dict[str, Any], where: str) -> dict[str, Any]:
    options = data.get("pool", {})
    owners = data.get("owners", {})
    if not isinstance(options, dict) or not isinstance(owners, dict):
        raise ConfigurationError(where, "pool and owners must be tables")
    options = dict(options)
    if "windows" in options:
        options["windows"] = as_limits({"windows": options["windows"]}, f"{where}: pool").windows
    if owners:
        options["owners"] = owners
    return options


def limits_of_options(options: dict[str, Any]) -> Limits:
    """Take the fields of ``Limits`` out of a pool's options."""
    return as_limits({name: options.pop(name) for name in Limits.__dataclass_fields__ if name in options})
