"""Passwords, ACL users, TLS and sockets: what lets a pool in, and what is said where it is not."""

from __future__ import annotations

import shutil
import threading

import pytest

from stable_openai.errors import StoreError
from stable_openai.stores.shared.journal import Lost
from stable_openai.stores.shared.redis.scripts import RIGHTS
from tests.stores.redis.conftest import IDENTITY
from tests.stores.servers import Server, TlsFront, make_certificate

PASSWORD = "hunter2hunter2"


def go_through(journal):
    """One of each step."""
    journal.begin(IDENTITY, b"")
    made = journal.append(IDENTITY, None, ["a"], wake=True)
    journal.save(IDENTITY, 1, b"one")
    assert journal.open().entries[0].at == made.at
    heard = threading.Event()
    journal.listen(heard.set)
    assert heard.wait(20)


def test_password(journals):
    """The right one is enough, a wrong one or none is said, and not shown."""
    with Server(password=PASSWORD) as server:
        go_through(journals(server.url))
        for login in ("", ":wrong-secret@", "me:wrong-secret@"):
            with pytest.raises(StoreError, match="user name or the password is missing or wrong") as raised:
                journals(f"redis://{login}{server.address}").open()
            assert "secret" not in str(raised.value) + repr(raised.value.__cause__)


def test_password_where_none_is_wanted(server, journals):
    """A server without a password refuses one; newer ones may let it pass."""
    with pytest.raises(StoreError, match="user name or the password is missing or wrong"):
        journals(f"redis://nobody:{PASSWORD}@{server.address}").open()


def test_user_with_these_rights_alone(server, journals, namespace):
    """What the message says is needed is enough."""
    rights = f"{RIGHTS} ~stable_openai:{{{namespace}}}:* &stable_openai:{{{namespace}}}:wake"
    server.ask("ACL", "SETUSER", "lean", "reset", "on", f">{PASSWORD}", *rights.split())
    go_through(journals(f"redis://lean:{PASSWORD}@{server.address}"))


@pytest.mark.parametrize("missing", [*RIGHTS.replace("+subscribe ", "").split(), "keys", "channel"])
def test_user_without(server, journals, namespace, missing):
    """Whatever is missing, the message names all that is needed."""
    rights = [right for right in RIGHTS.split() if right != missing]
    rights += [f"~stable_openai:{{{namespace}}}:*"] * (missing != "keys")
    rights += [f"&stable_openai:{{{namespace}}}:wake"] * (missing != "channel")
    server.ask("ACL", "SETUSER", f"no-{missing}", "reset", "on", f">{PASSWORD}", *rights)
    server.ask("SCRIPT", "FLUSH")
    with pytest.raises(
        StoreError, match=r"this user may not do what a pool needs, which is \+eval \+evalsha"
    ) as raised:
        go_through(journals(f"redis://no-{missing}:{PASSWORD}@{server.address}"))
    assert f"~stable_openai:{{{namespace}}}:* &stable_openai:{{{namespace}}}:wake" in str(raised.value)
    assert PASSWORD not in str(raised.value)
    with server.client() as client:
        assert client.llen(f"stable_openai:{{{namespace}}}:log") == 0, "nothing was added"


def test_socket_and_database(server, journals):
    """A socket on this machine; each database is another store."""
    go_through(journals(f"redis+unix://{server.socket_path}?db=1"))
    assert journals(f"redis://{server.address}/1").open() is not None
    assert journals(f"redis://{server.address}/2").open() is None
    with pytest.raises(Lost, match=r"^redis\+unix:///nowhere: "):
        journals("redis+unix:///nowhere").open()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl here to make a certificate with")
    return make_certificate(tmp_path_factory.mktemp("tls"))


def test_tls(server, journals, certificate, tmp_path):
    """Over TLS all goes as without; a certificate that nobody vouches for, or no file of those who do, is refused."""
    with TlsFront(server, certificate) as front:
        place = f"rediss://127.0.0.1:{front.port}"
        one = journals(f"{place}?ssl_ca_certs={certificate.certificate}")
        go_through(one)
        go_through(journals(f"{place}/1?ssl_cert_reqs=none"))
        one.close()
        with pytest.raises(StoreError, match=rf"^{place}: TLS: .*self.signed certificate"):
            journals(place).open()
        with pytest.raises(StoreError, match="TLS: .*No such file"):
            journals(f"{place}?ssl_ca_certs={tmp_path / 'nothing.pem'}").open()


def test_plain_where_tls_is_spoken(server, journals, certificate):
    """It does not hang."""
    with TlsFront(server, certificate) as front, pytest.raises(Lost):
        journals(f"redis://127.0.0.1:{front.port}", timeout=1).open()
