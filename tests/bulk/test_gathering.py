"""The courses of a run over time: bounded, and counted from the run's own beginning."""

from __future__ import annotations

from itertools import pairwise

import pytest

from stable_openai.bulk.gathering import Gathering, share_of
from stable_openai.bulk.record import Stretch
from stable_openai.bulk.stretches import join
from tests.bulk.made import INFINITY, lane, resting, status


def test_answers_lie_in_their_bins():
    """Tenths of a second, to begin with; a moment before the beginning is the beginning."""
    gathering = Gathering()
    for at in (-1.0, 0.0, 0.05, 0.1, 0.25, 0.95):
        gathering.answered(at)
    assert gathering.bin_s == 0.1
    assert gathering.answered_counts() == (3, 1, 1, 0, 0, 0, 0, 0, 0, 1)


def test_long_runs_have_no_more_bins():
    """Bins are joined by twos, in all courses at once, and nothing is lost."""
    gathering = Gathering()
    for second in range(100_000):
        gathering.answered(float(second))
        if second % 1_000 == 0:
            gathering.sample(float(second), [status("a", uses=second)])
    counts, (key,) = gathering.answered_counts(), gathering.keys_at(100_000.0)
    assert 300 <= len(counts) == len(key.counts) <= 600
    assert gathering.bin_s * len(counts) == pytest.approx(100_000, rel=0.01)
    assert sum(counts) == 100_000
    assert sum(key.counts) == key.uses == 99_000
    assert max(counts) - min(counts[:-1]) <= 1


def test_keys_count_from_the_first_look():
    """What a pool did before is none of the run's; what was done between two looks is spread over the time between."""
    gathering = Gathering()
    gathering.sample(0.0, [status("a", uses=100, failed=7)])
    gathering.sample(0.5, [status("a", uses=110, failed=8)])
    (key,) = gathering.keys_at(0.5)
    assert (key.uses, key.failed, key.standing) == (10, 1, "open")
    assert key.counts == (0, 2, 2, 2, 2, 2)


def test_keys_come_and_go():
    """A new one begins at nothing; one that is gone keeps what it had; a counter that falls has begun anew."""
    gathering = Gathering()
    gathering.sample(0.0, [status("a", uses=5)])
    gathering.sample(1.0, [status("a", uses=9), status("b", uses=4, failed=1)])
    gathering.sample(2.0, [status("b", resting("parked", 600.0), uses=3, owner="lab")])
    a, b = gathering.keys_at(2.0)
    assert (a.name, a.uses, a.masked, sum(a.counts)) == ("a", 4, "sk-…a", 4)
    assert (b.name, b.uses, b.failed, b.owner, b.standing) == ("b", 7, 1, "lab", "parked")
    assert len(a.counts) == len(b.counts) == len(gathering.answered_counts()) == 21


def test_stretches():
    """They begin when they are seen, and end when they were to, or are seen to have ended before that."""
    gathering = Gathering()
    for at, how in [
        (0.0, lane()),
        (1.0, resting("cooling down", 9.0)),
        (5.0, resting("cooling down", 2.5)),  # to the end of it
        (9.0, lane()),
        (10.0, resting("cooling down", 60.0)),
        (12.0, resting("cooling down", 60.0, "overloaded")),  # another reason is another stretch
        (14.0, lane()),  # revived
        (15.0, resting("retired", INFINITY, "invalid_key")),
    ]:
        gathering.sample(at, [status("a", how)])
    (key,) = gathering.keys_at(20.0)
    reason = "rate_limited_requests_minute"
    assert key.stretches == (
        Stretch(1.0, 7.5, "cooling down", reason),
        Stretch(10.0, 12.0, "cooling down", reason),
        Stretch(12.0, 14.0, "cooling down", "overloaded"),
        Stretch(15.0, 20.0, "retired", "invalid_key"),
    )
    assert (key.standing, key.reason) == ("retired", "invalid_key")
    gathering.sample(21.0, [])
    assert gathering.keys_at(30.0)[0].stretches[-1] == Stretch(15.0, 21.0, "retired", "invalid_key")


def test_a_models_rest_is_a_rest():
    """A lane of one model keeps the key out too; what is about all models is told first."""
    gathering = Gathering()
    barred = lane(kind="key and model", model="large", standing="barred", left=900.0, reason="permission_denied")
    gathering.sample(0.0, [status("a", lane(), barred)])
    gathering.sample(1.0, [status("a", resting("cooling down", 3.0), barred)])
    first, second = gathering.keys_at(2.0)[0].stretches
    assert (first.standing, first.reason) == ("barred", "permission_denied")
    assert second == Stretch(1.0, 2.0, "cooling down", "rate_limited_requests_minute")


def test_stretches_are_bounded():
    """However often a key rests: the nearest are joined."""
    gathering = Gathering()
    for turn in range(5_000):
        gathering.sample(turn * 10.0, [status("a", resting("cooling down", 3.0) if turn % 2 else lane())])
    stretches = gathering.keys_at(50_000.0)[0].stretches
    assert len(stretches) <= 201
    assert stretches[0].start_s == 10.0
    assert all(one.end_s <= other.start_s for one, other in pairwise(stretches))


def test_joining_stretches():
    """Those of one standing first, the nearest first; the longest gives its name."""
    many = [
        Stretch(0, 1, "cooling down", "a"),
        Stretch(2, 9, "cooling down", "b"),
        Stretch(9, 10, "parked", "c"),
        Stretch(50, 51, "cooling down", "d"),
    ]
    assert join(many, 4) == many
    assert join(many, 3) == [Stretch(0, 9, "cooling down", "b"), *many[2:]]
    assert join(many, 4, gap_s=1.0) == join(many, 3)
    assert join(many, 2) == [Stretch(0, 10, "cooling down", "b"), many[3]]
    assert join(many, 1) == [Stretch(0, 51, "cooling down", "b")]
    assert join([], 1) == []


def test_latencies():
    """Edges grow by a quarter from a millisecond to an hour; what is longer is in the last bin."""
    gathering = Gathering()
    assert gathering.latencies().quantile(0.5) is None
    assert gathering.attempt_latencies().edges_s == ()
    for seconds in [0.0, 0.001, 0.5, 0.5, 0.5, 0.5, 2.0, 2.0, 1e9, 1e9]:
        gathering.took(seconds)
    found = gathering.latencies()
    assert sum(found.counts) == 10
    assert found.counts[0] == found.counts[-1] == 2
    assert 0.5 <= found.quantile(0.5) < 0.5 * 1.25
    assert 3_600 < found.quantile(0.99) < 3_600 * 1.25
    gathering.attempt_took(0.2)
    assert sum(gathering.attempt_latencies().counts) == 1


@pytest.mark.parametrize(
    ("answered", "minutes", "possible", "share"),
    [
        (90, 1, 100.0, 0.9),
        (270, 3, 100.0, 0.9),
        (0, 1, 5.0, 0.0),
        (9, 0, 100.0, None),
        (9, 1, None, None),
        (9, 1, 0.0, None),
    ],
)
def test_the_share(answered, minutes, possible, share):
    """Of what was possible in whole minutes after the first; not to be told without one, or without limits."""
    assert share_of(answered, minutes, possible) == share


def test_the_share_of_a_run():
    """The first minute and one that is not over do not count; minutes are the provider's."""
    gathering = Gathering(minute=4.0)
    for minute, answers in enumerate([500, 80, 100, 60, 90, 100, 100, 999]):
        for number in range(answers):
            gathering.answered(4.0 * (minute + number / answers))
    gathering.answered(4.0 * 6.5)  # a thread that was late
    assert gathering.share(4.0 * 7.5, 100.0) == pytest.approx((80 + 100 + 60 + 90 + 100 + 101) / 600)
    assert gathering.share(4.0 * 7.5, None) is None
    short = Gathering()
    short.answered(70.0)
    assert short.share(100.0, 10.0) is None
    assert short.share(120.0, 10.0) == 0.1
