"""The ``config`` that a session is made of: JSON, with the fields of the service's first version and a few more.

==================  ====================================================================================
``version``         required; 1 (access tokens) or 3 (API keys) in the first version. Any whole number does
``api_key``         the key that the session brings
``access_token``    the same by its older name; where both are given, ``version`` 1 takes this one
``pool``            in their place: ``true`` for the server's own keys, or the name of one of its pools
``model``           the model, if not the server's default
``system_prompt``   what the model is told first
``base_url``        the provider, if the server allows it; only with a key of one's own: the server's go nowhere else
``session_id``      with a key: give a session its key again after the server was restarted, and nothing else
==================  ====================================================================================
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from stable_openai.errors import ConfigurationError
from stable_openai.keys import Key
from stable_openai.masking import Secret
from stable_openai.serving import is_url

from .errors import InvalidArgument
from .texts import check_text

__all__ = ["CONFIG_FIELDS", "MOST", "REQUIRED", "SessionConfig", "read_config"]

REQUIRED: Final = "version & access_token|api_key is required"
CONFIG_FIELDS: Final = (
    "version", "api_key", "access_token", "pool", "model", "system_prompt", "base_url", "session_id",
)  # fmt: skip
MOST: Final = {"api_key": 8_192, "access_token": 8_192, "pool": 128, "model": 256, "base_url": 2_048, "session_id": 128}
_KEPT: Final = ("pool", "model", "system_prompt", "base_url")


@dataclass(frozen=True)
class SessionConfig:
    """What a caller told of a session, checked.

    Attributes:
        api_key: The key that it brings; None where it names a pool, or was kept without its key.
        pool: The server's pool that it names; ``""`` is the default one, None is none.
        session_id: The session that is given its key again; None for a new one.
    """

    api_key: Secret | None = field(default=None, repr=False)
    pool: str | None = None
    model: str | None = None
    system_prompt: str | None = None
    base_url: str | None = None
    session_id: str | None = None

    def kept(self) -> dict[str, str]:
        """What may be written to a file: all but the key."""
        return {name: value for name in _KEPT if (value := getattr(self, name)) is not None}

    @classmethod
    def of_kept(cls, kept: Mapping[str, Any]) -> SessionConfig:
        """The config of a session that was read from a file."""
        return cls(**{name: kept[name] for name in _KEPT if isinstance(kept.get(name), str)})


def read_config(given: object, *, max_prompt: int, needs_version: bool = True) -> SessionConfig:
    """Read a config: JSON text, or an object.

    Args:
        given: The config.
        max_prompt: The most characters of a system prompt.
        needs_version: Whether ``version`` has to be there; ``/renew`` never asked for it.

    Raises:
        InvalidArgument: Something is missing or wrong; the message names the field and shows no key.
    """
    fields = _fields_of(given)
    unknown = sorted(str(name) for name in fields if name not in CONFIG_FIELDS)
    if unknown:
        raise InvalidArgument(f"config.{unknown[0]!r:.40}: is unknown; known are {', '.join(CONFIG_FIELDS)}")
    found = {name: value for name, value in fields.items() if value is not None and value != ""}
    pool = _pool_of(found)
    key = _key_of(found)
    if (needs_version and "version" not in found) or (key is None and pool is None):
        raise InvalidArgument(REQUIRED)
    _check_version(found.get("version", 3))
    if key is not None and pool is not None:
        raise InvalidArgument("config.pool: stands beside a key: give one of the two")
    texts = {name: _text_of(found, name, max_prompt) for name in ("model", "system_prompt", "base_url", "session_id")}
    if texts["base_url"] is not None:
        _check_url(texts["base_url"], pooled=pool is not None)
    if texts["session_id"] is not None:
        _check_resumed(found, pooled=pool is not None)
    return SessionConfig(key, pool, **texts)


def _fields_of(given: object) -> Mapping[Any, Any]:
    if isinstance(given, str):
        if not given.strip():
            raise InvalidArgument(REQUIRED)
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            raise InvalidArgument("config: is no valid JSON") from None
    if not isinstance(given, Mapping):
        raise InvalidArgument('config: must be a JSON object, such as {"version": 3, "api_key": "…"}')
    return given


def _check_version(version: object) -> None:
    whole = isinstance(version, int) or (isinstance(version, float) and version.is_integer())
    if isinstance(version, bool) or not whole or version < 1:  # type: ignore[operator]  # a number, by the line above
        raise InvalidArgument("config.version: must be a whole number, such as 3")


def _pool_of(found: dict[str, Any]) -> str | None:
    pool = found.pop("pool", None)
    if pool is None or pool is False:
        return None
    if pool is True:
        return ""
    return _text_of({"pool": pool}, "pool", 0)


def _key_of(found: Mapping[str, Any]) -> Secret | None:
    """The key that is to be used; another one beside it has to be well-formed, too."""
    keys = [key for name in ("api_key", "access_token") if (key := _checked_key(found, name)) is not None]
    return None if not keys else keys[-1 if found.get("version") == 1 else 0]


def _checked_key(found: Mapping[str, Any], name: str) -> Secret | None:
    text = _text_of(found, name, 0)
    if text is None:
        return None
    try:
        return Secret(Key(text).secret)
    except ConfigurationError as error:
        problem = f"config.{name}: {error.problem}"
    raise InvalidArgument(problem)


def _text_of(found: Mapping[str, Any], name: str, max_prompt: int) -> str | None:
    value = found.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidArgument(f"config.{name}: must be text, not {type(value).__name__}")
    check_text(value, f"config.{name}", MOST.get(name, max_prompt))
    return value


def _check_url(url: str, *, pooled: bool) -> None:
    if pooled:
        raise InvalidArgument("config.base_url: is not for the server's pool, whose keys go nowhere else")
    if not is_url(url):
        raise InvalidArgument("config.base_url: must be a URL, such as https://api.openai.com/v1")


def _check_resumed(found: Mapping[str, Any], *, pooled: bool) -> None:
    beside = [name for name in ("model", "system_prompt", "base_url") if name in found]
    if pooled or beside:
        raise InvalidArgument(
            f"config.{'pool' if pooled else beside[0]}: stands beside session_id, which takes a key and nothing else"
        )
