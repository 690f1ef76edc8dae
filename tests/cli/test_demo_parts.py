"""The parts of the demo one by one."""

from __future__ import annotations

import io

import pytest

from stable_openai import Event, KeyPool, Limits, ManualClock
from stable_openai.cli.demo.crawl import Crawl, run_threads
from stable_openai.cli.demo.journal import Entry, Journal, lines_of
from stable_openai.cli.demo.population import best_seconds, make_prompts, requests_per_minute, told_keys
from stable_openai.cli.demo.screen import Screen, key_table
from stable_openai.cli.demo.summary import summarise
from stable_openai.cli.demo.timeline import Timeline, used_up
from stable_openai.simulator import Arrival, Provider, Settings, SimKey, demo_keys

KEYS = [SimKey("sk-a", rpm=10, name="a"), SimKey("sk-b", rpm=5, name="b", latency_s=3.0), SimKey("sk-c", state="dead")]


@pytest.mark.parametrize(
    ("requests", "seconds"),
    [
        (1, 1.0),  # the quick key answers in a second
        (10, 1.0),  # as many as it may at once
        (11, 3.0),  # the slow one is quicker than another minute
        (15, 3.0),
        (16, 61.0),  # the next minute begins
        (25, 61.0),
        (26, 63.0),
        (31, 121.0),
    ],
)
def test_the_best_possible_time(requests, seconds):
    """Each key has its limit at once and again each minute; no dead key helps, the slow one does."""
    assert best_seconds(KEYS, Settings(latency_s=(1.0, 2.0)), requests) == seconds
    assert requests_per_minute(KEYS) == 15


def test_the_pool_is_told_limits_and_no_states():
    """What is wrong with a key is for the pool to find out."""
    keys = told_keys([SimKey("sk-a", rpm=10, rpd=70), SimKey("sk-b", state="dead")])
    assert keys[0].limits == Limits(rpm=10, rpd=70)
    assert not keys[1].limits


def test_prompts_are_all_different():
    """Each stands for one page, so that each answer can be told from the others."""
    assert len(set(make_prompts(500, 0))) == 500


def test_lines_of_events():
    """Cooldowns share a line; everything else has its own."""
    events = [
        Event("cooldown", "a", seconds=0.5, reason="rate_limited_requests_minute"),
        Event("retired", "c", seconds=float("inf"), reason="invalid_key"),
        Event("parked", "d", seconds=600.0, reason="quota_exhausted"),
        Event("cooldown", "b", seconds=0.25, reason="rate_limited_requests_minute"),
        Event("cooldown", "a", seconds=0.75, reason="rate_limited_requests_minute"),
    ]
    assert lines_of([Entry(0.0, event) for event in events]) == [
        "c: retired (invalid key)",
        "d: parked for 600 s (quota exhausted)",
        "cooldown of 0.75 s at most: a (x2), b",
    ]


def test_a_crawl_counts_what_fails_and_goes_on():
    """A prompt whose call raises is a failure, another's answer is one too, and neither stops the others."""

    def ask(prompt):
        if prompt == "p3":
            raise ValueError(prompt)
        return "You said: p9" if prompt == "p4" else f"You said: {prompt}"

    crawl = Crawl([f"p{n}" for n in range(5)])
    crawl.start(lambda: run_threads(crawl, ask, 3))
    assert crawl.wait()
    figures = {"best_seconds": 1.0, "per_minute": 1, "minute": 1.0, "workers": 3, "uses": "threads", "seed": 0}
    summary = summarise(crawl, Provider(["sk-a"]).stats(), [], [], **figures)
    assert (summary.answered, summary.failed, summary.exit_code) == (3, 2, 1)
    assert summary.errors == {"ValueError": 1, "another's answer": 1}
    assert summary.rejected_share == 0.0
    assert any("ValueError" in line for line in summary.lines())


def test_a_crawl_that_breaks_raises():
    """A fault of the machinery is raised where the user sees it."""
    crawl = Crawl(["p"])
    crawl.start(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        crawl.wait()


def test_the_screen_shows_each_key():
    """Masked secrets, states in words, windows as bars with their numbers; within 80 columns."""
    pool = KeyPool(told_keys(demo_keys()), minute=4.0, clock=ManualClock())
    journal = Journal(lambda: 1.0)
    pool.on_event(journal)
    pool.park("unpaid", 30.0, "quota_exhausted")
    for _ in range(90):
        pool.acquire().settle()
    stream = io.StringIO()
    with Screen(stream) as screen:
        screen.say("Hello [bold]")
        screen.show(Crawl(["p"]), pool.status(), journal.entries)
    text = stream.getvalue()
    assert "Hello [bold]" in text
    assert "parked 30.0 s: quota" in text
    assert "/120" in text
    assert "sk-sim-" not in text
    assert max(map(len, text.splitlines())) <= 80
    assert key_table(pool.status(), 120).row_count == 6


def test_the_stretches_in_which_a_limit_is_used_up():
    """From the request that takes the last of a minute's until the first of them is a minute old."""
    key = SimKey("sk-a", rpm=2, name="a")
    arrivals = [Arrival(at, "a", None, "m", 1, True, "served") for at in (0.0, 1.0, 30.0, 31.0)]
    timeline = Timeline("", [key], arrivals, [], 10.0, 0.0, 60.0)
    assert used_up(timeline, key) == [(1.0, 10.0), (31.0, 40.0)]
    assert used_up(timeline, SimKey("sk-b")) == []
