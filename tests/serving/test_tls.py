"""TLS: the certificate and its key, what is refused, and how they are renewed."""

from __future__ import annotations

import asyncio
import os
import ssl
import traceback

import pytest

pytest.importorskip("trustme")

import trustme

from stable_openai import ConfigurationError
from stable_openai.serving import Address, Tls
from tests.certificates import Authority

posix = pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
async def listening():
    """``await listening(tls)``: a server that says a line to whoever comes, and its address."""
    servers, greeting = [], []

    async def start(tls):
        async def greet(reader, writer):
            greeting.append(asyncio.current_task())
            writer.write(b"hello\n")
            try:
                await reader.read()
            except ConnectionError:
                pass  # it was cut
            finally:
                writer.close()

        servers.append(await asyncio.start_server(greet, "127.0.0.1", 0, ssl=tls.context))
        return Address(*servers[-1].sockets[0].getsockname())

    yield start
    for server in servers:
        server.close()
    await asyncio.gather(*greeting)


async def test_what_it_speaks(authority, listening):
    """TLS 1.2 and 1.3, no older one, and HTTP/1.1 alone."""
    tls = Tls(*authority.issue())
    assert tls.context.minimum_version == ssl.TLSVersion.TLSv1_2
    address = await listening(tls)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = authority.client(minimum_version=version, maximum_version=version)
        shown, protocol = await authority.seen(address, context=context, alpn=["h2", "http/1.1"])
        assert shown.strip() in (authority.folder / "server.crt").read_text()
        assert protocol == "http/1.1"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
@pytest.mark.parametrize("name", ["localhost", None], ids=["named", "nameless"])
async def test_renewal(authority, listening, version, name):
    """New connections get the new certificate, be its key of another kind; those that are open go on."""
    context = authority.client(maximum_version=version, check_hostname=False)
    tls = Tls(*authority.issue(kind=trustme.KeyType.RSA))
    address = await listening(tls)
    before, _ = await authority.seen(address, context=context, name=name)
    reader, writer = await asyncio.open_connection("127.0.0.1", address.port, ssl=context, server_hostname="localhost")
    assert await reader.readline() == b"hello\n"
    authority.issue(kind=trustme.KeyType.ECDSA)
    assert (await authority.seen(address, context=context, name=name))[0] == before
    tls.renew()
    after, _ = await authority.seen(address, context=context, name=name, alpn=["http/1.1"])
    assert before != after
    assert after.strip() in (authority.folder / "server.crt").read_text()
    assert tls.pem[0] == (authority.folder / "server.key").read_bytes()
    writer.write_eof() if writer.can_write_eof() else writer.close()
    await writer.wait_closed()


async def test_a_renewal_that_is_wrong(authority, listening):
    """It is refused as at the start, and what was in use stays, whole."""
    cert, key = authority.issue()
    tls = Tls(cert, key)
    address = await listening(tls)
    before = await authority.seen(address), tls.pem
    other = authority.issue("other")
    cert.write_bytes(other[0].read_bytes())
    with pytest.raises(ConfigurationError, match="is not the key of"):
        tls.renew()
    assert (await authority.seen(address), tls.pem) == before
    key.write_bytes(other[1].read_bytes())
    tls.renew()
    assert (await authority.seen(address))[0] != before[0][0]


def encrypted(key):
    from cryptography.hazmat.primitives import serialization as s

    private = s.load_pem_private_key(key.read_bytes(), None)
    return private.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.BestAvailableEncryption(b"password"))


def damaged(path):
    lines = path.read_bytes().splitlines(keepends=True)
    return b"".join([lines[0], b"AAAA\n", *lines[2:]])


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda cert, key: cert.write_bytes(b"nothing"), "--tls-cert: .*server.crt holds no certificate"),
        (lambda cert, key: cert.write_bytes(key.read_bytes()), "--tls-cert: .*holds a key and no .*exchanged"),
        (lambda cert, key: cert.write_bytes(damaged(cert)), "--tls-cert: .*can't be used as a certificate"),
        (lambda cert, key: key.write_bytes(b"\xff\x00"), "--tls-key: .*server.key holds no key"),
        (lambda cert, key: key.write_bytes(cert.read_bytes()), "--tls-key: .*holds a certificate and no .*exchanged"),
        (lambda cert, key: key.write_bytes(damaged(key)), "--tls-key: .*can't be used as a key"),
        (lambda cert, key: key.write_bytes(encrypted(key)), "--tls-key: .*is encrypted.*openssl pkey -in .*server.key"),
        (
            lambda cert, key: key.write_bytes(Authority(key.parent).issue("other")[1].read_bytes()),
            "--tls-key: .*server.key is not the key of .*server.crt",
        ),
        (
            lambda cert, key: key.write_bytes(Authority(key.parent).issue("o", trustme.KeyType.RSA)[1].read_bytes()),
            "--tls-key: .*server.key is not the key of .*server.crt",
        ),
    ],
)
def test_files_that_are_wrong(authority, spoil, problem):
    """Which of them, and what to do; nothing of the key is shown."""
    cert, key = authority.issue()
    spoil(cert, key)
    with pytest.raises(ConfigurationError, match=f"^{problem}") as caught:
        Tls(cert, key)
    below = caught.value.__traceback__.tb_next
    whole = traceback.TracebackException(type(caught.value), caught.value, below, capture_locals=True)
    lines = [line for line in key.read_text(errors="replace").splitlines() if "-" not in line]
    assert not any(line in "".join(whole.format()) for line in lines)


@posix
def test_a_key_that_others_can_read(authority):
    """It is refused with what to run; the option is named as it was given."""
    cert, key = authority.issue()
    key.chmod(0o640)
    with pytest.raises(
        ConfigurationError, match=rf"^there: {key} can be read by others \(mode 0640\): run 'chmod 600 {key}'"
    ):
        Tls(cert, key, options=("here", "there"))
    key.chmod(0o600)
    assert "PRIVATE" not in repr(vars(Tls(cert, key)))


def test_both_in_one_file(authority):
    """As some tools write them."""
    cert, key = authority.issue()
    key.write_bytes(key.read_bytes() + cert.read_bytes())
    assert b"BEGIN CERTIFICATE" in Tls(key, key).pem[1]


def test_files_that_are_not_there(authority):
    """The usual error, which names the file."""
    cert, key = authority.issue()
    with pytest.raises(FileNotFoundError, match="none.crt"):
        Tls(cert.with_name("none.crt"), key)
