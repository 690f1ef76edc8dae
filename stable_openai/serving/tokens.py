"""Tokens by which callers of a server are told apart: each with a name and limits of its own.

As with keys, what reads secrets hands its errors back: no traceback has a frame whose locals show good ones.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stable_openai.errors import ConfigurationError
from stable_openai.keys import Key
from stable_openai.limits import Limits, as_limits
from stable_openai.masking import Secret, hide, mask
from stable_openai.near_names import is_unknown
from stable_openai.toml import read_toml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Token", "Tokens", "parse_token", "read_tokens", "tokens_from_env", "tokens_from_file"]

_VARIABLE: Final = "STABLE_OPENAI_TOKENS"
_NAMED: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_.-]{0,63})=(?!=*$)(.+)", re.DOTALL)
_SEPARATORS: Final = re.compile(r"[\s,;]+")
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
    found = _outcome(Path(path))
    if isinstance(found, ConfigurationError):
        raise found
    return found


def _outcome(path: Path) -> list[Token] | ConfigurationError:
    """The tokens in a file, or the error without its traceback."""
    try:
        file = read_toml(path, is_private=True)
    except ConfigurationError as error:
        return ConfigurationError(error.field, error.problem)
    try:
        file.check_names("tokens")
        return read_tokens(file.data.get("tokens", []))
    except ConfigurationError as error:
        return file.placed(error)


def read_tokens(entries: object, where: str = "tokens") -> list[Token]:
    """Make tokens of the tables of a configuration file.

    Each has ``secret`` (or ``secret_env``, a variable's name), and may have ``name``, and ``limits`` or the fields of
    limits themselves: ``rpm``, ``tpm``, ``rpd``, ``tpd``, ``max_concurrency``.

    Raises:
        ConfigurationError: A field is wrong; the message names it.
    """
    if not isinstance(entries, list):
        raise ConfigurationError(where, "must be a list: write [[tokens]] for each")
    tokens = [_read(entry, f"{where}[{index}]") for index, entry in enumerate(entries)]
    names: set[str] = set()
    seen: dict[str, int] = {}
    for index, token in enumerate(tokens):
        if token.name in names:
            raise ConfigurationError(f"{where}[{index}].name", f"two tokens have the name {token.name!r}")
        if token.secret in seen:
            told = f"is the same as {where}[{seen[token.secret]}] ({mask(token.secret)})"
            raise ConfigurationError(f"{where}[{index}]", told)
        names |= {token.name} - {""}
        seen[token.secret] = index
    return tokens


def _read(entry: object, where: str) -> Token:
    if isinstance(entry, str):
        return parse_token(Secret(entry), where)
    if not isinstance(entry, Mapping):
        raise ConfigurationError(where, f"must be a table or a text, not {type(entry).__name__}")
    fields = hide(dict(entry))
    del entry
    unknown = sorted(set(fields) - set(_FIELDS))
    if unknown:
        raise ConfigurationError(f"{where}.{unknown[0]}", is_unknown(unknown[0], _FIELDS))
    loose = {name: fields[name] for name in _LIMITS if name in fields}
    if loose and "limits" in fields:
        raise ConfigurationError(f"{where}.limits", f"stands beside {', '.join(loose)}: give one of the two")
    limits = as_limits(fields.get("limits", loose), f"{where}.limits" if "limits" in fields else where)
    secret = _secret_of(fields, where)
    try:
        return Token(secret, fields.get("name", ""), limits)
    except ConfigurationError as error:
        field = error.field if error.field != "token" else "token.secret"
        raise ConfigurationError(field.replace("token", where, 1), error.problem) from None


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
    secret = Secret(os.environ[variable].strip())
    try:
        Key(secret)
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}.secret_env", f"the variable {variable} {error.problem}") from None
    return secret
