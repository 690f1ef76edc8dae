"""How many work: decided by what is seen at each look, and by nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from stable_openai.bulk.governor import Governor


class Crew:
    """Workers that end so many items a second each, up to what the provider or the processor allows."""

    def __init__(self, governor, each=1.0, most=float("inf")):
        self.governor = governor
        self.each, self.most = each, most
        self.now, self.ended = 0.0, 0.0

    def go(self, ticks, **seen):
        """Work so long, and give the numbers that there were."""
        targets = []
        for _ in range(ticks):
            self.now += 0.5
            self.ended += min(self.governor.target * self.each, self.most) * 0.5
            seen = {"waiting": 0, "idle": 0, **seen}
            targets.append(self.governor.tick(self.now, int(self.ended), **seen))
        return targets


def test_it_begins_with_a_few():
    """Eight; or fewer, where no more are allowed."""
    assert Governor(256).target == 8
    assert Governor(3).target == 3
    assert Governor(5, 5).target == 5


def test_as_long_as_all_are_busy_there_are_more():
    """Step by step, up to the most."""
    found = Crew(Governor(256)).go(200)
    assert found == sorted(found)
    assert found[-1] == 256
    assert max(later / before for before, later in zip(found, found[1:], strict=False)) <= 1.5


def test_calls_that_take_long_are_no_reason_to_wait():
    """Where nothing has ended at all, all are busy, too: there are more within seconds."""
    assert Crew(Governor(256), each=0.0).go(30)[-1] == 256


@pytest.mark.parametrize("sign", ["waiting", "idle"])
def test_who_waits_is_a_sign_that_there_are_enough(sign):
    """For a key, or for work."""
    crew = Crew(Governor(256))
    crew.go(20)
    before = crew.governor.target
    assert set(crew.go(50, **{sign: 1})) == {before}
    assert crew.go(200)[-1] == 256


def test_a_step_in_vain_is_taken_back_and_tried_again_later():
    """A provider that answers no faster with more: the number stays near what it can use."""
    crew = Crew(Governor(256), each=1.0, most=40.0)
    found = crew.go(400)
    assert max(found) <= 40 * 1.5 * 1.5
    assert set(found[100:]) == {min(found[100:]), max(found[100:])}
    highest = [number == max(found[100:]) for number in found[100:]]
    assert 0 < sum(highest) < len(highest) / 4  # tried now and then


def test_many_that_wait_are_no_sign_of_too_many():
    """Where a minute's allowance is used early in it, all wait for the rest of it: none is let go."""
    crew = Crew(Governor(256))
    crew.go(100)
    assert set(crew.go(200, waiting=250)) == {256}


def test_what_the_first_answers_show_is_begun_with():
    """Where the limits are known, the first answers tell how many are useful: so many at once, and no more."""
    governor = Governor(256)
    assert governor.tick(0.0, 0, waiting=0, idle=0) == 8
    assert governor.tick(0.5, 10, waiting=0, idle=0, useful=40.0) == 40
    assert governor.tick(1.0, 500, waiting=0, idle=0, useful=40.0) == 40
    assert governor.tick(1.5, 900, waiting=5, idle=0, useful=20.0) == 20


def test_a_crowd_that_comes_and_goes_is_none():
    """Only where it lasts."""
    crew = Crew(Governor(256))
    crew.go(100)
    for _ in range(10):
        crew.go(59, waiting=250)
        crew.go(1)
    assert crew.governor.target == 256


def test_no_more_than_the_keys_can_use():
    """Where limits and latency tell it, that is the bound; it may move."""
    crew = Crew(Governor(256))
    assert max(crew.go(100, useful=20.5)) == 20
    assert crew.go(100, useful=100.0)[-1] == 100
    assert crew.go(1, useful=30.0) == [30]
    assert crew.go(50, useful=1.0)[-1] == 8


def test_a_machine_that_has_no_more_threads():
    """Once that is known, nothing asks for more."""
    governor = Governor(256)
    governor.keep_to(3)
    assert set(Crew(governor).go(100)) == {3}
    assert Crew(governor).go(1, useful=100.0) == [3]


@given(
    most=some.integers(1, 2000),
    looks=some.lists(
        some.tuples(
            some.floats(0, 10),
            some.integers(0, 500),
            some.integers(0, 2000),
            some.integers(0, 2000),
            some.one_of(some.just(float("inf")), some.floats(0, 1e6)),
        ),
        max_size=60,
    ),
)
def test_always_at_least_one_and_at_most_the_most(most, looks):
    """Whatever is seen."""
    governor = Governor(most)
    now = ended = 0
    for seconds, more, waiting, idle, useful in looks:
        now, ended = now + seconds, ended + more
        assert 1 <= governor.tick(now, ended, waiting=waiting, idle=idle, useful=useful) <= most
        assert governor.target <= most
