"""Several processes at once: one order for all, locks that are waited for, and processes that die."""

from __future__ import annotations

import os
import sqlite3

import pytest

from stable_openai.stores.shared.journal import Lost

WRITER = """
import json
name, number, every = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])

def load():
    opened = journal.open()
    before = [Entry(*entry) for entry in json.loads(opened.snapshot)]
    return [*before, *opened.entries[1 if opened.seq else 0:]]

def put(texts):
    while True:
        try:
            seen.extend(add(journal, "one", seen[-1] if seen else None, texts)[1])
            return
        except Outdated:
            seen[:] = load()

seen = load()
say("ready"); hear()
for i in range(number):
    put([f"{name}-{i}"] if i % 7 else [f"{name}-{i}", f"{name}-{i}+"])
    if every and i % every == every - 1:
        journal.save("one", seen[-1].seq, json.dumps(seen).encode())
say("done"); hear()
put([])
journal.close()
say(*[entry.seq for entry in seen])
say(*[entry.text for entry in seen])
"""

FORKED = """
journal.open()
gates = [os.pipe() for _ in range(4)]
for number, (read, write) in enumerate(gates):
    if os.fork() == 0:
        os.read(read, 1)
        last, seen = None, []
        for i in range(200):
            last, more = add(journal, "one", last, [f"{number}-{i}"])
            seen += more
        with open(f"{path}.{number}", "w") as file:
            print(*[entry.text for entry in seen], file=file)
        os._exit(0)
for read, write in gates:
    os.write(write, b"x")
for _ in gates:
    assert os.wait()[1] == 0
journal.close()
"""

HOLDER = """
connection = sqlite3.connect(path, isolation_level=None, timeout=30)
connection.execute("BEGIN IMMEDIATE")
connection.execute("INSERT INTO log (pool, at, text) VALUES (1, 99.0, 'half done')")
say("held"); hear()
connection.execute(sys.argv[2])
connection.close()
say("free")
"""


@pytest.mark.parametrize("every", [0, 50])
def test_eight_processes_see_one_order(make, program, every):
    """Nothing is lost, nothing comes twice, and each knows every entry in the same order; with snapshots in between too."""
    journal = make()
    journal.begin("one", b"[]")
    writers = [program(WRITER, str(name), "200", "0" if name else str(every)) for name in range(8)]
    for go_on in ("ready", "done"):
        for writer in writers:
            assert writer.hear() == go_on
        for writer in writers:
            writer.say("go")
    told = []
    for writer in writers:
        words = writer.over()
        half = len(words) // 2
        told.append(list(zip(map(int, words[:half]), words[half:], strict=True)))
    assert all(entries == told[0] for entries in told)
    assert [number for number, _ in told[0]] == sorted({number for number, _ in told[0]})
    expected = {f"{name}-{i}" for name in range(8) for i in range(200)}
    expected |= {f"{name}-{i}+" for name in range(8) for i in range(0, 200, 7)}
    assert sorted(text for _, text in told[0]) == sorted(expected)
    stored = journal.open().entries
    assert [(entry.seq, entry.text) for entry in stored] == told[0][-len(stored) :]
    assert bool(every) == (len(stored) < len(told[0]))
    assert [entry.at for entry in stored] == sorted(entry.at for entry in stored)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_forked_processes_see_one_order(journal, make, program, path):
    """Each child has a connection of its own, although the parent's was open."""
    program(FORKED).over()
    texts = [entry.text for entry in journal.open().entries]
    assert sorted(texts) == sorted(f"{name}-{i}" for name in range(4) for i in range(200))
    for name in range(4):
        seen = (path.parent / f"keys.db.{name}").read_text().split()
        assert seen == texts[: len(seen)]
        assert seen[-1] == f"{name}-199"


def test_eight_processes_begin_at_once(program, path):
    """One journal comes of it, and all of them read the same one."""
    code = """
say("ready"); hear()
if journal.open() is None:
    journal.begin(sys.argv[2], b"")
print(journal.open().identity)
journal.close()
"""
    for round_ in range(3):
        racers = [program(code, f"{round_}-{name}") for name in range(8)]
        for racer in racers:
            racer.hear()
        for racer in racers:
            racer.say("go")
        assert len({racer.over()[0] for racer in racers}) == 1
        for file in path.parent.iterdir():
            file.unlink()


@pytest.mark.parametrize("ending", ["COMMIT", "ROLLBACK"])
def test_a_lock_is_waited_for(journal, add, program, ending, monkeypatch):
    """Whoever finds the file locked goes on as soon as it is free."""
    from stable_openai.stores.shared.sqlite import waiting as sqlite_waiting

    a, _ = add(journal, None, "a")
    holder = program(HOLDER, ending)
    assert holder.hear() == "held"
    naps = []

    def nap(seconds):
        naps.append(seconds)
        if len(naps) == 5:
            holder.say("now")
            assert holder.hear() == "free"

    monkeypatch.setattr(sqlite_waiting.time, "sleep", nap)
    assert add(journal, a, "b")[1] == (["half done"] if ending == "COMMIT" else [])
    assert 5 <= len(naps) < 20
    holder.over()


def test_a_lock_that_stays_is_the_end_of_waiting(make, journal, add, program):
    """Lost after the time-out, whatever was to be done; reading goes on, and all of it works again afterwards."""
    a, _ = add(journal, None, "a")
    holder = program(HOLDER, "ROLLBACK")
    assert holder.hear() == "held"
    hasty = make(timeout=0.02)
    for exchange in (
        lambda: hasty.append("one", a, ["b"], wake=True),
        lambda: hasty.save("one", a.seq, b"a"),
        lambda: hasty.begin("one", b""),
    ):
        with pytest.raises(Lost, match=r"keys\.db was locked by another process for 0\.02 s"):
            exchange()
    assert hasty.append("one", a, [], wake=False).missed == []
    assert hasty.open().entries == [a]
    hasty.listen(lambda: None)
    holder.say("now")
    assert holder.hear() == "free"
    assert add(hasty, a, "b")[1] == []
    holder.over()


def test_a_frozen_clock_does_not_wait_for_ever(make, journal, program):
    """The naps are counted, not only timed."""
    import freezegun

    holder = program(HOLDER, "ROLLBACK")
    assert holder.hear() == "held"
    hasty = make(timeout=0.02)
    hasty.open()
    with freezegun.freeze_time("2030-01-01"), pytest.raises(Lost):
        hasty.append("one", None, ["b"], wake=False)


def test_a_process_killed_in_a_transaction(make, journal, add, program):
    """What it had not finished never was, and the others go on at once."""
    a, _ = add(journal, None, "a")
    holder = program(HOLDER, "COMMIT")
    assert holder.hear() == "held"
    holder.process.kill()
    holder.process.wait()
    b, missed = add(journal, a, "b")
    assert missed == []
    assert b.seq == a.seq + 1
    assert make().open().entries == [a, b]


def test_a_process_killed_between_two(make, journal, add, program):
    """What it left in the write-ahead log is there for the next one, with nobody else having it open."""
    journal.close()
    writer = program('add(journal, "one", None, ["a", "b"]); say("done"); hear()')
    assert writer.hear() == "done"
    writer.process.kill()
    writer.process.wait()
    assert [entry.text for entry in make().open().entries] == ["a", "b"]


def test_a_full_disk(make, journal, add, path):
    """Lost, with nothing half-written; once there is room it goes on."""
    a, _ = add(journal, None, "a")
    connection = journal._session._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}").fetchone()
    with pytest.raises(Lost, match=r"keys\.db can't be used: database or disk is full"):
        journal.append("one", a, ["x" * 100_000], wake=False)
    assert make().open().entries == [a]
    assert add(journal, a, "b")[1] == []


def test_a_disk_that_fails(journal, add, monkeypatch):
    """Lost, and the next exchange has a fresh connection."""
    a, _ = add(journal, None, "a")
    session = journal._session
    real = session._execute

    def failing(sql, *rest):
        if sql == "COMMIT":
            raise sqlite3.OperationalError("disk I/O error")
        return real(sql, *rest)

    session._execute = failing
    with pytest.raises(Lost, match="disk I/O error"):
        journal.append("one", a, ["never"], wake=False)
    assert add(journal, a, "b")[1] == []
    assert journal._session is not session


def test_an_interrupt_leaves_nothing_half_done(make, journal, add):
    """Control-C in the middle of a transaction."""
    a, _ = add(journal, None, "a")
    session = journal._session
    real = session._execute

    def interrupted(sql, *rest):
        if sql == "COMMIT":
            raise KeyboardInterrupt
        return real(sql, *rest)

    session._execute = interrupted
    with pytest.raises(KeyboardInterrupt):
        journal.append("one", a, ["never"], wake=False)
    session._execute = real
    assert add(make(), a, "b")[1] == []
    assert add(journal, a, "c")[1] == ["b"]
