"""Files that are not ours, damaged or newer ones, and ones that vanish: refused with a word, and left as they are."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from contextlib import closing

import pytest

from stable_openai.errors import StoreError
from stable_openai.stores.shared.journal import Lost, Outdated
from stable_openai.stores.shared.sqlite import schema as sqlite_schema
from stable_openai.stores.shared.sqlite import session as sqlite_session

ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def foreign(path, mode, tables=("users",)):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")
        for table in tables:
            connection.execute(f"CREATE TABLE {table} (a, b)")
        connection.execute("PRAGMA user_version = 1")


def refused(make, path, said, error=StoreError):
    before = contents(path.parent)
    for exchange in (
        lambda journal: journal.open(),
        lambda journal: journal.begin("one", b""),
        lambda journal: journal.append("one", None, ["x"], wake=True),
        lambda journal: journal.save("one", 1, b""),
    ):
        with pytest.raises(error) as caught:
            exchange(make(timeout=0.05))
        assert said in str(caught.value)
        assert str(path) in str(caught.value)
        assert contents(path.parent) == before


@pytest.mark.parametrize(
    "data", [b"hello\n", b"key,count\nsk,1\n" * 1000, b"SQLite format 3\0" + b"\xff" * 5000, bytes(range(256)) * 64]
)
def test_a_file_that_is_no_database(make, path, data):
    """A text, a table of somebody's, random bytes."""
    path.write_bytes(data)
    refused(make, path, "is no SQLite database")


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
@pytest.mark.parametrize("tables", [("users",), ("log", "pools", "clock", "listeners", "about"), ()])
def test_a_database_of_another_program(make, path, mode, tables):
    """Whatever its tables are called."""
    foreign(path, mode, tables)
    refused(make, path, "of another program")


def test_a_database_that_another_program_has_open(make, path):
    """What is in its write-ahead log stays there."""
    foreign(path, "WAL")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("INSERT INTO users VALUES (1, 2)")
        refused(make, path, "of another program")


@pytest.mark.parametrize("kept", [50, 4096, 8192, 10_000, -1])
def test_a_file_that_was_cut(make, journal, add, path, kept):
    """Wherever it ends."""
    add(journal, None, *["x" * 1000] * 50)
    journal.close()
    path.write_bytes(path.read_bytes()[:kept])
    refused(make, path, "is damaged")


def test_a_file_that_was_overwritten_in_part(make, journal, add, path):
    """The first process that opens it reads all of it."""
    add(journal, None, *["x" * 1000] * 50)
    journal.close()
    data = bytearray(path.read_bytes())
    data[-12_288:-8192] = os.urandom(4096)
    path.write_bytes(data)
    refused(make, path, "is damaged")


def test_a_table_that_is_gone(make, journal, path):
    """The message names it."""
    journal.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DROP TABLE clock")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    refused(make, path, "it has no table clock")


def test_damage_while_it_is_in_use(make, journal, add, path):
    """A table that goes away under a running journal is no lost store, but a damaged one."""
    a, _ = add(journal, None, "a")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DROP TABLE log")
    with pytest.raises(StoreError, match="is damaged .no such table: log"):
        journal.append("one", a, ["b"], wake=False)


def test_a_folder(make, tmp_path):
    """It has another name than a file."""
    (tmp_path / "keys.db").mkdir()
    with pytest.raises(StoreError, match="is a folder: name a file in it"):
        make().open()
    with pytest.raises(StoreError, match="is a folder: name a file in it"):
        make().begin("one", b"")
    assert list((tmp_path / "keys.db").iterdir()) == []


def test_a_folder_that_is_not_there(make, tmp_path):
    """It is named, and not made."""
    for exchange in (lambda journal: journal.open(), lambda journal: journal.begin("one", b"")):
        with pytest.raises(StoreError) as caught:
            exchange(make(tmp_path / "a" / "b" / "keys.db"))
        assert f"make {tmp_path / 'a' / 'b'} first" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(ROOT, reason="root may read and write everything")
def test_a_file_and_a_folder_without_permission(make, journal, path):
    """Whose file it is, is for its owner to say."""
    journal.close()
    path.chmod(0o400)
    refused(make, path, "may not read and write it")
    path.chmod(0o600)
    path.parent.chmod(0o500)
    try:
        refused(make, path, "may not write into")
    finally:
        path.parent.chmod(0o700)


def test_what_the_system_does_not_let_us(make, journal, path, monkeypatch):
    """As above, for those who are root."""
    from stable_openai.stores.shared.sqlite import files as sqlite_files

    journal.close()
    monkeypatch.setattr(sqlite_files.os, "access", lambda place, mode: str(place) != str(path))
    refused(make, path, "may not read and write it")
    monkeypatch.setattr(sqlite_files.os, "access", lambda place, mode: str(place) == str(path))
    refused(make, path, "may not write into")


def test_a_newer_file(make, journal, path):
    """The message says what wrote it, and what to do."""
    journal.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE about SET made_by = 'stable_openai 7.1'")
        connection.execute("PRAGMA user_version = 9")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    refused(
        make, path, "was written by stable_openai 7.1 (its format is 9; this one reads up to 1): upgrade stable_openai"
    )
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DROP TABLE about")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    refused(make, path, "was written by a newer stable_openai")


def test_an_older_file_is_brought_up(make, journal, add, path, monkeypatch):
    """In one transaction, with what is in it: at once, or not at all."""
    a, _ = add(journal, None, "a")
    journal.close()
    step = ("ALTER TABLE log ADD COLUMN note TEXT", "CREATE TABLE notes (a)", "this is no SQL")
    monkeypatch.setattr(sqlite_schema, "STEPS", (*sqlite_schema.STEPS, step))
    with pytest.raises(Lost, match="syntax error"):
        make().open()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'notes'").fetchone() == (0,)
    monkeypatch.setattr(sqlite_schema, "STEPS", (sqlite_schema.STEPS[0], step[:2]))
    newer = make()
    assert newer.open().entries == [a]
    assert add(newer, a, "b")[1] == []
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    monkeypatch.undo()
    newer.close()
    refused(make, path, "its format is 2")


def test_a_running_process_meets_a_newer_file(make, journal, add, path):
    """It is refused as soon as it is opened again."""
    last, _ = add(journal, None, "a")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version = 2")
    with pytest.raises(StoreError, match="its format is 2"):
        make().open()
    add(journal, last, "the old one still has it open")
    journal.close()
    with pytest.raises(StoreError, match="its format is 2"):
        journal.append("one", last, ["no more"], wake=False)


def test_an_empty_file_is_taken(make, path, add):
    """A file without a byte in it belongs to nobody, and keeps its mode."""
    path.touch(mode=0o640)
    path.chmod(0o640)
    journal = make()
    assert journal.open() is None
    with pytest.raises(Outdated):
        journal.append("one", None, ["x"], wake=False)
    journal.begin("one", b"")
    assert add(journal, None, "a")[1] == []
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.skipif(os.name == "nt", reason="modes are not those of Windows")
def test_modes(journal, add, path):
    """The file and those beside it are their owner's alone, whatever the mask."""
    add(journal, None, "a")
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {"keys.db": 0o600, "keys.db-wal": 0o600, "keys.db-shm": 0o600}


def test_a_network_folder(make, path, monkeypatch):
    """Where SQLite can't keep a write-ahead log, processes can't share a file."""
    from stable_openai.stores.shared.sqlite import files as sqlite_files

    class Elsewhere(sqlite3.Cursor):
        def execute(self, sql, *rest):
            return super().execute("SELECT 'delete'" if "journal_mode" in sql else sql, *rest)

    class Connection(sqlite3.Connection):
        def cursor(self):
            return super().cursor(Elsewhere)

    real = sqlite3.connect
    monkeypatch.setattr(
        sqlite_files.sqlite3, "connect", lambda *rest, **options: real(*rest, factory=Connection, **options)
    )
    with pytest.raises(StoreError, match="use a local disk"):
        make().begin("one", b"")


# -- files that vanish


@pytest.fixture
def _look_each_time(monkeypatch):
    monkeypatch.setattr(sqlite_session, "_LOOK_EVERY", 0.0)


def test_looking_is_rare(journal, add, monkeypatch):
    """Within a second, the file is not looked at twice."""
    last, _ = add(journal, None, "a")
    monkeypatch.setattr(sqlite_session, "file_at", None)
    journal._session.look_at += 1000
    add(journal, last, "b")


@pytest.mark.skipif(os.name == "nt", reason="a file in use can't be deleted")
@pytest.mark.usefixtures("_look_each_time")
class TestVanished:
    def test_deleted(self, make, journal, add, path):
        """Out of date; what is begun anew is shared with all who come, and the old connection does it no harm."""
        other = make()
        a, _ = add(journal, None, "a")
        add(other, a, "b")
        path.unlink()
        with pytest.raises(Outdated, match="not there any more"):
            journal.append("one", a, ["c"], wake=False)
        journal.save("one", a.seq, b"")
        assert journal.open() is None
        journal.begin("two", b"new")
        with pytest.raises(Outdated):
            other.append("one", a, ["c"], wake=False)
        assert other.open().identity == "two"
        last = journal.append("two", None, ["A"], wake=False)
        assert [entry.text for entry in other.append("two", None, ["B"], wake=False).missed] == ["A"]
        assert [entry.text for entry in make().open().entries] == ["A", "B"]
        assert last.seqs[0] == 1
        journal.close()
        other.close()
        assert [entry.text for entry in make().open().entries] == ["A", "B"]

    def test_deleted_with_what_is_beside_it(self, journal, add, path):
        """The same."""
        a, _ = add(journal, None, "a")
        for file in path.parent.iterdir():
            file.unlink()
        with pytest.raises(Outdated):
            journal.append("one", a, [], wake=False)
        assert journal.open() is None

    def test_replaced(self, make, journal, add, path, tmp_path):
        """By another journal, and by a copy of this one."""
        a, _ = add(journal, None, "a")
        journal.close()
        shutil.copy(path, tmp_path / "copy.db")
        b, _ = add(journal, a, "b")
        other = make(tmp_path / "other.db")
        other.begin("two", b"")
        other.close()
        for file in ("keys.db-wal", "keys.db-shm"):
            (tmp_path / file).unlink()
        (tmp_path / "other.db").replace(path)
        with pytest.raises(Outdated, match="has another journal"):
            journal.append("one", b, ["c"], wake=False)
        assert journal.open().identity == "two"
        journal.close()
        (tmp_path / "copy.db").replace(path)
        with pytest.raises(Outdated, match="entry 2"):
            journal.append("one", b, ["c"], wake=False)
        assert journal.open().entries == [a]
        assert add(journal, a, "B")[1] == []

    def test_the_folder_too(self, make, tmp_path, add):
        """Out of date, and then refused."""
        folder = tmp_path / "folder"
        folder.mkdir()
        journal = make(folder / "keys.db")
        journal.begin("one", b"")
        a, _ = add(journal, None, "a")
        shutil.rmtree(folder)
        with pytest.raises(Outdated):
            journal.append("one", a, ["b"], wake=False)
        with pytest.raises(StoreError, match="first"):
            journal.open()
