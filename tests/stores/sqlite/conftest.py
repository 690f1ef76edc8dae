"""Journals that are closed after each test, and programs that run in processes of their own."""

from __future__ import annotations

import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from stable_openai.stores.shared.journal import Entry
from stable_openai.stores.shared.sqlite.journal import SqliteJournal

FRAME = """
import os, signal, sqlite3, sys, threading, time
from stable_openai.stores.shared.journal import Entry, Lost, Outdated
from stable_openai.stores.shared.sqlite.journal import SqliteJournal

path = sys.argv[1]
journal = SqliteJournal(f"sqlite:///{path}", timeout=30)

def say(*words):
    print(*words, flush=True)

def hear():
    return sys.stdin.readline().strip()

def add(journal, identity, last, texts, wake=False):
    "Append until what this process knows is up to date; what it knows then, and what it missed."
    done = journal.append(identity, last, texts, wake=wake)
    seen = [*done.missed, *(Entry(seq, done.at, text) for seq, text in zip(done.seqs, texts))]
    return (seen[-1] if seen else last), seen
"""


@pytest.fixture(autouse=True)
def _nothing_is_left():
    yield
    assert [thread for thread in threading.enumerate() if thread.name == "stable_openai listener"] == []


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keys.db"


@pytest.fixture
def make(path):
    """``make(namespace=…, at=…, …)``: a journal that is closed after the test."""
    made = []

    def make(at=path, namespace="default", **options):
        journal = SqliteJournal(f"sqlite:///{at}?namespace={namespace}", **options)
        made.append(journal)
        return journal

    yield make
    for journal in made:
        journal.close()


@pytest.fixture
def journal(make):
    """A journal that was begun as 'one'."""
    journal = make()
    journal.begin("one", b"start")
    return journal


@pytest.fixture
def program(path):
    """``program(code, …)``: a process of its own; ``say``, ``hear`` and ``over`` talk to it."""
    running = []

    def start(code, *arguments):
        process = subprocess.Popen(
            [
                sys.executable,
                "-W",
                "error",
                "-W",
                "ignore::DeprecationWarning",
                "-c",
                FRAME + code,
                str(path),
                *arguments,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)

        def say(word):
            process.stdin.write(f"{word}\n")
            process.stdin.flush()

        def over(code=0):
            out, err = process.communicate(timeout=50)
            assert process.returncode == code, err
            return out.split()

        def hear():
            word = process.stdout.readline().strip()
            assert word, process.stderr.read()
            return word

        return SimpleNamespace(say=say, hear=hear, over=over, process=process)

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()


@pytest.fixture
def add():
    """``add(journal, last, texts)``: append to 'one'; the last entry, and what was missed."""

    def add(journal, last, *texts, wake=False):
        done = journal.append("one", last, texts, wake=wake)
        return Entry(done.seqs[-1], done.at, texts[-1]), [entry.text for entry in done.missed]

    return add
