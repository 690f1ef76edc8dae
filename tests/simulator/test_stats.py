"""The provider's testimony: what it counts, and that it stays bounded."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stable_openai.simulator import Provider, Request, SimKey


@given(st.lists(st.tuples(st.floats(0, 40), st.integers(1, 9)), max_size=40), st.sampled_from([1.0, 10.0, 60.0]))
def test_the_largest_window_equals_trying_them_all(steps, seconds):
    """The testimony is the largest sum over windows that end at an arrival."""
    provider, at, seen = Provider(["a"]), 0.0, []
    for gap, tokens in steps:
        at += gap
        provider.reply(Request("a", tokens=tokens), at)
        seen.append((at, tokens))
    inside = [[c for t, c in seen if t <= end and t + seconds > end + 1e-9] for end, _ in seen]
    stats = provider.stats()
    # arrivals at the very end of a window are told one by one, so compare the largest only
    assert stats.max_in_window("key-1", seconds) == max(map(len, inside), default=0)
    assert stats.max_in_window("key-1", seconds, "tokens") == max(map(sum, inside), default=0)


def test_tallies_add_up():
    """By key, by owner, by model and in all; rejected ones by limit."""
    provider = Provider([SimKey("a", rpm=2, owner="o"), SimKey("b", state="dead", owner="o")])
    for key, model in (("a", "m"), ("a", "n"), ("a", "m"), ("b", "m"), ("c", "m")):
        provider.reply(Request(key, model=model, tokens=10), 0.0)
    stats = provider.stats()
    assert stats.total.outcomes == {"served": 2, "rpm": 1, "dead": 2}
    assert (stats.total.attempts, stats.total.accepted, stats.total.served, stats.total.tokens) == (5, 2, 2, 20)
    assert stats.total.rejected == {"rpm": 1}
    assert stats.total.rate_limited == 1
    assert (stats.owners["o"].attempts, stats.owners["o"].served) == (4, 2)
    assert (stats.models["m"].attempts, stats.models["n"].attempts) == (4, 1)
    assert stats.keys["unknown"].outcomes == {"dead": 1}
    assert stats.max_in_window(None, 60.0, model="m") == 1
    provider.reply(Request("a"), 99.0)
    assert stats.total.attempts == 5
    json.dumps(stats.as_dict())
    provider.reset_stats()
    assert provider.stats().total.attempts == 0


def test_each_prompt_is_traced_to_the_keys_that_served_it():
    """A test can ask whether each request was served exactly once."""
    provider = Provider(["a", "b", SimKey("c", state="dead")])
    long = "x" * 5000
    first = provider.reply(Request("a", prompt="p"), 0.0)
    provider.reply(Request("b", prompt="p"), 0.0)
    provider.reply(Request("c", prompt="q"), 0.0)
    provider.reply(Request("b", prompt=long), 0.0)
    stats = provider.stats()
    assert stats.keys_of("p") == ("key-1", "key-2")
    assert (stats.served_times("p"), stats.served_times("q"), stats.served_times(long)) == (2, 0, 1)
    assert stats.key_of(first.request_id) == "key-1"
    assert stats.key_of("nothing") is None
    assert max(map(len, stats.servings)) < 300


def test_memory_is_bounded_and_a_cut_log_does_not_testify():
    """Logs keep their length; tallies stay exact; the windows are no longer vouched for."""
    provider = Provider(["a"], log_length=10)
    for number in range(50):
        provider.reply(Request("a", prompt=f"p{number}"), float(number))
    stats = provider.stats()
    assert len(stats.arrivals) == len(stats.servings) == len(stats.requests) == 10
    assert (stats.dropped, stats.total.served) == (40, 50)
    with pytest.raises(LookupError, match="dropped 40 arrivals"):
        stats.max_in_window("key-1", 60.0)
    for _ in range(50):
        provider.reply(Request("a", prompt="again"), 50.0)
    assert provider.stats().served_times("again") == 16


def test_time_does_not_run_back():
    """An earlier moment is taken for the last one."""
    provider = Provider([SimKey("a", rpm=1)])
    assert provider.reply(Request("a"), 100.0).ok
    assert provider.reply(Request("a"), 40.0).retry_after_s == 60.0
    assert [arrival.at for arrival in provider.stats().arrivals] == [100.0, 100.0]
