"""URLs of stores in a file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stable_openai.errors import ConfigurationError
from stable_openai.stores.shared.sqlite.journal import SqliteJournal, check_sqlite_url

HERE = f"{Path.cwd()}/"


@pytest.mark.skipif(os.name == "nt", reason="paths are others there")
@pytest.mark.parametrize(
    ("url", "path", "namespace"),
    [
        ("sqlite:///keys.db", HERE + "keys.db", "default"),
        ("sqlite:///a/b/keys.db", HERE + "a/b/keys.db", "default"),
        ("sqlite:////var/lib/keys.db", "/var/lib/keys.db", "default"),
        ("sqlite:////var/lib/keys.db?namespace=crawl-2_b.x", "/var/lib/keys.db", "crawl-2_b.x"),
        ("sqlite:////tmp/a%20b%3Fc%23.db", "/tmp/a b?c#.db", "default"),
    ],
)
def test_places(url, path, namespace):
    """The file, from the root, and the name of the pool in it."""
    assert check_sqlite_url(url) == (path, namespace)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "no URL of a SQLite store"),
        ("keys.db", "no URL of a SQLite store"),
        ("redis://localhost", "no URL of a SQLite store"),
        ("sqlite://", "memory://"),
        ("sqlite:///", "memory://"),
        ("sqlite:///:memory:", "memory://"),
        ("sqlite://keys.db", "two slashes"),
        ("sqlite://host/keys.db", "two slashes"),
        ("sqlite://[/keys.db", "no URL"),
        ("sqlite:///folder/", "names no file"),
        ("sqlite:///a%00b", "names no file"),
        ("sqlite:///keys.db#x", "%23"),
        ("sqlite:///keys.db?mode=memory", "'mode'"),
        ("sqlite:///keys.db?namespace", "no URL"),
        ("sqlite:///keys.db?namespace=", "namespace ''"),
        ("sqlite:///keys.db?namespace=a%20b", "namespace 'a b'"),
        ("sqlite:///keys.db?namespace=a%0A", "namespace 'a\\n'"),
        ("sqlite:///keys.db?namespace=a&namespace=b", "more than one"),
    ],
)
def test_anything_else_is_refused(url, said):
    """At once, by name of the option."""
    with pytest.raises(ConfigurationError) as caught:
        SqliteJournal(url)
    assert caught.value.field == "store"
    assert said in str(caught.value)


def test_a_relative_path_is_that_of_the_start(tmp_path, monkeypatch):
    """Where the process goes later changes nothing; any name of a file will do."""
    monkeypatch.chdir(tmp_path)
    journal = SqliteJournal("sqlite:///50%25 of %3Fkeys%23.db")
    monkeypatch.chdir("/")
    journal.begin("one", b"")
    journal.close()
    assert [file.name for file in tmp_path.iterdir()] == ["50% of ?keys#.db"]
