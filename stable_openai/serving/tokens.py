"""Tokens by which callers of a server are told apart: each with a name and limits of its own.

As with keys, what reads secrets hands its errors back: no traceback has a frame whose locals show good ones.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stable_openai.errors import ConfigurationError
from stable_openai.keys import Key
from stable_openai.limits import Limits, as_limits
from stable_openai.masking import Secret, hide, mask

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]  # only there where it is needed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Token", "Tokens", "parse_token", "read_tokens", "tokens_from_env", "tokens_from_file"]

_VARIABLE: Final = "STABLE_OPENAI_TOKENS"
_NAMED: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_.-]{0,63})=(?!=*$)(.+)", re.DOTALL)
_SEPARATORS: Final = re.compile(r"[\s,;]+")
_FORBIDDEN_BITS: Final = stat.S_IRWXG | stat.S_IRWXO
_LIMITS: Final = tuple(Limits.__dataclass_fields__)
_FIELDS: Final = ("name", "secret", "secret_env", "limits", *_LIMITS)
_BEARER: Final = b"bearer "


@dataclass(frozen=True, slots=True, eq=False)
class Token:
    """What a caller shows to come in.

    Args:
        secret: What stands behind ``Bearer`` in the ``Authorization`` header. Never shown.
        name: What it is called in logs and metrics; default: its place among the others.
        limits: What its bearer may use; requests and tokens are counted as a key's are.

    Raises:
        ConfigurationError: A field is wrong; the message names it and never shows the secret.
    """

    secret: str = field(repr=False)
    name: str = ""
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        object.__setattr__(self, "secret", hide(self.secret))
        try:
            Key(self.secret, name=self.name or None)
        except ConfigurationError as error:
            raise ConfigurationError(error.field.replace("key", "token", 1), error.problem) from None
        object.__setattr__(self, "limits", as_limits(self.limits, "token.limits"))

    def __repr__(self) -> str:
        return f"<Token {self.name or '(unnamed)'} {mask(self.secret)}>"


class Tokens:
    """The tokens that a server accepts. Empty: it asks for none.

    Args:
        tokens: The tokens, or texts as ``parse_token`` reads them.

    Raises:
        ConfigurationError: One is wrong, or two have the same name or secret.
    """

    def __init__(self, tokens: Iterable[Token | str] = ()) -> None:
        self._salt = secrets.token_bytes(32)
        self._by_digest: list[tuple[bytes, Token]] = []
        names: set[str] = set()
        for index, entry in enumerate(hide(list(tokens))):
            token = parse_token(entry) if isinstance(entry, str) else entry
            if not token.name:
                token = Token(token.secret, f"token-{index + 1}", token.limits)
            if token.name in names:
                raise ConfigurationError("tokens", f"two tokens have the name {token.name!r}")
            if self.find(token.secret.encode()) is not None:
                raise ConfigurationError(f"tokens[{index}]", f"is the same as another one ({mask(token.secret)})")
            names.add(token.name)
            self._by_digest.append((self._digest(token.secret.encode()), token))

    def find(self, secret: bytes) -> Token | None:
        """The token of this secret; takes as long whether there is one or not, and whichever it is."""
        shown = self._digest(secret)
        found = None
        for digest, token in self._by_digest:
            if hmac.compare_digest(digest, shown):
                found = token
        return found

    def bearer_of(self, authorization: bytes) -> Token | None:
        """The token that the value of an ``Authorization`` header shows (RFC 6750, 2.1)."""
        if authorization[: len(_BEARER)].lower() != _BEARER:
            return None
        return self.find(authorization[len(_BEARER) :].strip())

    def _digest(self, secret: bytes) -> bytes:
        return hmac.digest(self._salt, secret, "sha256")

    @property
    def names(self) -> list[str]:
        """Their names."""
        return [token.name for _, token in self._by_digest]

    def __iter__(self) -> Iterator[Token]:
        return iter([token for _, token in self._by_digest])

    def __len__(self) -> int:
        return len(self._by_digest)

    def __repr__(self) -> str:
        return f"<Tokens: {', '.join(self.names) or 'none'}>"


def parse_token(text: str, option: str = "token") -> Token:
    """Read ``NAME=SECRET``, or a secret alone. A secret that has ``=`` within it needs a name in front.

    Raises:
        ConfigurationError: It is none; the message does not show it.
    """
    text = Secret(text)
    named = _NAMED.fullmatch(text)
    try:
        return Token(named[2], named[1]) if named else Token(text)
    except ConfigurationError as error:
        problem = ConfigurationError(error.field.replace("token", option, 1), error.problem)
    del named
    raise problem


def tokens_from_env(variable: str = _VARIABLE, environ: Mapping[str, str] | None = None) -> list[Token]:
    """Read tokens from a variable: one, or several with commas or white space between; none where it is not set.

    Raises:
        ConfigurationError: One is wrong; the message names the variable.
    """
    text = (os.environ if environ is None else environ).get(variable, "")
    return [parse_token(Secret(part), variable) for part in hide(_SEPARATORS.split(text)) if part]


def tokens_from_file(path: str | os.PathLike[str]) -> list[Token]:
    """Read tokens from a TOML file of ``[[tokens]]`` that only its owner may read.

    Raises:
        ConfigurationError: Others can read it, it is no TOML, or a field in it is wrong.
        FileNotFoundError: There is no such file.
    """
    where = Path(path).name
    with Path(path).open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if os.name == "posix" and mode & _FORBIDDEN_BITS:
            told = f"can be read by others (mode {stat.S_IMODE(mode):04o}): run 'chmod 600 {path}' and try again"
            raise ConfigurationError(where, told)
        found = _outcome(file, where)
    if isinstance(found, ConfigurationError):
        raise found
    return found


def _outcome(file: Any, where: str) -> list[Token] | ConfigurationError:
    """The tokens in a file, or the error without its traceback."""
    try:
        data = tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        spot = re.search(r"line \d+, column \d+", str(error))  # its own words could hold a piece of a secret
        return ConfigurationError(where, f"is no valid TOML ({spot[0] if spot else 'see its quoting'})")
    unknown = sorted(set(data) - {"tokens"})
    if unknown:
        return ConfigurationError(f"{where}: {unknown[0]}", "is unknown; known is tokens")
    try:
        return read_tokens(data.get("tokens", []), f"{where}: tokens")
    except ConfigurationError as error:
        return ConfigurationError(error.field, error.problem)


def read_tokens(entries: object, where: str = "tokens") -> list[Token]:
    """Make tokens of the tables of a configuration file.

    Each has ``secret`` (or ``secret_env``, a variable's name), and may have ``name``, and ``limits`` or the fields of
    limits themselves: ``rpm``, ``tpm``, ``rpd``, ``tpd``, ``max_concurrency``.

    Raises:
        ConfigurationError: A field is wrong; the message names it.
    """
    if not isinstance(entries, list):
        raise ConfigurationError(where, "must be a list: write [[tokens]] for each")
    return [_read(entry, f"{where}[{index}]") for index, entry in enumerate(entries)]


def _read(entry: object, where: str) -> Token:
    if isinstance(entry, str):
        return parse_token(Secret(entry), where)
    if not isinstance(entry, Mapping):
        raise ConfigurationError(where, f"must be a table or a text, not {type(entry).__name__}")
    fields = hide(dict(entry))
    del entry
    unknown = sorted(set(fields) - set(_FIELDS))
    if unknown:
        raise ConfigurationError(f"{where}.{unknown[0]}", f"is unknown; known are {', '.join(_FIELDS)}")
    loose = {name: fields[name] for name in _LIMITS if name in fields}
    if loose and "limits" in fields:
        raise ConfigurationError(f"{where}.limits", f"stands beside {', '.join(loose)}: give one of the two")
    limits = as_limits(fields.get("limits", loose), f"{where}.limits" if "limits" in fields else where)
    try:
        return Token(_secret_of(fields, where), fields.get("name", ""), limits)
    except ConfigurationError as error:
        raise ConfigurationError(error.field.replace("token", where, 1), error.problem) from None


def _secret_of(fields: Mapping[str, Any], where: str) -> str:
    if ("secret" in fields) == ("secret_env" in fields):
        raise ConfigurationError(f"{where}.secret", "give either secret or secret_env")
    if "secret" in fields:
        return hide(fields["secret"])  # type: ignore[no-any-return]  # Token refuses what is no text
    variable = fields["secret_env"]
    if not isinstance(variable, str) or not variable:
        raise ConfigurationError(f"{where}.secret_env", "must be the name of an environment variable")
    if variable not in os.environ:
        raise ConfigurationError(f"{where}.secret_env", f"the variable {variable} is not set")
    return Secret(os.environ[variable].strip())
