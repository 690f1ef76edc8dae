"""What a journal promises: one order, exact moments, and no entry for one who knows less than he thinks."""

from __future__ import annotations

import threading

import pytest

from stable_openai.errors import StoreError
from stable_openai.stores.shared.journal import Entry, Opened, Outdated
from tests.stores.redis.conftest import IDENTITY


def last_of(appended, texts):
    """The entry that the caller of an ``append`` knows as the last."""
    return Entry(appended.seqs[-1], appended.at, texts[-1]) if texts else appended.missed[-1]


def test_begun_once(journal, journals, server):
    """The second who begins changes nothing, and finds what the first has begun."""
    other = journals(server.url)
    other.begin("another", b"something")
    assert other.open() == journal.open() == Opened(IDENTITY, 0, b"nothing", [])


def test_entries_and_those_missed(journal, journals, server):
    """Each is told what came before its own; numbers and moments are the same for all, to the last bit."""
    other = journals(server.url)
    first = journal.append(IDENTITY, None, ["a", "b"], wake=False)
    assert (list(first.seqs), first.missed) == ([1, 2], [])
    second = other.append(IDENTITY, None, ["ü\r\n \x00$-1\r\n"], wake=True)
    assert list(second.seqs) == [3]
    assert second.missed == [Entry(1, first.at, "a"), Entry(2, first.at, "b")]
    third = journal.append(IDENTITY, second.missed[-1], [], wake=False)
    assert list(third.seqs) == []
    assert third.missed == [Entry(3, second.at, "ü\r\n \x00$-1\r\n")]
    assert first.at <= second.at <= third.at
    fourth = journal.append(IDENTITY, third.missed[-1], ["c"], wake=False)
    assert (list(fourth.seqs), fourth.missed) == ([4], [])
    assert journal.open().entries == [*second.missed, *third.missed, Entry(4, fourth.at, "c")]


@pytest.mark.parametrize(
    "change",
    [
        lambda last: last._replace(text="b"),
        lambda last: last._replace(at=last.at + 1e-6),
        lambda last: last._replace(seq=last.seq + 1),
        lambda last: last._replace(seq=last.seq - 1),
    ],
    ids=["text", "moment", "later", "earlier"],
)
def test_outdated_entry(journal, change):
    """Whoever knows another entry than is there adds nothing."""
    made = journal.append(IDENTITY, None, ["x", "a"], wake=False)
    with pytest.raises(Outdated):
        journal.append(IDENTITY, change(last_of(made, "xa")), ["lost"], wake=True)
    assert [entry.text for entry in journal.open().entries] == ["x", "a"]
    assert list(journal.append(IDENTITY, last_of(made, "xa"), ["c"], wake=True).seqs) == [3]


def test_outdated_identity(journal, server, namespace):
    """So does one who knows another journal, or one that is gone."""
    made = journal.append(IDENTITY, None, ["a"], wake=False)
    with pytest.raises(Outdated):
        journal.append("another", last_of(made, "a"), ["lost"], wake=False)
    with server.client() as client:
        assert client.delete(*client.keys(f"*{{{namespace}}}*")) == 3
    with pytest.raises(Outdated):
        journal.append(IDENTITY, last_of(made, "a"), ["lost"], wake=False)
    assert journal.open() is None


def test_snapshots(journal, journals, server):
    """A snapshot takes the place of the entries before; an earlier one, or one of another journal, changes nothing."""
    made = journal.append(IDENTITY, None, list("abcde"), wake=False)
    journal.save("another", 3, b"wrong")
    journal.save(IDENTITY, 3, b"three")
    journal.save(IDENTITY, 2, b"two")
    journal.save(IDENTITY, 3, b"three again")
    entries = [Entry(seq, made.at, text) for seq, text in enumerate("abcde", 1)]
    assert journal.open() == Opened(IDENTITY, 3, b"three", entries[2:])

    other = journals(server.url)
    for known in (None, entries[0], entries[1]):
        with pytest.raises(Outdated):
            other.append(IDENTITY, known, ["lost"], wake=False)
    assert other.append(IDENTITY, entries[2], [], wake=False).missed == entries[3:]
    more = other.append(IDENTITY, entries[2], ["f"], wake=False)
    assert (list(more.seqs), more.missed) == ([6], entries[3:])
    other.save(IDENTITY, 6, b"six")
    assert journal.open() == Opened(IDENTITY, 6, b"six", [Entry(6, more.at, "f")])


def test_snapshot_of_an_undone_history(journal, server, namespace):
    """Where a fail-over has lost the last entries, what they added up to is not kept."""
    made = journal.append(IDENTITY, None, list("abc"), wake=False)
    with server.client() as client:
        client.rpop(f"stable_openai:{{{namespace}}}:log")
    journal.save(IDENTITY, 2, b"two, with what is gone in view")
    assert journal.open() == Opened(IDENTITY, 0, b"nothing", [Entry(1, made.at, "a"), Entry(2, made.at, "b")])


@pytest.mark.parametrize("part", ["log", "snapshot"])
def test_a_part_evicted(journal, server, namespace, part):
    """A server that is short of memory drops keys: what is left is no journal, and a new one takes its place."""
    journal.append(IDENTITY, None, list("abc"), wake=False)
    journal.save(IDENTITY, 2, b"two")
    with server.client() as client:
        client.delete(f"stable_openai:{{{namespace}}}:{part}")
    assert journal.open() is None
    journal.begin("another", b"new")
    assert journal.open() == Opened("another", 0, b"new", [])


def test_moments_of_a_clock_of_ones_own(server, journals):
    """Where a clock is given, its time is taken, and all read the same."""
    moments = iter([0.1 + 0.2, 1000.0, 999.5, 1e9 + 1 / 3])
    one, other = journals(server.url, time=lambda: next(moments)), journals(server.url)
    one.begin(IDENTITY, b"")
    last = None
    for expected in (0.3, 1000.0, 999.5, round(1e9 + 1 / 3, 6)):
        made = one.append(IDENTITY, last, ["x"], wake=True)
        assert made.at == expected
        last = last_of(made, "x")
    assert [entry.at for entry in other.open().entries] == [0.3, 1000.0, 999.5, round(1e9 + 1 / 3, 6)]
    assert list(other.append(IDENTITY, last, ["y"], wake=False).seqs) == [5]


def test_threads_see_one_order(journal, journals, server):
    """Eight journals at once: each sees all entries, in the same order, once, and time never goes back."""
    together, seen = threading.Barrier(8), {}

    def work(name):
        own, last, all_of_it = journals(server.url), None, []
        together.wait(20)
        for number in range(100):
            made = own.append(IDENTITY, last, [f"{name}-{number}"] * (1 + number % 3), wake=number % 10 == 0)
            all_of_it += made.missed
            all_of_it += [Entry(seq, made.at, f"{name}-{number}") for seq in made.seqs]
            last = all_of_it[-1]
        together.wait(20)
        seen[name] = all_of_it + own.append(IDENTITY, last, [], wake=False).missed

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
    entries = journal.open().entries
    assert [seen[name] == entries for name in range(8)] == [True] * 8
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)
    assert len(entries) == 8 * sum(1 + number % 3 for number in range(100))


def test_large(journal, journals, server):
    """Snapshots and answers of any size come in pieces."""
    texts = ["x" * 70_000, *(f"entry {number}" for number in range(5000))]
    made = journal.append(IDENTITY, None, texts, wake=False)
    missed = journals(server.url).append(IDENTITY, None, [], wake=False).missed
    assert missed == [Entry(seq, made.at, text) for seq, text in enumerate(texts, 1)]
    journal.save(IDENTITY, 5001, b"\r\n$5\r\n" * 300_000)
    assert journal.open() == Opened(IDENTITY, 5001, b"\r\n$5\r\n" * 300_000, [missed[-1]])


def test_something_else_at_the_keys(server, journals, namespace):
    """What is not ours is left alone."""
    journal = journals(server.url)
    with server.client() as client:
        for key in ("pool", "log", "snapshot"):
            client.hset(name := f"stable_openai:{{{namespace}}}:{key}", "a", "b") if key != "pool" else client.set(
                name := f"stable_openai:{{{namespace}}}:{key}", "a"
            )
            for act in (
                journal.open,
                lambda: journal.begin(IDENTITY, b""),
            ):
                with pytest.raises(StoreError, match="hold something else: choose another namespace"):
                    act()
            assert client.delete(name) == 1
        client.hset(f"stable_openai:{{{namespace}}}:pool", "identity", "x")
        with pytest.raises(StoreError, match="damaged, or not one of ours"):
            journal.open()


def test_a_newer_format(journal, server, namespace):
    """What a newer version has written is refused, and not begun anew."""
    with server.client() as client:
        client.hset(f"stable_openai:{{{namespace}}}:pool", "format", 2)
        client.delete(f"stable_openai:{{{namespace}}}:snapshot")
    with pytest.raises(StoreError, match="of format 2, which a newer stable_openai has written"):
        journal.open()
    journal.begin("another", b"")
    with pytest.raises(StoreError, match="format 2"):
        journal.open()


def test_nothing_but_one_slot(journal, server, namespace):
    """All keys of a pool have its namespace as their hash tag."""
    journal.append(IDENTITY, None, ["a"], wake=True)
    with server.client(decode_responses=True) as client:
        keys = client.keys(f"*{namespace}*")
    assert sorted(keys) == [f"stable_openai:{{{namespace}}}:{key}" for key in ("log", "pool", "snapshot")]
