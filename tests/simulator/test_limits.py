"""The engine in virtual time: limits of keys, owners and models, and what rejected clients are told."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stable_openai.simulator import Provider, Request, SimKey, SimLimits, SimOwner


def ask(provider, now, key="a", **fields):
    return provider.reply(Request(key, **{"prompt": "hi", **fields}), now)


@given(
    st.integers(1, 8),
    st.integers(5, 60),
    st.booleans(),
    st.lists(st.tuples(st.floats(0, 20), st.integers(1, 12)), max_size=80),
)
def test_no_window_is_ever_exceeded(rpm, tpm, count_rejected, steps):
    """Whatever arrives: requests and tokens accepted in any minute stay within the limits."""
    provider = Provider([SimKey("a", rpm=rpm, tpm=tpm)], count_rejected=count_rejected)
    at = 0.0
    for gap, tokens in steps:
        at += gap
        ask(provider, at, tokens=tokens)
    stats = provider.stats()
    assert stats.max_in_window("key-1", 60.0) <= rpm
    assert stats.max_in_window("key-1", 60.0, "tokens") <= tpm
    assert stats.max_in_window("key-1", 60.0, of="attempts") >= stats.max_in_window("key-1", 60.0)


@given(
    st.sampled_from(["sliding", "bucket"]),
    st.booleans(),
    st.integers(1, 6),
    st.integers(10, 40),
    st.lists(st.tuples(st.floats(0, 10), st.integers(1, 10)), max_size=60),
)
def test_who_waits_as_told_is_served(algorithm, count_rejected, rpm, tpm, steps):
    """The wait that a rejection names is enough, whatever limits a request ran into."""
    owner = SimOwner("o", rpm=rpm + 1, rpd=50)
    provider = Provider(
        [SimKey("a", rpm=rpm, tpm=tpm, owner="o")], [owner], algorithm=algorithm, count_rejected=count_rejected
    )
    at = 0.0
    for gap, tokens in steps:
        at += gap
        reply = ask(provider, at, tokens=tokens)
        if not reply.ok:
            at += reply.retry_after_s
            assert ask(provider, at, tokens=tokens).ok


def test_a_burst_is_limited_by_the_second():
    """`by_second` lets no more than its share of a minute into any second, though the minute has room."""
    provider = Provider([SimKey("a", rpm=60)], by_second=0.05)
    assert [ask(provider, 0.0).ok for _ in range(5)] == [True, True, True, False, False]
    reply = ask(provider, 0.5)
    assert reply.outcome == "rpm"
    assert reply.retry_after_s == pytest.approx(0.5)
    assert "Limit 60, Used 3" in reply.body["error"]["message"]
    assert reply.headers["x-ratelimit-remaining-requests"] == "57"
    assert ask(provider, 1.0).ok


def test_by_second_lets_one_through_at_least():
    """A small limit still lets one request into a second."""
    provider = Provider([SimKey("a", rpm=3)], by_second=0.05)
    assert [ask(provider, t).ok for t in (0.0, 0.0, 1.0)] == [True, False, True]


def test_owner_limits_are_shared_by_its_keys():
    """Two keys of one owner draw on one limit, and the text names the organisation."""
    provider = Provider([SimKey("a", owner="o"), SimKey("b", owner="o"), SimKey("c")], [SimOwner("o", rpm=3)])
    assert [ask(provider, 0.0, k).ok for k in "abab"] == [True, True, True, False]
    assert ask(provider, 0.0, "c").ok
    reply = ask(provider, 0.0, "b")
    assert "in organization org-o" in reply.body["error"]["message"]
    assert reply.headers["openai-organization"] == "org-o"
    stats = provider.stats()
    assert stats.owners["o"].accepted == 3
    assert stats.max_in_window(None, 60.0, owner="o") == 3


def test_a_limit_of_the_key_itself_names_no_organisation_that_it_shares():
    """A text must not make siblings rest for a limit that is the key's own."""
    provider = Provider([SimKey("a", owner="o", rpm=1), SimKey("b", owner="o")])
    ask(provider, 0.0)
    assert "organization" not in ask(provider, 0.0).body["error"]["message"]
    assert ask(provider, 0.0, "b").ok


def test_a_limit_on_a_model_counts_that_model_alone():
    """Other models go on, and the text names the model."""
    provider = Provider([SimKey("a", rpm=4, model_limits={"gpt-4o": {"rpm": 1}})])
    assert ask(provider, 0.0, model="gpt-4o").ok
    reply = ask(provider, 0.0, model="gpt-4o")
    assert "for gpt-4o in organization org-key-1" in reply.body["error"]["message"]
    assert [ask(provider, 0.0, model="o3").ok for _ in range(4)] == [True, True, True, False]


def test_per_model_gives_each_model_the_whole_limit():
    """As OpenAI does it: each model has the limit for itself, but for those with their own."""
    key = SimKey("a", rpm=2, model_limits={"big": SimLimits(rpm=1)})
    provider = Provider([key], per_model=True)
    assert [ask(provider, 0.0, model=m).ok for m in ("x", "x", "x", "y", "big", "big")] == [
        True,
        True,
        False,
        True,
        True,
        False,
    ]
    assert "for x in" in ask(provider, 0.0, model="x").body["error"]["message"]


def test_lanes_of_models_that_clients_make_up_are_bounded():
    """A client that invents model names does not fill the memory."""
    provider = Provider([SimKey("a", rpm=2)], per_model=True, log_length=10)
    for number in range(1100):
        ask(provider, 0.0, model=f"m{number}")
    assert len(provider._book.key("a")._by_model) == 1000
    assert len(provider.stats().models) == 1001
    assert provider.stats().models["others"].attempts == 100


def test_concurrency_counts_what_is_in_flight():
    """In virtual time a request is in flight for its latency."""
    provider = Provider([SimKey("a", max_concurrency=2)], latency_s=5.0)
    assert [ask(provider, t).ok for t in (0.0, 1.0, 2.0, 5.0)] == [True, True, False, True]
    reply = ask(provider, 5.5)
    assert reply.outcome == "concurrency"
    assert reply.retry_after_s is None
    assert "retry-after" not in reply.headers
    stats = provider.stats()
    assert stats.keys["key-1"].peak_in_flight == stats.total.peak_in_flight == 2


def test_a_held_request_is_in_flight_until_it_is_finished():
    """`hold` is for whoever knows when a request ends; finishing twice counts once."""
    provider = Provider([SimKey("a", max_concurrency=1)])
    first = provider.reply(Request("a"), 0.0, hold=True)
    refused = provider.reply(Request("a"), 9.0, hold=True)
    assert refused.outcome == "concurrency"
    provider.finish(refused)
    provider.finish(first)
    provider.finish(first)
    assert provider.reply(Request("a"), 9.0, hold=True).ok
    assert provider.reply(Request("a"), 9.0).outcome == "concurrency"


def test_a_request_larger_than_the_limit_is_told_so():
    """Waiting would not help, so no wait is named."""
    provider = Provider([SimKey("a", tpm=100)])
    reply = ask(provider, 0.0, tokens=101)
    assert (reply.status, reply.outcome, reply.retry_after_s) == (429, "too_large", None)
    assert "Limit 100, Requested 101" in reply.body["error"]["message"]
    assert "retry-after" not in reply.headers
    groq = Provider([SimKey("a", tpm=100)], style="groq")
    assert ask(groq, 0.0, tokens=101).status == 413


def test_rolling_and_calendar_days():
    """A rolling day gives a request back 24 hours after it; a calendar day gives all back at its hour."""
    rolling = Provider([SimKey("a", rpd=1)])
    calendar = Provider([SimKey("a", rpd=1)], day_reset_hour=0, start_hour=18)
    for provider in (rolling, calendar):
        assert ask(provider, 60.0).ok
    hours = 3600.0
    assert ask(rolling, 6 * hours).retry_after_s == pytest.approx(18 * hours + 60)
    assert ask(calendar, 5 * hours).retry_after_s == pytest.approx(1 * hours)
    assert ask(calendar, 6 * hours).ok


def test_the_day_is_as_long_as_told():
    """A scaled minute scales the day, unless a day is given."""
    assert Provider(minute=2.0).settings.day_s == 2880.0
    assert Provider(minute=2.0, day=30.0).settings.day_s == 30.0


def test_quotas_run_out_and_can_be_paid():
    """After its quota a key answers as an unpaid one, until it is paid."""
    provider = Provider([SimKey("a", quota_requests=2), SimKey("b", quota_tokens=10)])
    assert [ask(provider, 0.0).outcome for _ in range(3)] == ["served", "served", "unpaid"]
    assert [ask(provider, 0.0, "b", tokens=6).outcome for _ in range(3)] == ["served", "served", "unpaid"]
    provider.pay("a")
    assert ask(provider, 0.0).ok
    provider.change_key("b", quota_tokens=1)
    assert ask(provider, 0.0, "b").ok


def test_an_owner_out_of_quota_takes_its_keys_along():
    """An owner's quota and state are those of all its keys."""
    provider = Provider([SimKey("a", owner="o"), SimKey("b", owner="o")], [SimOwner("o", quota_requests=1)])
    assert [ask(provider, 0.0, k).outcome for k in "ab"] == ["served", "unpaid"]
    provider.change_owner("o", state="ok")
    assert ask(provider, 0.0).ok
    provider.change_owner("o", state="disabled")
    assert ask(provider, 0.0, "b").outcome == "disabled"


def test_rejected_requests_count_where_it_is_asked_for():
    """A client that hammers is let in later than one that waits."""
    for count_rejected, served in ((False, True), (True, False)):
        provider = Provider([SimKey("a", rpm=1)], count_rejected=count_rejected)
        ask(provider, 0.0)
        ask(provider, 30.0)
        assert ask(provider, 60.0).ok is served


def test_hints_can_be_left_out():
    """No header, no text, or one of them, as the settings say."""
    for setting, header, text in ((True, 1, 1), (False, 0, 0), ("header", 1, 0), ("text", 0, 1)):
        provider = Provider([SimKey("a", rpm=1)], retry_after=setting)
        ask(provider, 0.0)
        reply = ask(provider, 15.0)
        assert ("retry-after" in reply.headers) is bool(header)
        assert ("Try again in 45s" in reply.body["error"]["message"]) is bool(text)
    assert reply.retry_after_s == 45.0


def test_limit_headers_speak_openais_language():
    """Limit, what is left, and when it is restored, on successes and errors alike."""
    provider = Provider([SimKey("a", rpm=10_000, tpm=1_000_000)], algorithm="bucket")
    reply = ask(provider, 0.0, tokens=2000)
    assert {k: v for k, v in reply.headers.items() if k.startswith("x-ratelimit")} == {
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-remaining-requests": "9999",
        "x-ratelimit-reset-requests": "6ms",
        "x-ratelimit-limit-tokens": "1000000",
        "x-ratelimit-remaining-tokens": "998000",
        "x-ratelimit-reset-tokens": "120ms",
    }
    daily = Provider([SimKey("a", rpm=100, rpd=10_000)], algorithm="bucket")
    assert ask(daily, 0.0).headers["x-ratelimit-reset-requests"] == "8.64s"
    assert not any("ratelimit" in h for h in ask(Provider(["a"]), 0.0).headers)
    silent = Provider([SimKey("a", rpm=1)], limit_headers=False)
    assert not any("ratelimit" in h for h in ask(silent, 0.0).headers)


def test_scaled_time_is_told_in_true_seconds():
    """In a minute of 2 s, a client that believes header and text waits for less than 2 s."""
    provider = Provider([SimKey("a", rpm=1)], minute=2.0)
    ask(provider, 0.0)
    reply = ask(provider, 0.75)
    assert reply.headers["retry-after"] == "1.25"
    assert reply.headers["retry-after-ms"] == "1250"
    assert "Try again in 1.25s" in reply.body["error"]["message"]
    assert ask(provider, 2.0).ok


def test_limits_can_change_at_run_time():
    """A changed limit holds from now on and knows what was used."""
    provider = Provider([SimKey("a", rpm=2, model_limits={"m": {"rpm": 1}})])
    assert [ask(provider, 0.0).ok for _ in range(3)] == [True, True, False]
    provider.change_key("a", rpm=3)
    assert [ask(provider, 0.0).ok for _ in range(2)] == [True, False]
    provider.change_key("key-1", rpm=None, model_limits={})
    assert all(ask(provider, 0.0, model="m").ok for _ in range(9))


def test_tokens_are_those_of_the_usage_or_as_openai_reserves_them():
    """By default what usage tells is what was counted; OpenAI's way counts max_tokens."""
    for setting, counted in ((False, 5 + 3), (True, 5 + 100)):
        provider = Provider(["a"], count_max_tokens=setting)
        reply = ask(provider, 0.0, prompt_tokens=5, max_tokens=100)
        assert reply.tokens == counted
        assert reply.body["usage"]["total_tokens"] == 8


def test_the_same_seed_gives_the_same_story():
    """Two providers of one seed answer alike, whatever the process."""

    def story(seed):
        provider = Provider([SimKey("a", rpm=30)], seed=seed, server_error_rate=0.3, latency_s=(0.1, 2.0))
        rng = random.Random(7)
        return [(r.outcome, r.latency_s, r.request_id) for r in (ask(provider, rng.random() * 99) for _ in range(99))]

    assert story(3) == story(3)
    assert story(3) != story(4)


@pytest.mark.parametrize("style", ["openai", "azure", "groq", "gemini", "plain"])
@pytest.mark.parametrize("limit", ["rpm", "rpd", "tpm", "tpd"])
def test_every_style_tells_the_wait(style, limit):
    """Each style's text or details name a wait that is not too short."""
    provider = Provider([SimKey("a", **{limit: 10})], style=style)
    ask(provider, 0.0, tokens=10)
    for _ in range(10):
        reply = ask(provider, 20.5, tokens=10)
    assert reply.status == 429
    assert reply.outcome == limit
    text = str(reply.body)
    assert re.search(r"(Try again in|retry in|retry after|Retry after) [\d.hms]+", text), text
    assert ("retry-after" in reply.headers) is (style != "gemini")
