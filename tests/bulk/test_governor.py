"""How many work: decided by what is seen at each look, and by nothing else."""

from __future__ import annotations

import collections
import heapq
import random
import types

import pytest
from hypothesis import given
from hypothesis import strategies as some

from stable_openai.bulk import tally as tallies
from stable_openai.bulk.governor import Governor
from stable_openai.bulk.items import Result
from tests.bulk.made import lane, resting, status, window


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


class Provider:
    """Answers so many requests at a time, in the order in which they come; each takes its time.

    Attributes:
        sent: The most that were under way at once, by the moment.
        waits: How long each answer took.
    """

    def __init__(self, governor, latency, places=float("inf"), seed=None):
        self.governor = governor
        self.latency, self.places = latency, places
        self.dice = None if seed is None else random.Random(seed)
        self.now = 0.0
        self.working = 0
        self.served, self.queue = [], collections.deque()
        self.waits = []
        self.sent = []
        self.hire()

    def hire(self):
        while self.working < self.governor.target:
            self.working += 1
            self.queue.append(self.now)

    def serve(self, now):
        while self.queue and len(self.served) < self.places:
            seconds = self.latency if self.dice is None else self.dice.expovariate(1 / self.latency)
            sent_at = self.queue.popleft()
            heapq.heappush(self.served, (max(now, sent_at) + seconds, sent_at))

    def go(self, seconds, **seen):
        """Let time pass, with a look every half a second; give the numbers that there were."""
        targets = []
        for _ in range(int(2 * seconds)):
            self.now += 0.5
            self.serve(self.now - 0.5)
            while self.served and self.served[0][0] <= self.now:
                at, sent_at = heapq.heappop(self.served)
                self.waits.append(at - sent_at)
                if self.working > self.governor.target:
                    self.working -= 1
                else:
                    self.queue.append(at)
                self.serve(at)
            targets.append(self.governor.tick(self.now, len(self.waits), **{"waiting": 0, "idle": 0, **seen}))
            self.hire()
        return targets


def test_it_begins_with_a_few():
    """Eight; or fewer, where no more are allowed."""
    assert Governor(256).target == 8
    assert Governor(3).target == 3
    assert Governor(5, 5).target == 5


def test_as_long_as_all_are_busy_there_are_more():
    """Step by step, up to the most; each step at most doubles them, after all have ended once."""
    found = Crew(Governor(256)).go(20)
    assert found == sorted(found)
    assert found[-1] == 256
    assert max(later / before for before, later in zip(found, found[1:], strict=False)) <= 2


# -- where nobody knows how much the provider can take


def test_silence_is_no_reason_for_more():
    """Nothing has ended for minutes: there are no more than are safe at first, eight or as many as the keys can bear."""
    assert set(Crew(Governor(256), each=0.0).go(1000)) == {8}
    crew = Crew(Governor(1024), each=0.0)
    assert crew.go(20, at_first=24.0)[-1] == 24
    assert crew.go(20, at_first=24.0, waiting=1)[-1] == 24
    assert crew.go(20, at_first=100.5, idle=1)[-1] == 24
    assert crew.go(20, at_first=100.5)[-1] == 100
    assert Crew(Governor(64), each=0.0).go(20, at_first=float("inf"))[-1] == 64


@pytest.mark.parametrize("latency", [0.5, 5.0, 60.0])
def test_a_provider_with_room_for_all(latency):
    """However long it takes: nine answers of the first are enough to have 256 at work."""
    provider = Provider(Governor(256), latency)
    assert provider.go(latency) == [8] * int(2 * latency - 1) + [8]
    assert max(provider.go(8 * latency + 10)) == 256
    assert max(provider.waits) == latency


@pytest.mark.parametrize("seed", [None, 1, 2, 3])
@pytest.mark.parametrize("latency", [1.0, 20.0, 60.0])
def test_a_server_that_answers_four_at_a_time(latency, seed):
    """As on one's own machine. Nobody waits for long behind others; it has something to do all the time."""
    provider = Provider(Governor(256), latency, places=4, seed=seed)
    found = provider.go(400 * latency)
    assert max(found) <= 48
    assert sum(found) / len(found) <= 24
    assert len(provider.waits) >= 0.9 * 400 * 4


def test_a_crowd_that_chance_has_let_grow_is_found_out():
    """Where a provider takes no more than a few at once any more, the others go; and come back when it does."""
    provider = Provider(Governor(256), 1.0)
    assert provider.go(60)[-1] == 256
    provider.places = 10
    assert provider.go(2000)[-1] <= 40
    provider.places = float("inf")
    assert max(provider.go(200)) == 256


def test_fewer_are_not_tried_for_long():
    """Where all have something to do, trying whether fewer would do costs next to nothing."""
    provider = Provider(Governor(256), 2.0)
    provider.go(60)
    found = provider.go(2000)
    assert min(found) == 170
    assert sum(found) / len(found) > 0.96 * 256


def test_a_trial_that_somebody_waits_in_is_none():
    """Those that were let go for it come back."""
    crew = Crew(Governor(256))
    while crew.go(1)[-1] != 170:
        pass
    assert crew.go(1, waiting=1) == [256]


# -- signs that there are enough


@pytest.mark.parametrize("sign", ["waiting", "idle"])
def test_who_waits_is_a_sign_that_there_are_enough(sign):
    """For a key, or for work."""
    crew = Crew(Governor(256))
    crew.go(6)
    before = crew.governor.target
    assert before < 256
    assert set(crew.go(50, **{sign: 1})) == {before}
    assert max(crew.go(200)) == 256


def test_a_step_in_vain_is_taken_back_and_tried_again_later():
    """A provider that answers no faster with more: the number stays near what it can use."""
    crew = Crew(Governor(256), each=1.0, most=40.0)
    found = crew.go(800)
    assert max(found) <= 4 * 40
    late = found[400:]
    assert 40 * 0.9 <= sum(late) / len(late) <= 40 * 1.5
    assert max(late) > 40 * 1.3  # tried now and then


def test_many_that_wait_are_no_sign_of_too_many():
    """Where a minute's allowance is used early in it, all wait for the rest of it: none is let go."""
    crew = Crew(Governor(256))
    crew.go(30)
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
    crew.go(30)
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
            some.one_of(some.just(float("inf")), some.floats(0, 1e6)),
        ),
        max_size=60,
    ),
)
def test_always_at_least_one_and_at_most_the_most(most, looks):
    """Whatever is seen."""
    governor = Governor(most)
    now = ended = 0
    for seconds, more, waiting, idle, useful, at_first in looks:
        now, ended = now + seconds, ended + more
        seen = {"waiting": waiting, "idle": idle, "useful": useful, "at_first": at_first}
        assert 1 <= governor.tick(now, ended, **seen) <= most
        assert governor.target <= most


# -- what a run tells it


@pytest.fixture
def tally(monkeypatch):
    """The counts of a run that began 100 seconds after the clock did, which ``tally.at`` sets."""
    clock = types.SimpleNamespace(now=100.0)
    monkeypatch.setattr(tallies, "time", types.SimpleNamespace(monotonic=lambda: clock.now, time=lambda: 0.0))
    tally = tallies.Tally(None, None)
    tally.at = lambda seconds: setattr(clock, "now", 100.0 + seconds)
    return tally


def test_as_many_at_first_as_keys_can_bear(tally):
    """Eight each, of those that are up, where their limits are not known; and where nothing is known of any key."""
    up, out = status("a"), status("b", resting("retired", float("inf")))
    tally.at(1000)
    assert [tally.workers_at_first(keys) for keys in ((), (up,), (up, out), (up,) * 5)] == [8, 8, 8, 40]


def test_as_many_at_first_as_limits_allow(tally):
    """What answers take is not known, but it is more than has been waited: by that, as many as will be useful."""
    keys = [status(name, lane(window(500))) for name in "abc"]
    for seconds in (0.5, 6.0, 60.0):
        tally.at(seconds)
        assert tally.workers_at_first(keys) == pytest.approx(2 * 25 * seconds + 4)
    for _ in range(8):
        tally.add([Result(0, None, "item", 1, seconds=60.0)])
    assert tally.useful_workers(keys) == pytest.approx(2 * 25 * 60 + 4, rel=0.3)


@pytest.mark.parametrize("replays", [True, False])
def test_what_a_checkpoint_has_takes_no_time_of_the_provider(tally, replays):
    """Only what comes after it is waited for."""
    tally.at(500)
    if replays:
        tally.add([Result(0, None, "item", 1, resumed=True)])
    else:
        tally.skipped()
    tally.at(502)
    assert tally.workers_at_first([status("a", lane(window(600)))]) == pytest.approx(2 * 10 * 2 + 4)
    assert tally.ended == 0
