"""The configuration file: the options by their names, ``[[tokens]]``, and ``[bounds]`` of the gateway."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stable_openai.errors import ConfigurationError
from stable_openai.near_names import is_unknown
from stable_openai.private import fault_of_mode
from stable_openai.serving import read_tokens
from stable_openai.toml import TomlFile, read_toml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["BOUNDS", "TOKENS", "read_settings"]

TOKENS: Final = "tokens"
BOUNDS: Final = "bounds"
_BOUNDS: Final = (
    "timeout", "connect_timeout", "idle_timeout", "body_timeout", "max_body", "max_held", "max_requests", "look_ahead",
)  # fmt: skip
_TEXTS: Final = ("grpc", "http", "gateway", "store", "base_url", "model")
_PATHS: Final = ("pool", "token_file", "tls_cert", "tls_key", "sessions")
_LISTS: Final = ("admins", "session_base_urls")
_COUNTS: Final = ("workers", "max_sessions")
_SECONDS: Final = ("idle", "max_wait", "drain")
_FLAGS: Final = ("behind_proxy", "debug")
_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    **dict.fromkeys(_TEXTS + _PATHS, (str,)),
    **dict.fromkeys(_COUNTS, (int,)),
    **dict.fromkeys(_SECONDS, (float, int)),
    **dict.fromkeys(_FLAGS, (bool,)),
    **dict.fromkeys((*_LISTS, TOKENS), (list,)),
    BOUNDS: (dict,),
}
_WORDS: Final[Mapping[type, str]] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
}


def read_settings(path: Path) -> tuple[dict[str, Any], TomlFile]:
    """Read a configuration file: what it says by name, and the file, which tells where.

    Raises:
        ConfigurationError: A field is unknown or wrong; the message names it, and its line. Or it holds tokens, and
            others can read it (names of variables are no tokens).
        OSError: The file can't be read.
    """
    file = read_toml(path)
    found = _values_of(file)
    if isinstance(found, ConfigurationError):
        raise found
    fault = fault_of_mode(file.mode, path) if _holds_secrets(file.data.get(TOKENS)) else None
    if fault:
        raise ConfigurationError(file.name, f"holds tokens, and {fault}")
    return found, file


def _holds_secrets(tokens: Any) -> bool:
    """Whether there is a token in the file itself, rather than the name of the variable that has it."""
    return any(not isinstance(token, dict) or "secret" in token for token in tokens or ())


def _values_of(file: TomlFile) -> dict[str, Any] | ConfigurationError:
    """The values, or the error without the frames that have seen tokens."""
    try:
        file.check_names(*_KINDS)
        return {name: _value_of(name, value) for name, value in file.data.items()}
    except ConfigurationError as error:
        return file.placed(error)


def _value_of(name: str, value: Any) -> Any:
    kinds = _KINDS[name]
    if name == TOKENS:
        return tuple(read_tokens(value))
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise ConfigurationError(name, _wrong_kind(kinds[0], value))
    if name in _LISTS:
        return tuple(_texts(name, value))
    if name == BOUNDS:
        _check_bounds(value)
    return Path(str(value)).expanduser() if name in _PATHS else value


def _texts(name: str, values: Any) -> Iterator[str]:
    for index, value in enumerate(values):
        if not isinstance(value, str):
            raise ConfigurationError(f"{name}[{index}]", _wrong_kind(str, value))
        yield value


def _check_bounds(bounds: Any) -> None:
    from stable_openai.gateway.options import GatewayOptions

    for name, value in bounds.items():
        if name not in _BOUNDS:
            raise ConfigurationError(f"{BOUNDS}.{name}", is_unknown(name, _BOUNDS))
        try:
            GatewayOptions(**{name: value})
        except ConfigurationError as error:
            raise ConfigurationError(f"{BOUNDS}.{name}", error.problem) from None


def _wrong_kind(wanted: type, value: Any) -> str:
    """What is wrong with a value of another kind, and what to do."""
    found = _WORDS.get(type(value), "a date or a time")
    if wanted is int and isinstance(value, float):
        found = "one with a point"
    problem = f"must be {_WORDS[wanted]}, not {found}"
    if wanted is str and not isinstance(value, (list, dict)):
        return f"{problem}: write it in quotes"
    if wanted is list and isinstance(value, str):
        return f'{problem}: write it in brackets, ["…"]'
    if isinstance(value, str) and wanted in {int, float, bool}:
        return f"{problem}: write it without quotes"
    return problem
