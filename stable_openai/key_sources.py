"""Keys and options from the environment and from TOML files.

What reads secrets hands its errors back, and the functions that one calls raise them: so the traceback of a bad key
holds no frame whose local variables show the good ones.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from .errors import ConfigurationError
from .keys import Key, as_keys
from .limits import as_limits
from .masking import hide
from .toml import read_toml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "DEFAULT_VARIABLES",
    "keys_from_env",
    "path_from_env",
    "placed_in_file",
    "settings_from_env",
    "settings_from_file",
    "store_from_env",
]

T = TypeVar("T")
DEFAULT_VARIABLES: Final = ("OPENAI_API_KEYS", "OPENAI_API_KEY")
_POOL: Final = "STABLE_OPENAI_POOL"
_STORE: Final = "STABLE_OPENAI_STORE"
_SEPARATORS: Final = re.compile(r"[\s,;]+")


def keys_from_env(*variables: str, environ: Mapping[str, str] | None = None) -> list[Key]:
    """Read keys from variables: ``NAME`` holds one or a list (comma, semicolon, white space), ``NAME_1…`` one each.

    Without names, ``OPENAI_API_KEYS``, ``OPENAI_API_KEY_1…`` and ``OPENAI_API_KEY`` are read, in this order. A key
    that stands in several places is taken once. A key's name is the variable that it came from.

    Raises:
        ConfigurationError: A key is bad; the message names the variable.
    """
    if not all(variables):
        raise ConfigurationError("variables", "must be names of environment variables, not empty")
    found = _outcome(_read_env, variables or DEFAULT_VARIABLES, environ)
    environ = None
    if isinstance(found, ConfigurationError):
        raise found
    return found


def settings_from_file(path: str | os.PathLike[str]) -> tuple[list[Key], dict[str, Any]]:
    """Read a TOML file of keys: the keys, and the pool's options.

    ``[pool]`` holds the options of ``KeyPool`` (``strategy``, ``rpm``, ``store``, …), each ``[[keys]]`` the fields of
    ``Key``, ``[owners.NAME]`` limits. A key's ``secret`` may be given as ``secret_env = "VARIABLE"``.

    Raises:
        ConfigurationError: The file can be read by others than its owner, is no TOML, or has a wrong field.
        FileNotFoundError: There is no such file.
    """
    found = _outcome(_read_file, Path(path))
    if isinstance(found, ConfigurationError):
        raise found
    return found


def placed_in_file(path: str | os.PathLike[str], error: ConfigurationError) -> ConfigurationError:
    """The error of a pool's option that a file of keys has given, with the file and the line.

    Options are checked where a pool is made of them, and go by the names that they have there: ``limits.rpm`` is
    ``[pool]``'s ``rpm``.

    Args:
        path: The file.
        error: What was found wrong with the option.
    """
    try:
        file = read_toml(path)
    except (ConfigurationError, OSError):
        return error  # it was another one, a moment ago
    loose = error.field.removeprefix("limits.")
    for place in (f"pool.{error.field}", f"pool.{loose}", error.field, f"pool.{loose.partition('.')[0]}"):
        if file.has(place):
            return file.placed(error, place)
    return error


def path_from_env() -> Path | None:
    """The file that ``STABLE_OPENAI_POOL`` names."""
    path = os.environ.get(_POOL)
    return Path(path).expanduser() if path else None


def settings_from_env() -> tuple[list[Key], dict[str, Any]]:
    """Read what this process is told from outside: keys, and options of its pool.

    ``STABLE_OPENAI_POOL`` is the path of a TOML file, as ``settings_from_file`` reads it. Without it, or where the file
    holds options alone, the keys are those of ``keys_from_env``. ``STABLE_OPENAI_STORE`` is the store, where the file
    does not say one. Variables that are empty count as not set.

    Raises:
        ConfigurationError: The file is not there or is wrong, or a key is bad; the message names the variable.
    """
    found = _outcome(_read_pool_of_env)
    if isinstance(found, ConfigurationError):
        raise found
    return found


def store_from_env() -> dict[str, Any]:
    """The option ``store`` of the process-wide pool, where ``STABLE_OPENAI_STORE`` says one."""
    store = os.environ.get(_STORE)
    return _without_shown_password({"store": store}) if store else {}


def _outcome(read: Callable[..., T], *arguments: Any) -> T | ConfigurationError:
    """What a reader returns, or its error without its traceback."""
    try:
        return read(*arguments)
    except ConfigurationError as error:
        return ConfigurationError(error.field, error.problem)


# -- the environment


def _read_env(variables: tuple[str, ...], environ: Mapping[str, str] | None) -> list[Key]:
    environ = os.environ if environ is None else environ
    found: dict[str, Key] = {}
    for variable in variables:
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
        names.append(variable)
    return [(name, environ[name]) for name in names]


def _read_pool_of_env() -> tuple[list[Key], dict[str, Any]]:
    keys: list[Key] = []
    options = store_from_env()
    path = path_from_env()
    if path is not None:
        try:
            keys, told = _read_file(path)
        except ConfigurationError as error:
            raise ConfigurationError(f"{_POOL}: {error.field}", error.problem) from None
        except OSError as error:
            raise ConfigurationError(_POOL, f"names {path}, which can't be read: {error.strerror}") from None
        options.update(told)
    return keys or _read_env(DEFAULT_VARIABLES, None), options


def _without_shown_password(options: dict[str, Any]) -> dict[str, Any]:
    """The same options, whose ``repr`` does not show a password that is in the store's address."""
    store = options.get("store")
    return {**options, "store": hide(store)} if isinstance(store, str) and "@" in store else options


# -- files


def _read_file(path: Path) -> tuple[list[Key], dict[str, Any]]:
    file = read_toml(path, is_private=True)
    try:
        file.check_names("pool", "keys", "owners")
        return _keys_of(file.data.get("keys", [])), _without_shown_password(_options_of(file.data))
    except ConfigurationError as error:
        raise file.placed(error) from None


def _keys_of(entries: object) -> list[Key]:
    if isinstance(entries, dict) or not isinstance(entries, list):
        raise ConfigurationError("keys", 'must be a list: write [[keys]] for each, or keys = ["…"]')
    resolved: list[Any] = [_resolved(entry, f"keys[{index}]") for index, entry in enumerate(entries)]
    return as_keys(resolved)


def _resolved(entry: object, where: str) -> object:
    """A key's fields with ``secret_env`` replaced by what it names."""
    if not isinstance(entry, dict) or "secret_env" not in entry:
        return entry
    fields = dict(entry)
    variable = fields.pop("secret_env")
    if "secret" in fields:
        raise ConfigurationError(f"{where}.secret_env", "stands beside secret: give one of the two")
    if not isinstance(variable, str) or not variable:
        raise ConfigurationError(f"{where}.secret_env", "must be the name of an environment variable")
    if variable not in os.environ:
        raise ConfigurationError(f"{where}.secret_env", f"the variable {variable} is not set")
    secret = os.environ[variable].strip()
    try:
        Key(secret)
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}.secret_env", f"the variable {variable} {error.problem}") from None
    return {"secret": secret, **fields}


def _options_of(data: dict[str, Any]) -> dict[str, Any]:
    options = data.get("pool", {})
    owners = data.get("owners", {})
    if not isinstance(options, dict):
        raise ConfigurationError("pool", "must be a table: write [pool], and the options below it")
    if not isinstance(owners, dict):
        raise ConfigurationError("owners", "must be a table: write [owners.NAME] for each, and its limits below it")
    options = dict(options)
    if "windows" in options:
        options["windows"] = as_limits({"windows": options["windows"]}, "pool").windows
    if owners:
        options["owners"] = owners
    return options
