"""`stable-openai serve` with TLS."""

from __future__ import annotations

import asyncio
import http.client
import json
import signal
import socket
import sys
import urllib.request

import pytest

pytest.importorskip("grpc")
pytest.importorskip("trustme")

import grpc

from stable_openai.cli.serve.renewing import read_certificate
from stable_openai.cli.serve.settings import Settings
from stable_openai.errors import ConfigurationError
from stable_openai.serving import Address, Tls
from tests.certificates import Authority
from tests.cli.servers import CHAT, said

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and modes as POSIX has them")


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def told(authority):
    """The options for a certificate of the authority."""
    cert, key = authority.issue()
    return "--tls-cert", str(cert), "--tls-key", str(key)


def ask(url, body, authority):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Authorization": "Bearer any"})
    with urllib.request.urlopen(request, timeout=20, context=authority.client()) as answer:
        return json.loads(answer.read())


def shown(authority, port):
    """The certificate that a server shows now."""
    return asyncio.run(authority.seen(Address("localhost", port)))[0]


@posix
def test_all_three(serving, authority, told):
    """They say so and answer; a client that keeps its connection does not hold up the end."""
    child = serving("--gateway", "localhost:0", "--http", "localhost:0", "--grpc", "localhost:0", *told)
    gateway = said(child, r"gateway on (https://\S+)/v1, its keys on https://\S+/status")[1]
    address = said(child, r"^gRPC on (localhost:\d+), with TLS$")[1]
    chat = said(child, r"^HTTP on (https://\S+), described at https://")[1]
    assert ask(f"{gateway}/v1/chat/completions", CHAT, authority)["choices"][0]["message"]["content"].endswith("Hello!")
    config = {"config": {"version": 3, "pool": True}, "initial_prompt": "Hi!"}
    assert ask(f"{chat}/v1/sessions", config, authority)["initial_response"].endswith("Hi!")
    with grpc.secure_channel(address, grpc.ssl_channel_credentials(authority.pem)) as channel:
        assert channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=20) == b"\x08\x01"
    kept = http.client.HTTPSConnection(gateway.rpartition("/")[2], context=authority.client(), timeout=20)
    kept.request("GET", "/healthz")
    assert kept.getresponse().read()
    child.send_signal(signal.SIGTERM)
    rest = child.stderr.read()
    assert child.wait(30) == 0
    assert "Traceback" not in rest
    kept.close()


@posix
@pytest.mark.parametrize("workers", [1, 2])
def test_a_renewed_certificate(serving, authority, told, tmp_path, workers):
    """SIGHUP has it read again; by all workers, where there are several, while they serve on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = ["--store", f"sqlite:///{tmp_path}/keys.db", "--workers", str(workers)] if workers > 1 else []
    child = serving("--gateway", f"localhost:{port}", *told, *shared)
    for _ in range(workers):
        assert said(child, r"(worker \d+ serves on|gateway on) https://")
    before = shown(authority, port)
    authority.issue()
    child.send_signal(signal.SIGHUP)
    for _ in range(workers):
        assert said(child, "the certificate has been read again")
    after = [shown(authority, port) for _ in range(4)]
    assert before not in after
    assert len(set(after)) == 1
    assert ask(f"https://localhost:{port}/v1/chat/completions", CHAT, authority)["choices"]
    child.send_signal(signal.SIGTERM)
    child.stderr.read()
    assert child.wait(30) == 0


def test_a_renewal_that_goes_wrong(authority, capsys):
    """It is said, and changes nothing."""
    cert, key = authority.issue()
    tls = Tls(cert, key)
    before = tls.pem
    cert.write_text("half of a")
    read_certificate(tls)
    assert "the certificate stays as it was: --tls-cert: " in capsys.readouterr().err
    cert.unlink()
    read_certificate(tls)
    assert "the certificate stays as it was: No such file" in capsys.readouterr().err
    assert tls.pem == before
    authority.issue()
    read_certificate(tls)
    assert "the certificate has been read again" in capsys.readouterr().err
    assert tls.pem != before


@posix
def test_what_is_refused_at_the_start(run, provider, authority, told, tmp_path):
    """Half of what is needed, a key that others can read, two that are no pair: nothing listens."""
    provider()
    cert, key = told[1], told[3]
    other = str(authority.issue("other")[1])
    open_key = tmp_path / "open.key"
    open_key.write_bytes((tmp_path / "server.key").read_bytes())
    open_key.chmod(0o644)
    for arguments, words in (
        (["--tls-cert", cert], "--tls-cert: needs tls_key too"),
        (["--tls-key", key], "--tls-key: needs tls_cert too"),
        (["--tls-cert", cert, "--tls-key", other], f"--tls-key: {other} is not the key of {cert}"),
        (["--tls-cert", cert, "--tls-key", str(open_key)], f"run 'chmod 600 {open_key}'"),
        (["--tls-cert", key, "--tls-key", key], "--tls-cert: "),
    ):
        for more in ([], ["--workers", "2", "--store", f"sqlite:///{tmp_path}/keys.db"]):
            result = run("serve", "--gateway", "localhost:8000", *arguments, *more)
            assert result.exit_code == 1, arguments
            assert " ".join(words.split()) in result.stderr
            assert "gateway on" not in result.stderr and "worker" not in result.stderr


@posix
def test_a_file_with_both(authority, tmp_path):
    """Its lines are named."""
    cert, key = authority.issue()
    path = tmp_path / "serve.toml"
    path.write_text(f'# tls_key\ntls_cert = "{cert}"\n\ntls_key = "{key}"\n')
    assert Settings.of(path, {}).tls().pem[0] == key.read_bytes()
    key.chmod(0o644)
    with pytest.raises(ConfigurationError, match=f"^serve.toml, line 4: tls_key: {key} can be read by others"):
        Settings.of(path, {}).tls()
    with pytest.raises(
        ConfigurationError, match=f"^serve.toml, line 2: tls_cert: {key} holds a key and no certificate"
    ):
        path.write_text(f'\ntls_cert = "{key}"\ntls_key = "{authority.issue("other")[1]}"\n')
        Settings.of(path, {}).tls()
    path.write_text('tls_cert = "nowhere.pem"\ntls_key = "nowhere.pem"\n')
    with pytest.raises(ConfigurationError, match=r"^serve.toml, line 1: tls_cert: there is no file .*nowhere.pem"):
        Settings.of(path, {})
    path.write_text(f'\n\ntls_cert = "{cert}"\n')
    with pytest.raises(ConfigurationError, match=r"^serve.toml, line 3: tls_cert: needs tls_key too"):
        Settings.of(path, {})
