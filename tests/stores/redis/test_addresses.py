"""Addresses: what they may say, and that no password is ever shown."""

from __future__ import annotations

import subprocess
import sys

import pytest

from stable_openai.errors import ConfigurationError
from stable_openai.stores.shared.redis.journal import RedisJournal, check_redis_url, shown
from stable_openai.stores.shared.redis.urls import read_redis_url

PASSWORD = "hunter2hunter2"


@pytest.mark.parametrize(
    ("url", "kind", "hosts", "db", "master", "login"),
    [
        ("redis://host", "", (("host", 6379),), 0, "", {}),
        ("valkey://host:1/3", "", (("host", 1),), 3, "", {}),
        ("redis://[::1]:7/", "", (("::1", 7),), 0, "", {}),
        ("redis://:p%40ss@h", "", (("h", 6379),), 0, "", {"password": "p@ss"}),
        ("redis://u:p:/@h", "", (("h", 6379),), 0, "", {"username": "u", "password": "p:/"}),
        ("redis+cluster://a:7000,b:7001/", "cluster", (("a", 7000), ("b", 7001)), 0, "", {}),
        ("valkey+cluster://a,b", "cluster", (("a", 6379), ("b", 6379)), 0, "", {}),
        ("redis+sentinel://a,b:7/mine/2", "sentinel", (("a", 26379), ("b", 7)), 2, "mine", {}),
        ("redis+unix:///run/a@b.sock?db=4", "unix", (("/run/a@b.sock", 0),), 4, "", {}),
        ("redis+unix://u:p@/run/r.sock", "unix", (("/run/r.sock", 0),), 0, "", {"username": "u", "password": "p"}),
    ],
)
def test_read(url, kind, hosts, db, master, login):  # noqa: PLR0917  # a table
    address = read_redis_url(url)
    assert (address.kind, address.hosts, address.db, address.master) == (kind, hosts, db, master)
    assert (address.login, address.tls, address.namespace) == (login, None, "default")


def test_tls_and_parameters():
    """Those of TLS are handed on; a server without names to check needs no host name either."""
    address = read_redis_url("valkeys://h?ssl_ca_certs=/a+b.pem&ssl_check_hostname=no&namespace=my.pool_1-x")
    assert address.tls == {"ssl_ca_certs": "/a b.pem", "ssl_check_hostname": False}
    assert address.namespace == "my.pool_1-x"
    assert read_redis_url("rediss+cluster://h?ssl_cert_reqs=none").tls == {
        "ssl_cert_reqs": "none",
        "ssl_check_hostname": False,
    }
    address = read_redis_url("redis+sentinel://h/m?sentinel_username=u&sentinel_password=p")
    assert address.sentinel_login == {"username": "u", "password": "p"}


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://h", "it has to begin with"),
        ("rediss+unix:///a", "it has to begin with"),
        ("redis+unix://host/a", "needs the path"),
        ("nonsense", "it has to begin with"),
        ("redis://", "a host is missing"),
        ("redis://a,b", "not of the form host:port"),
        ("redis://h:99999", "no port 99999"),
        ("redis://h:x", "not of the form host:port"),
        ("redis://h/x", "the database has to be a number"),
        ("redis+cluster://h/1", "no database but 0"),
        ("redis+sentinel://h", "the name of the master"),
        ("redis://h?colour=red", "the parameter 'colour' is unknown"),
        ("redis://h?db=3", "the parameter 'db' means nothing with this kind"),
        ("redis://h?ssl_ca_certs=x", "the parameter 'ssl_ca_certs' means nothing with this kind"),
        ("redis://h?namespace=a&namespace=b", "'namespace' is given twice"),
        ("redis://h?namespace=", "'namespace' is given no value"),
        ("redis://h?namespace=a{b", "'namespace' may have letters"),
        ("rediss://h?ssl_cert_reqs=maybe", "'ssl_cert_reqs' has to be none, optional or required"),
        ("rediss://h?ssl_check_hostname=maybe", "'ssl_check_hostname' has to be true or false"),
    ],
)
def test_wrong(url, problem):
    """Said at once, by name, and with the password masked wherever it stands."""
    with pytest.raises(ConfigurationError) as raised:
        check_redis_url(url)
    assert raised.value.field == "store"
    assert problem in str(raised.value)
    with pytest.raises(ConfigurationError) as raised:
        RedisJournal(url.replace("://", f"://user:{PASSWORD}@"))
    assert PASSWORD not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (f"redis://:{PASSWORD}@h:1/0", "redis://:***@h:1/0"),
        (f"redis://me:{PASSWORD}@h?namespace=x", "redis://me:***@h?namespace=x"),
        (f"redis://{PASSWORD}@h", "redis://***@h"),
        (f"redis://me:a/{PASSWORD}@b@h", "redis://me:***@h"),
        (f"redis://me:a?{PASSWORD}@h", "redis://…"),
        (f"rediss://h?ssl_password={PASSWORD}&ssl_keyfile=k", "rediss://h?ssl_password=***&ssl_keyfile=k"),
        (f"redis+sentinel://h/m?sentinel_password=a@{PASSWORD}", "redis+sentinel://h/m?sentinel_password=***"),
        (f"redis://h?pasword={PASSWORD}", "redis://h?pasword=***"),
        ("redis+unix:///a@b", "redis+unix:///a@b"),
        (PASSWORD, "…"),
    ],
)
def test_shown(url, expected):
    assert shown(url) == expected
    assert PASSWORD not in shown(url)


def test_repr():
    """Neither a journal nor what an address says shows a password."""
    url = f"redis+sentinel://me:{PASSWORD}@h/m?sentinel_password={PASSWORD}"
    journal = RedisJournal(url)
    assert repr(journal) == "<RedisJournal redis+sentinel://me:***@h/m?sentinel_password=***>"
    assert PASSWORD not in repr(read_redis_url(url))
    journal.close()


def test_without_redis():
    """Checking needs no redis-py; using it says how to get it."""
    code = """
import sys
sys.modules["redis"] = None
from stable_openai.errors import ConfigurationError
from stable_openai.stores.shared.redis.journal import RedisJournal
journal = RedisJournal("redis://127.0.0.1:1")
try:
    journal.open()
except ConfigurationError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "store: needs the extra `redis`: pip install 'stable-openai[redis]'"
