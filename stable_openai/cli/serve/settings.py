"""What a server is told, by options and by a file."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from stable_openai.cli.opening import store_for_looking
from stable_openai.errors import ConfigurationError
from stable_openai.serving import (
    Tls,
    Tokens,
    check_open,
    parse_address,
    parse_token,
    tokens_from_env,
    tokens_from_file,
)

from .checking import SERVERS, check
from .reading import TOKENS, read_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from stable_openai.serving import Address, Token
    from stable_openai.toml import TomlFile

__all__ = ["DEFAULT_GRPC", "Settings"]

DEFAULT_GRPC: Final = "localhost:50052"
# The others are called as the settings are.
_OPTIONS: Final = {"tokens": "--token", "admins": "--admin", "session_base_urls": "--session-base-url"}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to serve.

    Attributes:
        grpc: Where the chat service listens for gRPC; with none of the three, that is ``localhost:50052``.
        http: Where it listens for HTTP.
        gateway: Where the gateway listens.
        pool: A keys.toml; None: the kept keys, else those of the environment.
        store: Where the pool's counts are; None: where the file of keys, or the environment, says.
        base_url: The provider, for keys without one of their own.
        session_base_urls: The providers that sessions with keys of their own may name, as ``SessionOptions.base_urls``.
        model: The model of a session that names none.
        sessions: The file in which sessions outlive a restart.
        tokens: Those that callers have to show one of.
        token_file: A file of tokens.
        admins: Names of the tokens whose bearers may see the status page; empty: all of them.
        tls_cert: The certificate with which all servers speak TLS; None: they speak without.
        tls_key: Its key.
        behind_proxy: Whether a proxy stands in front that tells whether its callers came by TLS.
        workers: Processes of the gateway.
        max_sessions: The most sessions at once.
        idle: Seconds after which a session that nobody uses is cleared.
        max_wait: The longest that a request waits for a key, in seconds.
        drain: Seconds that requests may still take once it is to end.
        bounds: Options of the gateway, by the names of ``GatewayOptions``.
        debug: Whether all is logged, and gRPC tells what it serves.
        is_worker: Whether it is one of several processes.
        file: The configuration file.
        in_file: The names of those settings that are the file's.

    Raises:
        ConfigurationError: One is wrong, alone or beside the others; the message says where it was told.
    """

    grpc: str | None = None
    http: str | None = None
    gateway: str | None = None
    pool: Path | None = None
    store: str | None = None
    base_url: str | None = None
    session_base_urls: tuple[str, ...] | None = None
    model: str | None = None
    sessions: Path | None = None
    tokens: tuple[Token, ...] = field(default=(), repr=False)
    token_file: Path | None = None
    admins: tuple[str, ...] = ()
    tls_cert: Path | None = None
    tls_key: Path | None = None
    behind_proxy: bool = False
    workers: int = 1
    max_sessions: int | None = None
    idle: float | None = None
    max_wait: float | None = None
    drain: float = 30.0
    bounds: Mapping[str, Any] = field(default_factory=dict)
    debug: bool = False
    is_worker: bool = False
    file: TomlFile | None = field(default=None, repr=False)
    in_file: frozenset[str] = field(default=frozenset(), repr=False)

    def __post_init__(self) -> None:
        if all(getattr(self, name) is None for name in SERVERS):
            object.__setattr__(self, "grpc", DEFAULT_GRPC)
        check(self)

    @classmethod
    def of(cls, path: Path | None, told: Mapping[str, Any]) -> Settings:
        """What the file says, and what the options say, which win.

        Raises:
            ConfigurationError: Something is wrong with either.
            OSError: The file can't be read.
        """
        values, file = ({}, None) if path is None else read_settings(path)
        given = {name: value for name, value in told.items() if value not in (None, ())}
        if TOKENS in given:
            given[TOKENS] = tuple(parse_token(text, "--token") for text in given[TOKENS])
        return cls(**{**values, **given}, file=file, in_file=frozenset(values) - set(given))

    def where(self, place: str) -> str:
        """Where something was told, as messages have it: the option, or the file with the line and the place.

        Args:
            place: A setting, or a place in one, such as ``admins[1]``.
        """
        name = _name_in(place)
        if self.file is not None and name in self.in_file:
            return self.file.where(place)
        return _OPTIONS.get(name, f"--{name.replace('_', '-')}")

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Let errors that name a setting say where that was told."""
        try:
            yield
        except ConfigurationError as error:
            if getattr(self, _name_in(error.field), None) in (None, ()):
                raise
            raise ConfigurationError(self.where(error.field), error.problem) from None

    def address(self, name: str) -> Address:
        """Where one of the three listens.

        Raises:
            ConfigurationError: That is no address.
        """
        return parse_address(str(getattr(self, name)), self.where(name))

    def all_tokens(self) -> Tokens:
        """Those that were given, those of the file, and those of ``STABLE_OPENAI_TOKENS``.

        Raises:
            ConfigurationError: One is wrong, or the file can be read by others; or there is none where others than this
                machine can come, or none of the names that ``admins`` has.
            OSError: The file can't be read.
        """
        found = [*self.tokens, *(tokens_from_file(self.token_file) if self.token_file else ()), *tokens_from_env()]
        tokens = Tokens(found)
        for index, name in enumerate(self.admins):
            if name not in tokens.names:
                there = f"there are: {', '.join(tokens.names)}" if tokens else "there is none: give one with --token"
                raise ConfigurationError(self.where(f"admins[{index}]"), f"there is no token {name!r}; {there}")
        for name in SERVERS:
            if getattr(self, name) is not None:
                check_open(self.address(name), self.where(name), has_token=bool(tokens))
        return tokens

    @property
    def is_open(self) -> bool:
        """Whether others than this machine can come to one of the three."""
        return any(not self.address(name).is_loopback for name in SERVERS if getattr(self, name) is not None)

    @cached_property
    def counted_in(self) -> str:
        """Where the pool's counts are: as told, else as the file of keys or the environment says.

        Raises:
            ConfigurationError: Something in that file is wrong.
            OSError: It can't be read.
        """
        return store_for_looking(self.pool) if self.store is None else self.store

    def tls(self) -> Tls | None:
        """The certificate to speak TLS with, if there is to be one.

        Raises:
            ConfigurationError: It can't be used, or others can read its key.
            OSError: A file can't be read.
        """
        if self.tls_cert is None or self.tls_key is None:
            return None
        return Tls(self.tls_cert, self.tls_key, options=(self.where("tls_cert"), self.where("tls_key")))


def _name_in(place: str) -> str:
    """The setting that a place is in."""
    return place.partition("[")[0].partition(".")[0]
