"""Sessions that outlive a restart, and the file that they are in."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import stat

import pytest

from stable_openai import ConfigurationError, KeyPool, ManualClock
from stable_openai.service import SessionOptions, Sessions
from stable_openai.service.errors import InvalidArgument, SessionNotFound


@pytest.fixture
def file(tmp_path):
    return tmp_path / "sessions.db"


@pytest.fixture
def pool(made):
    with KeyPool([made.secret("one")]) as pool:
        yield pool


async def test_a_session_over_the_servers_keys_goes_on(serve, config, file, pool):
    """Its history and its settings are there again, and the provider is sent all of it."""
    told = json.dumps({"version": 3, "pool": True, "model": "m-1", "system_prompt": "Be short."})
    clock = ManualClock()
    async with contextlib.AsyncExitStack() as first:
        served = await serve(pools=pool, base_url=config.sim.base_url, kept=file, clock=clock, until=first)
        client = await served.client()
        session = (await client.NewSession(config=told, initial_prompt="one")).session_id
        await client.Chat(session_id=session, prompt="two")
        before = served.sessions.look(session)
        clock.advance(60)
    served = await serve(pools=pool, base_url=config.sim.base_url, kept=file, clock=clock)
    assert served.sessions.look(session) == before
    client = await served.client()
    assert (await client.Chat(session_id=session, prompt="three")).response == "You said: three"
    assert len(served.sessions.look(session).messages) == 7
    await client.DeleteSession(session_id=session)
    assert rows_in(file, served) == []


def rows_in(file, served):
    return served.sessions._registry._kept._connection.execute("SELECT id FROM sessions").fetchall()


async def test_a_key_of_ones_own_is_given_again(config, file, made):
    """It is not in the file; without it the session is not found, and with it it goes on where it was."""
    async with Sessions(SessionOptions(cooldown=0), kept=file) as sessions:
        session = (await sessions.new(config(system_prompt="Be short."), "one")).session_id
        await sessions.renew({"access_token": made.secret("two"), "base_url": config.sim.base_url})
    for path in file.parent.iterdir():
        assert b"sk-service" not in path.read_bytes()
    async with Sessions(SessionOptions(cooldown=0), kept=file) as sessions:
        assert sessions.look(session).needs_key
        for asked in (sessions.ask(session, "two"), sessions.ask_own("two")):
            with pytest.raises(SessionNotFound):
                await asked
        with pytest.raises(InvalidArgument, match="model: stands beside session_id"):
            await sessions.new({**key(made), "session_id": session, "model": "m"})
        assert await sessions.new({**key(made), "session_id": session}, "two") == (session, "You said: two")
        assert await sessions.ask(session, "three") == "You said: three"
        assert [message["content"] for message in sessions.look(session).messages][::2] == [
            "Be short.", "You said: one", "You said: two", "You said: three",
        ]  # fmt: skip


def key(made):
    return {"version": 3, "api_key": made.secret("two")}


async def test_what_was_idle_meanwhile_is_gone(file, pool):
    clock = ManualClock()
    async with Sessions(SessionOptions(idle=100), pools=pool, kept=file, clock=clock) as sessions:
        old = (await sessions.new({"version": 3, "pool": True})).session_id
        clock.advance(50)
        new = (await sessions.new({"version": 3, "pool": True})).session_id
    clock = ManualClock(monotonic=5.0, time=clock.time() + 60)  # the machine was started again
    async with Sessions(SessionOptions(idle=100), pools=pool, kept=file, clock=clock) as sessions:
        assert len(sessions) == 1
        with pytest.raises(SessionNotFound):
            sessions.look(old)
        clock.advance(39)
        assert sessions.look(new)
        clock.advance(1)
        with pytest.raises(SessionNotFound):
            sessions.look(new)


async def test_the_session_of_ask_is_the_same(config, file, pool):
    options = SessionOptions(base_url=config.sim.base_url)
    async with Sessions(options, pools=pool, kept=file) as sessions:
        await sessions.renew({"pool": True, "system_prompt": "Be short."}, "lab")
        await sessions.ask_own("one", "lab")
    async with Sessions(options, pools=pool, kept=file) as sessions:
        reply = await sessions.ask_own("two", "lab")
        assert len(sessions) == 1
        assert reply == "You said: two"


async def test_a_pool_that_is_not_there_now(file, pool):
    """Its sessions wait in the file until it is there again."""
    async with Sessions(pools={"lab": pool}, kept=file) as sessions:
        session = (await sessions.new({"version": 3, "pool": "lab"})).session_id
    async with Sessions(kept=file) as sessions:
        with pytest.raises(SessionNotFound):
            sessions.look(session)
    async with Sessions(pools={"lab": pool}, kept=file) as sessions:
        assert sessions.look(session).pool == "lab"


async def test_a_failed_round_is_not_in_the_file(file, openai_simulator, made, pool):
    sim = openai_simulator(keys=[], style="openai")
    options = SessionOptions(base_url=sim.base_url)
    async with Sessions(options, pools=pool, kept=file) as sessions:
        session = (await sessions.new({"version": 3, "pool": True})).session_id
        with pytest.raises(Exception, match="refused"):
            await sessions.ask(session, "hi")
    async with Sessions(options, pools=pool, kept=file) as sessions:
        assert sessions.look(session).messages == []


# -- the file


async def test_it_is_its_owners_alone(file):
    async with Sessions(kept=file):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_a_second_server_is_refused(file):
    async with Sessions(kept=file):
        with pytest.raises(ConfigurationError, match="in use by another server"):
            await Sessions(kept=file).__aenter__()
    async with Sessions(kept=file):
        pass


@pytest.mark.parametrize("foreign", ["text", "database", "newer", "folder", "no folder"])
async def test_a_file_that_is_not_ours_is_left_alone(file, foreign):
    if foreign == "text":
        file.write_text("my diary, which is longer than a header of SQLite " * 40)
    elif foreign == "folder":
        file.mkdir()
    elif foreign == "no folder":
        file = file / "deeper"
    else:
        with contextlib.closing(sqlite3.connect(file)) as other:
            if foreign == "newer":
                other.execute(f"PRAGMA application_id = {int.from_bytes(b'sOAs', 'big')}")
                other.execute("PRAGMA user_version = 99")
            other.execute("CREATE TABLE mine (x)")
    before = file.read_bytes() if file.is_file() else None
    with pytest.raises(ConfigurationError, match="^sessions: "):
        await Sessions(kept=file).__aenter__()
    assert (file.read_bytes() if file.is_file() else None) == before
    assert not list(file.parent.glob("*-wal")) if file.parent.is_dir() else True


async def test_a_disk_that_fails_costs_nobody_the_answer(config, file, monkeypatch, caplog):
    async with Sessions(kept=file) as sessions:
        session = (await sessions.new(config())).session_id

        def full(*_):
            raise sqlite3.OperationalError("database or disk is full")

        monkeypatch.setattr(sessions._registry._kept, "put", full)
        assert await sessions.ask(session, "hi") == "You said: hi"
    assert "can't be written: database or disk is full" in caplog.text
