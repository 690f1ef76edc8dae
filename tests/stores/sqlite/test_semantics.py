"""What a journal in a file does: the order of entries, what was missed, snapshots, and who is out of date."""

from __future__ import annotations

import pytest

from stable_openai.stores.shared.journal import Entry, Opened, Outdated


def test_nothing_is_there_until_it_is_begun(make, path):
    """To look makes no file; the second one who begins changes nothing."""
    journal = make()
    assert journal.open() is None
    assert not path.exists()
    journal.begin("one", b"start")
    other = make()
    other.begin("two", b"late")
    assert other.open() == journal.open() == Opened("one", 0, b"start", [])


def test_entries_are_numbered_and_missed_ones_are_told(make, journal, add):
    """One order for all: what one adds, the other hears of with its next entry, once."""
    other = make()
    a, missed = add(journal, None, "a")
    assert missed == []
    b, missed = add(other, None, "b1", "b2", "b3")
    assert missed == ["a"]
    a, missed = add(journal, a, "c")
    assert missed == ["b1", "b2", "b3"]
    a, missed = add(journal, a, "d")
    assert missed == []
    b, missed = add(other, b, "e")
    assert missed == ["c", "d"]
    opened = make().open()
    assert [entry.text for entry in opened.entries] == ["a", "b1", "b2", "b3", "c", "d", "e"]
    assert [entry.seq for entry in opened.entries] == [1, 2, 3, 4, 5, 6, 7]
    assert opened.entries[-1] == b
    assert opened.entries[5] == a


def test_all_entries_of_one_append_have_one_moment(make, add):
    """The moment is that of the append, and an entry that was read has it to the last bit."""
    moments = iter([5.25, 5.25, 7.1])
    journal = make(time=lambda: next(moments))
    journal.begin("one", b"")
    done = journal.append("one", None, ["a", "b"], wake=False)
    assert done.at == 5.25
    assert list(done.seqs) == [1, 2]
    read = journal.append("one", None, [], wake=False)
    assert read.missed == [Entry(1, 5.25, "a"), Entry(2, 5.25, "b")]
    assert read.seqs == ()
    assert journal.append("one", Entry(2, 5.25, "b"), ["c"], wake=False).at == 7.1


def test_reading_writes_nothing(make, journal, add):
    """What came after the last entry, and the time; nothing is added."""
    a, _ = add(journal, None, "a")
    other = make()
    assert [entry.text for entry in other.append("one", None, [], wake=False).missed] == ["a"]
    assert other.append("one", a, [], wake=False).missed == []
    read = other.append("one", a, [], wake=False)
    assert read.at >= a.at
    b, _ = add(journal, a, "b")
    read = other.append("one", a, [], wake=True)
    assert read.missed == [b]
    assert read.at >= b.at
    assert other.append("one", b, ["c"], wake=False).missed == []
    assert [entry.text for entry in make().open().entries] == ["a", "b", "c"]


@pytest.mark.parametrize("texts", [[], ["new"], ["new", "and newer"]])
@pytest.mark.parametrize("case", ["identity", "text", "number", "ahead", "none", "trimmed", "trimmed since"])
def test_who_is_out_of_date_adds_nothing(make, journal, add, texts, case):
    """Another journal, another text, a number that is not there, or entries that a snapshot has taken the place of."""
    a, _ = add(journal, None, "a")
    b, _ = add(journal, a, "b")
    stranger = make()
    identity, last = "one", a
    if case == "identity":
        identity = "two"
    elif case == "text":
        stranger = journal  # which has no need to look, usually
        last = Entry(b.seq, b.at, "B")
    elif case == "number":
        journal.save("one", b.seq, b"ab")
    elif case == "ahead":
        last = Entry(b.seq + 1, b.at, "c")
    elif case == "none":
        journal.save("one", b.seq, b"ab")
        last = None
    elif case == "trimmed":
        b, _ = add(journal, b, "c")
        journal.save("one", b.seq, b"abc")
    else:
        assert stranger.append("one", a, [], wake=False).missed == [b]
        journal.save("one", b.seq, b"ab")
    before = make().open()
    with pytest.raises(Outdated):
        stranger.append(identity, last, texts, wake=True)
    assert make().open() == before
    add(journal, b, "goes on")
    assert [entry.text for entry in make().open().entries][-1] == "goes on"


def test_a_snapshot_takes_the_place_of_entries(make, journal, add):
    """What it stands for is dropped but for its last entry; an earlier one, or one of another journal, does nothing."""
    last = None
    for text in "abcdef":
        last, _ = add(journal, last, text)
    journal.save("one", 4, b"a-d")
    opened = make().open()
    assert (opened.seq, opened.snapshot) == (4, b"a-d")
    assert [entry.text for entry in opened.entries] == ["d", "e", "f"]
    for identity, seq in (("one", 3), ("one", 4), ("two", 6), ("one", 7)):
        journal.save(identity, seq, b"wrong")
        assert make().open() == opened
    journal.save("one", 6, b"a-f")
    assert [entry.text for entry in make().open().entries] == ["f"]
    assert make().append("one", opened.entries[-1], ["g"], wake=False).seqs == range(7, 8)


def test_save_where_nothing_is(make, path):
    """It has nothing to do."""
    make().save("one", 1, b"")
    assert not path.exists()


def test_pools_share_a_file(make, add):
    """Each has its own journal; numbers never come twice, whichever pool drops its entries."""
    a, b = make(namespace="a"), make(namespace="b.x-y_1")
    a.begin("one", b"A")
    b.begin("one", b"B")
    last_a, last_b, numbers = None, None, []
    for round_ in range(5):
        for text in ("x", "y"):
            last_a, missed = add(a, last_a, text)
            assert missed == []
            numbers.append(last_a.seq)
        last_b, missed = add(b, last_b, "z")
        assert missed == []
        numbers.append(last_b.seq)
        (a, b)[round_ % 2].save("one", (last_a, last_b)[round_ % 2].seq, b"new")
    assert numbers == sorted(set(numbers))
    assert [entry.text for entry in a.open().entries] == ["y"]
    assert [entry.text for entry in b.open().entries] == ["z", "z"]
    a.save("one", last_b.seq, b"an entry of the other's")
    assert a.open().snapshot == b"new"
    with pytest.raises(Outdated):
        a.append("one", last_b, ["x"], wake=False)


def test_any_text_comes_back(journal, make):
    """Whatever is in it."""
    texts = ["", "'; DROP TABLE log; --", "läuft · 走", "a\nb\tc", "x" * 100_000]
    journal.append("one", None, texts, wake=False)
    assert [entry.text for entry in make().open().entries] == texts
    with pytest.raises(UnicodeEncodeError):
        journal.append("one", None, ["fine", "\ud800"], wake=False)
    assert len(make().open().entries) == len(texts)


def test_closing(journal, make, add):
    """It is harmless to do twice, and whoever goes on opens it again."""
    a, _ = add(journal, None, "a")
    assert repr(journal).endswith("namespace='default' open>")
    journal.close()
    journal.close()
    assert repr(journal).endswith("namespace='default' closed>")
    assert add(journal, a, "b")[1] == []


def test_closing_what_was_never_opened(make, path):
    """There is nothing to do."""
    journal = make()
    journal.close()
    journal.after_fork()
    assert not path.exists()


def test_the_file_stays_small(journal, make, add, path):
    """Pages of dropped entries are used again: many times as much goes through as is ever there."""
    last, sizes = None, []
    for _ in range(30):
        for _ in range(20):
            last, _ = add(journal, last, *["x" * 200] * 20)
        journal.save("one", last.seq, b"s" * 20_000)
        sizes.append(sum(file.stat().st_size for file in path.parent.iterdir()))
    assert max(sizes) < 8_000_000
    journal.close()
    assert [file.name for file in path.parent.iterdir()] == ["keys.db"]
    assert path.stat().st_size < 400_000
