"""``ChatSetup``: the settings of all ``ChatManager`` objects, as attributes of a class."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from stable_openai.conversation.clients import check_request_options
from stable_openai.errors import ConfigurationError
from stable_openai.pool.options import check_seconds

__all__ = ["OPENAI", "ChatSetup"]

OPENAI: Final = "https://api.openai.com/v1"


class _CheckedClass(type):
    """Refuses what is no setting, or no value for it, where it is assigned to the class."""

    if not TYPE_CHECKING:  # type checkers know the settings, and would take any name for one then

        def __setattr__(cls, name: str, value: Any) -> None:
            super().__setattr__(name, _checked(name, value))

    def __delattr__(cls, name: str) -> None:
        raise ConfigurationError(name, f"can't be deleted: assign the default, {name} = {_DEFAULTS.get(name)!r}")


class ChatSetup(metaclass=_CheckedClass):
    """What holds for every ``ChatManager``: assign to the class, ``ChatSetup.model = "gpt-4o"``, at any time.

    One manager's own settings go to ``ChatManager(model="gpt-4o")`` or to its ``setup``: what it does not set for
    itself, it has from the class. A ``send`` that runs keeps to what it began with.

    Attributes:
        api_base: The endpoint. The default stands for openai's own, which the environment's ``OPENAI_BASE_URL``
            replaces; a key that has a ``base_url`` goes there.
        model: The model.
        temperature: The sampling temperature; None: the provider's default.
        max_tokens: The most tokens of an answer; None: the provider's default.
        options: What else ``chat.completions.create`` takes, such as ``{"seed": 7}``.
        timeout: The longest that one HTTP request takes, in seconds; None: openai's default.
        max_retries: How often the provider's own trouble is met by another try; None: openai's default.
        max_wait: The longest that a message waits for a key, in seconds; None: the pool's.
        total_timeout: The longest that a message takes in all, in seconds; None: the pool's.
        thread_num: The most messages of a list that are under way at once.
        max_pairs: The most pairs that a session holds; one that is full refuses a ``send`` before anything is sent.
        progress: Whether lists have a progress bar, where ``rich`` is installed and stderr is a terminal.

    Raises:
        ConfigurationError: There is no such setting, or the value is wrong; it is refused where it is assigned.
    """

    api_base: str = OPENAI
    model: str = "gpt-4o-mini"
    temperature: float | None = None
    max_tokens: int | None = None
    options: Mapping[str, Any] = {}  # replaced, never changed
    timeout: float | None = None
    max_retries: int | None = None
    max_wait: float | None = None
    total_timeout: float | None = None
    thread_num: int = 5
    max_pairs: int = 100_000
    progress: bool = True

    def __init__(self, **settings: Any) -> None:
        for name, value in settings.items():
            setattr(self, name, value)

    if not TYPE_CHECKING:

        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, _checked(name, value))

    def client_options(self) -> dict[str, Any]:
        """What the client is made with."""
        given = {name: getattr(self, name) for name in ("timeout", "max_retries", "max_wait", "total_timeout")}
        if self.api_base != OPENAI:
            given["base_url"] = self.api_base
        return {name: value for name, value in given.items() if value is not None}

    def request_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """What a request is made with, these options of one ``send`` first.

        Raises:
            ConfigurationError: One of them is no parameter of ``chat.completions.create``.
        """
        check_request_options(options)
        given = {"model": self.model, "temperature": self.temperature, "max_tokens": self.max_tokens}
        return {**{name: value for name, value in given.items() if value is not None}, **self.options, **options}

    @classmethod
    def reset(cls) -> None:
        """Give every setting its default again; for tests."""
        for name, value in _DEFAULTS.items():
            setattr(ChatSetup, name, value)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in ("api_base", "model", "thread_num"))
        return f"<ChatSetup {shown}>"


_DEFAULTS: Final[dict[str, Any]] = {name: vars(ChatSetup)[name] for name in ChatSetup.__annotations__}
_SECONDS: Final = ("timeout", "max_wait", "total_timeout")
_COUNTS: Final = {"max_tokens": 1, "max_retries": 0, "thread_num": 1, "max_pairs": 1}


def _checked(name: str, value: Any) -> Any:
    """A setting's value, as it is kept.

    Raises:
        ConfigurationError: There is no such setting, or the value is wrong.
    """
    if name not in _DEFAULTS:
        near = difflib.get_close_matches(name, _DEFAULTS, 1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise ConfigurationError(name, f"is no setting of ChatSetup: {meant}Known are {', '.join(_DEFAULTS)}")
    if value is None and _DEFAULTS[name] is None:
        return None
    if name in _SECONDS:
        return check_seconds(name, value)
    if name in _COUNTS:
        return check_count(name, value, _COUNTS[name])
    return _OTHERS[name](name, value)


def check_count(name: str, value: object, least: int = 1) -> int:
    """A whole number.

    Raises:
        ConfigurationError: It is none, or too small.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigurationError(name, f"must be a whole number from {least} up, not {value!r}")
    return value


def _check_base(name: str, value: object) -> str:
    if not isinstance(value, str) or not value.startswith(("https://", "http://")) or value != value.strip():
        raise ConfigurationError(name, f'must be a URL such as "{OPENAI}"')  # not shown: it may hold a credential
    return value


def _check_model(name: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(name, f'must be the name of a model, such as "gpt-4o-mini", not {value!r}')
    return value


def _check_temperature(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
        raise ConfigurationError(name, f"must be a number from 0 up, not {value!r}")
    return value


def _check_options(name: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(name, f'must be a mapping such as {{"seed": 7}}, not {type(value).__name__}')
    check_request_options(value)
    return dict(value)


def _check_progress(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ConfigurationError(name, f"must be True or False, not {value!r}")
    return value


_OTHERS: Final = {
    "api_base": _check_base,
    "model": _check_model,
    "temperature": _check_temperature,
    "options": _check_options,
    "progress": _check_progress,
}
