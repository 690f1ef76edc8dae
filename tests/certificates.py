"""Certificates of an authority that exists for a test."""

from __future__ import annotations

import asyncio
import ssl

import trustme

__all__ = ["Authority"]


class Authority:
    """Issues certificates for this machine into a folder, and has clients trust them."""

    def __init__(self, folder):
        self.folder = folder
        self._authority = trustme.CA()

    def issue(self, name="server", kind=trustme.KeyType.ECDSA):
        """Write ``NAME.crt`` and ``NAME.key``, and give their paths; what was there is replaced."""
        made = self._authority.issue_cert("localhost", "127.0.0.1", key_type=kind)
        cert, key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        cert.write_bytes(b"".join(pem.bytes() for pem in made.cert_chain_pems))
        key.touch(0o600)
        key.write_bytes(made.private_key_pem.bytes())
        return cert, key

    @property
    def pem(self):
        """The authority's own certificate, which clients are to trust."""
        return self._authority.cert_pem.bytes()

    def client(self, **options):
        """A context for clients: ``client(maximum_version=…)``."""
        context = ssl.create_default_context()
        self._authority.configure_trust(context)
        for name, value in options.items():
            setattr(context, name, value)
        return context

    async def seen(self, address, *, context=None, name="localhost", alpn=()):
        """The certificate that a server shows in a new connection, and the protocol that it chooses."""
        context = context or self.client()
        if alpn:
            context.set_alpn_protocols(alpn)
        _, writer = await asyncio.open_connection("127.0.0.1", address.port, ssl=context, server_hostname=name)
        connection = writer.get_extra_info("ssl_object")
        found = ssl.DER_cert_to_PEM_cert(connection.getpeercert(True)), connection.selected_alpn_protocol()
        writer.transport.abort()
        return found
