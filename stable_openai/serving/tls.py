"""A certificate and its key, with which servers speak TLS."""

from __future__ import annotations

import os
import re
import ssl
from pathlib import Path
from typing import Any, Final, NamedTuple

from stable_openai.errors import ConfigurationError
from stable_openai.masking import Secret
from stable_openai.private import fault_of_mode

__all__ = ["Tls"]

_CERTIFICATE: Final = re.compile(r"-----BEGIN CERTIFICATE-----")
_KEY: Final = re.compile(r"-----BEGIN (?:\w+ )?PRIVATE KEY-----")
_ENCRYPTED: Final = re.compile(r"-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: *4, *ENCRYPTED")
_OTHER_KEY: Final = frozenset({"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"})


class _Pair(NamedTuple):
    """What was read of both files."""

    context: ssl.SSLContext
    key: Secret
    chain: str


class Tls:
    """A certificate and its key, for any number of servers. TLS is that of version 1.2 or later.

    Args:
        cert: A PEM file with the server's certificate, and behind it those of the authorities in between.
        key: A PEM file with the key, not encrypted, which only its owner may be able to read.
        options: What the two are called where they were given, for errors.

    Raises:
        ConfigurationError: A file is not what it should be, others can read the key, or the two are no pair.
        OSError: A file can't be read.
    """

    def __init__(
        self,
        cert: str | os.PathLike[str],
        key: str | os.PathLike[str],
        *,
        options: tuple[str, str] = ("--tls-cert", "--tls-key"),
    ) -> None:
        self._cert, self._key = Path(cert), Path(key)
        self._options = options
        self._pair = self._read()
        self._context = self._pair.context
        self._context.sni_callback = self._choose

    @property
    def context(self) -> ssl.SSLContext:
        """What a server of HTTP takes; it always has the newest certificate."""
        return self._context

    @property
    def pem(self) -> tuple[bytes, bytes]:
        """The newest key, and the certificates, as gRPC takes them."""
        return str.encode(self._pair.key), self._pair.chain.encode()

    def renew(self) -> None:
        """Read both files again, for connections that begin from now on.

        Raises:
            ConfigurationError: As when it was made; what was in use stays in use then.
            OSError: A file can't be read.
        """
        self._pair = self._read()

    def __repr__(self) -> str:
        return f"<Tls {self._cert}>"

    def _choose(self, connection: Any, name: str | None, context: ssl.SSLContext) -> None:  # noqa: ARG002
        """Give a connection the newest certificate: the one in use is never changed, so it is never half changed."""
        if connection.context is not self._pair.context:
            connection.context = self._pair.context

    def _read(self) -> _Pair:
        found = self._outcome()
        if isinstance(found, ConfigurationError):
            raise found
        return found

    def _outcome(self) -> _Pair | ConfigurationError:
        """What was read, or the error without the frame that has seen the key."""
        at_cert, at_key = self._options
        with self._key.open("rb") as file:
            fault = fault_of_mode(os.fstat(file.fileno()).st_mode, self._key)
            if fault:
                return ConfigurationError(at_key, f"{self._key} {fault}")
            key = Secret(file.read().decode("ascii", "replace"))
        chain = self._cert.read_bytes().decode("ascii", "replace")
        if not _CERTIFICATE.search(chain):
            told = "a key and no certificate: were the two exchanged?" if _KEY.search(chain) else "no certificate (PEM)"
            return ConfigurationError(at_cert, f"{self._cert} holds {told}")
        if _ENCRYPTED.search(key):
            told = f"is encrypted, and nobody is there to be asked: run 'openssl pkey -in {self._key} -out FILE'"
            return ConfigurationError(at_key, f"{self._key} {told}, and give that file")
        if not _KEY.search(key):
            told = "a certificate and no key: were the two exchanged?" if _CERTIFICATE.search(key) else "no key (PEM)"
            return ConfigurationError(at_key, f"{self._key} holds {told}")
        context = _new_context()
        try:
            context.load_cert_chain(self._cert, self._key, password="")  # it is not to ask for one
        except ssl.SSLError as error:
            return self._explain(error, chain)
        return _Pair(context, key, chain)

    def _explain(self, error: ssl.SSLError, chain: str) -> ConfigurationError:
        at_cert, at_key = self._options
        reason = error.reason or "unreadable"
        if reason in _OTHER_KEY:
            told = f"is not the key of {self._cert}, or the server's own certificate does not stand first there"
            return ConfigurationError(at_key, f"{self._key} {told}")
        if reason.startswith(("EE_", "CA_")) or not _is_readable(chain):
            return ConfigurationError(at_cert, f"{self._cert} can't be used as a certificate ({reason})")
        return ConfigurationError(at_key, f"{self._key} can't be used as a key ({reason})")


def _new_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _is_readable(chain: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=chain)
    except ssl.SSLError:
        return False
    return True
