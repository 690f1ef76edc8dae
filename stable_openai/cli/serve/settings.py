"""What a server is told, by options and by a file."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stable_openai.errors import ConfigurationError
from stable_openai.serving import Tokens, parse_address, parse_token, read_tokens, tokens_from_env, tokens_from_file

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]  # only there where it is needed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stable_openai.serving import Address, Token

__all__ = ["DEFAULT_GRPC", "Settings", "from_file"]

DEFAULT_GRPC: Final = "localhost:50052"
_TOKENS: Final = "tokens"
_PATHS: Final = frozenset({"pool", "sessions", "token_file"})
_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "grpc": (str,),
    "http": (str,),
    "gateway": (str,),
    "pool": (str,),
    "store": (str,),
    "base_url": (str,),
    "model": (str,),
    "sessions": (str,),
    "token_file": (str,),
    "workers": (int,),
    "max_sessions": (int,),
    "idle": (int, float),
    "max_wait": (int, float),
    "drain": (int, float),
    "admins": (list,),
    "behind_proxy": (bool,),
    "debug": (bool,),
    _TOKENS: (list,),
}
_WORDS: Final = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", list: "a list"}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to serve.

    Attributes:
        grpc: Where the chat service listens for gRPC; with none of the three, that is ``localhost:50052``.
        http: Where it listens for HTTP.
        gateway: Where the gateway listens.
        pool: A keys.toml; None: the kept keys, else those of the environment.
        store: Where the pool's counts are.
        base_url: The provider, for keys without one of their own.
        model: The model of a session that names none.
        sessions: The file in which sessions outlive a restart.
        tokens: Those that callers have to show one of.
        token_file: A file of tokens.
        admins: Names of the tokens whose bearers may see the status page; empty: all of them.
        behind_proxy: Whether a proxy stands in front that tells whether its callers came by TLS.
        workers: Processes of the gateway.
        max_sessions: The most sessions at once.
        idle: Seconds after which a session that nobody uses is cleared.
        max_wait: The longest that a request waits for a key, in seconds.
        drain: Seconds that requests may still take once it is to end.
        debug: Whether all is logged, and gRPC tells what it serves.
        is_worker: Whether it is one of several processes.
    """

    grpc: str | None = None
    http: str | None = None
    gateway: str | None = None
    pool: Path | None = None
    store: str | None = None
    base_url: str | None = None
    model: str | None = None
    sessions: Path | None = None
    tokens: tuple[Token, ...] = field(default=(), repr=False)
    token_file: Path | None = None
    admins: tuple[str, ...] = ()
    behind_proxy: bool = False
    workers: int = 1
    max_sessions: int | None = None
    idle: float | None = None
    max_wait: float | None = None
    drain: float = 30.0
    debug: bool = False
    is_worker: bool = False

    def __post_init__(self) -> None:
        if not (self.grpc or self.http or self.gateway):
            object.__setattr__(self, "grpc", DEFAULT_GRPC)
        if self.workers > 1:
            self._check_workers()

    def _check_workers(self) -> None:
        if self.grpc or self.http:
            raise ConfigurationError(
                "--workers", "is for the gateway alone: the chat service keeps its sessions in one"
            )
        if self.store is None or self.store.startswith("memory:"):
            raise ConfigurationError(
                "--workers",
                "needs a store that processes share, or each would count for itself: --store sqlite:///keys.db or "
                "--store redis://host/0",
            )
        if self.address("gateway").port == 0:
            raise ConfigurationError("--gateway", "needs a port of its own, where there are several workers")

    def address(self, name: str) -> Address:
        """Where one of the three listens.

        Raises:
            ConfigurationError: That is no address.
        """
        return parse_address(str(getattr(self, name)), f"--{name}")

    def all_tokens(self) -> Tokens:
        """Those that were given, those of the file, and those of ``STABLE_OPENAI_TOKENS``.

        Raises:
            ConfigurationError: One is wrong, or the file can be read by others.
            OSError: The file can't be read.
        """
        found = [*self.tokens, *(tokens_from_file(self.token_file) if self.token_file else ()), *tokens_from_env()]
        tokens = Tokens(found)
        unknown = [name for name in self.admins if name not in tokens.names]
        if unknown:
            raise ConfigurationError(
                "--admin", f"there is no token {unknown[0]!r}; there are: {', '.join(tokens.names)}"
            )
        return tokens

    @classmethod
    def of(cls, file: Path | None, told: Mapping[str, Any]) -> Settings:
        """What the file says, and what the options say, which win."""
        values = {} if file is None else from_file(file)
        values |= {name: value for name, value in told.items() if value not in (None, ())}
        if told.get(_TOKENS):
            values[_TOKENS] = tuple(parse_token(text, "--token") for text in told["tokens"])
        return cls(**values)


def from_file(path: Path) -> dict[str, Any]:
    """Read a configuration file: the names of the options, and ``[[tokens]]``.

    Raises:
        ConfigurationError: A field is unknown or wrong; the message names it, and its line.
        OSError: The file can't be read.
    """
    raw = path.read_bytes()
    try:
        text = raw.decode()
        data = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise ConfigurationError(path.name, f"is not UTF-8 (byte {error.start})") from None
    except tomllib.TOMLDecodeError as error:
        spot = re.search(r"line \d+, column \d+", str(error))
        raise ConfigurationError(path.name, f"is no valid TOML ({spot[0] if spot else 'see its quoting'})") from None
    values: dict[str, Any] = {}
    for name, value in data.items():
        values[name] = _checked(name, value, f"{path.name}, {_line_of(text, name)}: {name}")
    _check_mode(path, values)
    return values


def _checked(name: str, value: Any, where: str) -> Any:
    kinds = _KINDS.get(name)
    if kinds is None:
        raise ConfigurationError(where, f"is unknown; known are {', '.join(_KINDS)}")
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise ConfigurationError(where, f"must be {_WORDS[kinds[-1]]}, not {type(value).__name__}")
    if name == _TOKENS:
        return tuple(read_tokens(value, where))
    if name == "admins":
        return _names(value, where)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value < (1 if kinds == (int,) else 0):
        raise ConfigurationError(where, f"must be {'at least 1' if kinds == (int,) else 'from 0 up'}, not {value}")
    if name in {"grpc", "http", "gateway"}:
        parse_address(str(value), where)
    return Path(str(value)) if name in _PATHS else value


def _names(values: Any, where: str) -> tuple[str, ...]:
    if not all(isinstance(value, str) for value in values):
        raise ConfigurationError(where, "must be a list of names of tokens")
    return tuple(values)


def _line_of(text: str, name: str) -> str:
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(rf"\s*(?:\[+\s*)?[\"']?{re.escape(name)}[\"']?\s*(?:=|\]|\.)", line):
            return f"line {number}"
    return "line 1"


def _check_mode(path: Path, values: Mapping[str, Any]) -> None:
    """Refuse a file with tokens that others can read."""
    if _TOKENS in values and sys.platform != "win32" and path.stat().st_mode & 0o077:
        raise ConfigurationError(path.name, f"holds tokens, and others can read it: run 'chmod 600 {path}'")
