"""Records: what a store is told that may not have heard it, and what is forgotten in time."""

from __future__ import annotations

from stable_openai.stores.protocol import Outcome
from stable_openai.stores.shared.outcomes import pack_outcome
from stable_openai.stores.shared.records import Records

UNUSED = tuple(pack_outcome(Outcome(unused=True)))
ASK = (None, 0, 1)


def filled(ended, running=(), kept_s=10.0):
    records = Records(kept_s)
    for number in ended:
        records.granted(number, "k", float(number), ASK)
        records.settled(number, (), alone=False)
    for number in running:
        records.granted(number, "k", float(number), ASK)
    return records


def test_what_is_unheard_is_told_in_order():
    """What has ended with its outcome, what runs in any case; moments are the store's."""
    records = filled([1, 3, 2], [5, 4])
    assert records.unheard(2, [4, 5], 100.0) == [
        ("recount", (3, "k", 103.0, ASK, ()), (4, "k", 104.0, ASK, None), (5, "k", 105.0, ASK, None))
    ]


def test_leases_that_nobody_has():
    """One has ended, and the store did not hear it; of another the answer was lost."""
    records = filled([1, 2])
    records.granted(3, "k", 3.0, ASK)
    records.settled(3, (True, False, 7), alone=True)
    assert records.unheard(9, [2, 3, 8], 0.0) == [("settle", 2), ("settle", 3, True, False, 7), ("settle", 8, *UNUSED)]


def test_many_are_told_in_parts():
    """Each entry is of a bearable size, in the order of the numbers."""
    said = filled(range(1, 1201), kept_s=5_000.0).unheard(0, [], 0.0)
    assert [len(entry) - 1 for entry in said] == [500, 500, 200]
    assert [record[0] for entry in said for record in entry[1:]] == list(range(1, 1201))


def test_what_is_forgotten():
    """What is older than others may lag, beyond a thousand; nothing while the store is lost, up to a bound."""
    records = filled(range(1, 3001), kept_s=5_000.0)
    assert len(records._ended) == 3_000
    records = filled(range(1, 3001), kept_s=10.0)
    assert len(records._ended) == 1_024
    for number in range(3_001, 60_001):
        records.granted(number, "k", float(number), ASK)
        records.settled(number, (), alone=True)
    assert len(records._ended) == 50_000
    records.said("revive", None, None)
    assert records.unheard(60_000, [], 0.0) == [("revive", None, None)]
    records.heard()
    assert len(records._ended) == 1_024
    assert records.unheard(60_000, [], 0.0) == []


def test_settled_twice_or_unknown():
    """Changes nothing."""
    records = filled([1])
    records.settled(1, UNUSED, alone=False)
    records.settled(7, UNUSED, alone=False)
    assert records.unheard(0, [], 0.0) == [("recount", (1, "k", 1.0, ASK, ()))]
