"""What is kept: counts over restarts and losses; and what is not: secrets."""

from __future__ import annotations

import zlib

import pytest

from stable_openai import Key
from stable_openai.stores.shared import link as links
from tests.stores.faults.conftest import BACK, KEYS, LOST, in_flight
from tests.stores.faults.test_workers import taken

pytestmark = pytest.mark.stress


def test_a_day_survives_a_restart_of_everything(pools, tmp_path, lasting_server):
    """In a file, and in a Redis that keeps its data; also a calendar's day."""
    for url in (f"sqlite:///{tmp_path}/keys.db", lasting_server.url):
        for told in ({"rpd": 8}, {"rpd": 8, "zone": "UTC"}):
            where = f"{url}?namespace={len(told)}"
            first = pools(where, minute=60.0, store_timeout=10.0, **told)
            for _ in range(6):
                first.acquire().settle()
            first.close()
            if url == lasting_server.url:
                lasting_server.restart()
            assert taken(pools(where, minute=60.0, store_timeout=10.0, **told)) == 10


@pytest.mark.parametrize("keeps", [False, True], ids=["empty", "with its data"])
def test_what_was_granted_alone_counts_for_all(keeps, request, pools, log):
    """Also for a worker that comes later; whether the store remembers what was before or not."""
    server = request.getfixturevalue("lasting_server" if keeps else "server")
    pool = pools(server.url, rpd=20, minute=60.0)
    running = pool.acquire()
    pool.acquire().settle()
    server.kill()
    for _ in range(6):
        pool.acquire().settle()
    later = pool.acquire()
    running.settle()
    pool.add("sk-faults-c-0123456789abcdef")
    pool.acquire().settle()
    server.start()
    log.wait_for(BACK)
    other = pools(server.url, [*KEYS, "sk-faults-c-0123456789abcdef"], rpd=20, minute=60.0)
    assert sum(row.uses for row in other.status()) == 10
    assert in_flight(other) == [1]
    later.settle()
    assert in_flight(pool, other) == [0, 0]
    assert taken(other) == 3 * 20 - 10
    assert log.count(LOST) == 1


class Refused(Exception):
    """A provider's refusal that tells more than it should."""

    def __init__(self, status, **error):
        self.status_code, self.headers, self.body = status, {}, {"error": error}
        super().__init__(str(error))


def stored_bytes(url, server):
    """All that a store holds, what is packed unpacked too."""
    if url.startswith("sqlite"):
        import sqlite3
        from pathlib import Path

        path = url.removeprefix("sqlite:///")
        yield from (file.read_bytes() for file in Path(path).parent.glob("keys.db*"))
        connection = sqlite3.connect(path)
        found = connection.execute("SELECT snapshot FROM pools").fetchall()
        connection.close()
        yield from (zlib.decompress(snapshot) for (snapshot,) in found)
        return
    with server.client() as client:
        for name in client.keys("*"):
            yield name
            kind = client.type(name)
            if kind == b"string":
                yield zlib.decompress(client.get(name))
            elif kind == b"list":
                yield from client.lrange(name, 0, -1)
            else:
                assert kind == b"hash", kind
                for field, value in client.hgetall(name).items():
                    yield field + value


def test_no_secret_is_stored(url, request, pools, monkeypatch):
    """Whatever errors say: neither a key, nor its end, nor a password in a base URL."""
    monkeypatch.setattr(links, "_STAGGER", 1)
    monkeypatch.setattr(links, "_SAVED_AFTER", 10)
    secrets = [
        "sk-proj-VERYSECRETVALUE-tail1234567",
        "sk-ant-ANOTHERSECRET-ending7654321",
        "gsk_ONEMOREKEY0000tail5551212",
    ]
    password = "hunter2-in-a-url"
    keys = [
        Key(secrets[0], owner="org-a", base_url=f"https://user:{password}@api.example.invalid/v1"),
        Key(secrets[1], base_url=f"https://api.example.invalid/v1?key={password}"),
        Key(secrets[2], name="third"),
    ]
    pool = pools(url, keys, rpm=1000, store_timeout=10.0)
    texts = [
        f"Incorrect API key provided: {secrets[0][:8]}*****{secrets[0][-4:]}.",
        f"Incorrect API key provided: {secrets[0]}. See https://user:{password}@api.example.invalid",
        f"Rate limit reached for key {secrets[1]} in organization org-77 on requests per min (RPM): Limit 3, Used 3",
        f"the key {secrets[2]} is over its quota at http://{password}@api.example.invalid/v1",
    ]
    for status, code in (
        (429, "rate_limit_exceeded"),
        (429, "insufficient_quota"),
        (401, "invalid_api_key"),
        (500, "x"),
    ):
        for text in texts:
            pool.revive()
            with pool.lease() as lease:
                lease.settle(Refused(status, message=text, code=code, type="t"))
    server = request.getfixturevalue("server") if url.startswith("redis") else None
    dump = b"\n".join(stored_bytes(url, server))
    pool.store._link._snapshot_after = -1000
    for _ in range(40):
        pool.status()
    assert pool.store._link.replica.rebased_at
    dump += b"\n".join(stored_bytes(url, server))
    assert b"rate_limited" in dump
    assert b"org-a" in dump
    for secret in (*secrets, password):
        assert secret.encode() not in dump
        assert secret[-8:].encode() not in dump
        assert secret[:14].encode() not in dump


def test_a_snapshot_is_saved_when_all_have_heard(url, pools, monkeypatch):
    """Who lags a little reads on, rather than everything anew; and who comes begins with it."""
    monkeypatch.setattr(links, "_SNAPSHOT_EVERY", 50)
    monkeypatch.setattr(links, "_STAGGER", 1)
    monkeypatch.setattr(links, "_SAVED_AFTER", 20)
    monkeypatch.setattr(links, "_PER_KEY", 0)
    pool, other = (pools(url, rpm=10_000, minute=60.0, store_timeout=10.0) for _ in range(2))
    journal = other.store._link.journal
    opened = []
    monkeypatch.setattr(journal, "open", lambda read=journal.open: opened.append(1) or read())
    saved = []
    own = pool.store._link.journal
    monkeypatch.setattr(own, "save", lambda *args, save=own.save: saved.append(args) or save(*args))
    granted = 0
    while len(saved) < 3:
        pool.acquire().settle()
        granted += 1
        if granted % 5 == 0:
            other.acquire().settle()
            granted += 1
        assert granted < 2_000
    third = pools(url, rpm=10_000, minute=60.0, store_timeout=10.0)
    assert sum(row.uses for row in third.status()) == granted
    assert opened == []
