"""What goes wrong: by chance, in outages, and by poison."""

import collections
import math

import pytest

from stable_openai.simulator import Fate, Provider, Request, SimKey

RATES = {
    "server_error": "server_error_rate",
    "overloaded": "overloaded_rate",
    "reset": "reset_rate",
    "hang": "hang_rate",
    "garbage": "garbage_rate",
    "cut_stream": "cut_stream_rate",
    "stream_error": "stream_error_rate",
}


@pytest.mark.parametrize(("outcome", "rate"), RATES.items())
def test_faults_come_at_their_rates(outcome, rate):
    """A tenth of the streams meets the fault; the rest is served."""
    provider = Provider(["a"], **{rate: 0.1})
    for number in range(2000):
        provider.finish(provider.reply(Request("a", stream=True), float(number)))
    outcomes = provider.stats().total.outcomes
    assert set(outcomes) == {outcome, "served"}
    assert 150 < outcomes[outcome] < 250
    assert provider.stats().total.accepted == 2000


def test_faults_of_streams_spare_other_requests():
    """A request that is no stream cannot be cut half-way."""
    provider = Provider(["a"], cut_stream_rate=0.5, stream_error_rate=0.5)
    assert all(provider.reply(Request("a"), 0.0).ok for _ in range(50))


def reply_of(rate, **fields):
    return Provider(["a"], **{rate: 1.0}).reply(Request("a", prompt="one two three four", **fields), 0.0)


def test_what_each_fault_looks_like():
    """Statuses, fates and bodies of the faults."""
    assert reply_of("server_error_rate").status == 500
    overloaded = reply_of("overloaded_rate")
    assert (overloaded.status, overloaded.outcome) == (503, "overloaded")
    assert reply_of("reset_rate").fate is Fate.RESET
    hang = reply_of("hang_rate")
    assert (hang.fate, hang.latency_s) == (Fate.HANG, math.inf)
    garbage = reply_of("garbage_rate")
    assert (garbage.status, garbage.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert garbage.content().startswith(b"<!doctype html>")


@pytest.mark.parametrize("path", ["chat/completions", "completions", "responses"])
def test_streams_break_in_the_middle(path):
    """A cut stream has content but no end; an error event comes after content."""
    whole = Provider(["a"]).reply(Request("a", path=path, prompt="one two three four", stream=True), 0.0).events
    cut = reply_of("cut_stream_rate", path=path, stream=True)
    assert cut.fate is Fate.CUT
    assert 0 < len(cut.events) < len(whole)
    failed = reply_of("stream_error_rate", path=path, stream=True)
    assert failed.fate is Fate.NORMAL
    assert failed.status == 200
    assert failed.events[-1].data["error"]["type"] == "server_error"
    assert (failed.events[-1].name == "error") is (path == "responses")


def test_rates_can_change_at_run_time():
    """Trouble can begin and end in the middle of a test."""
    provider = Provider(["a"])
    provider.tune(server_error_rate=1.0)
    assert provider.reply(Request("a"), 0.0).status == 500
    provider.tune(server_error_rate=0.0)
    assert provider.reply(Request("a"), 0.0).ok
    with pytest.raises(ValueError, match="reset_rate must be at most 1"):
        provider.tune(reset_rate=1.5)


def test_a_hanging_request_is_in_flight_until_the_client_gives_up():
    """It fills a slot of the key's concurrency."""
    provider = Provider([SimKey("a", max_concurrency=1)], hang_rate=1.0)
    hanging = provider.reply(Request("a"), 0.0)
    assert provider.reply(Request("a"), 1e6).outcome == "concurrency"
    provider.finish(hanging)
    assert provider.reply(Request("a"), 1e6).outcome == "hang"


def test_poison_fails_on_every_key():
    """One prompt gets a 500 from any key; all others are served."""
    provider = Provider(["a", "b"], poison="nightshade")
    for key in "ab":
        bad = provider.reply(Request(key, prompt="a cup of nightshade"), 0.0)
        assert (bad.status, bad.outcome) == (500, "poison")
        assert provider.reply(Request(key, prompt="a cup of tea"), 0.0).ok


@pytest.mark.parametrize(
    ("kind", "status", "fate"),
    [
        ("500", 500, Fate.NORMAL),
        ("503", 503, Fate.NORMAL),
        ("401", 401, Fate.NORMAL),
        ("html502", 502, Fate.NORMAL),
        ("reset", 0, Fate.RESET),
        ("hang", 0, Fate.HANG),
    ],
)
def test_an_outage_befalls_everybody_until_it_ends(kind, status, fate):
    """All keys fail alike, no limit is touched, and after it all is well."""
    provider = Provider([SimKey("a", rpm=1), SimKey("b", rpm=1)])
    provider.outage(kind)
    for key in ("a", "b", "nobody"):
        reply = provider.reply(Request(key), 0.0)
        assert (reply.status, reply.fate, reply.outcome) == (status, fate, "outage")
    assert "in an outage" in repr(provider)
    provider.recover()
    assert provider.reply(Request("a"), 0.0).ok
    assert provider.stats().total.outcomes == {"outage": 3, "served": 1}
    assert provider.stats().max_in_window(None, 1.0, of="attempts") == 4


def test_latency_is_as_told():
    """A number, a pair, or the key's own; rejections come at once."""
    provider = Provider([SimKey("a"), SimKey("slow", latency_s=9.0), SimKey("c", rpm=1)], latency_s=(1.0, 2.0))
    waits = [provider.reply(Request("a"), 0.0).latency_s for _ in range(50)]
    assert all(1.0 <= wait <= 2.0 for wait in waits)
    assert len(collections.Counter(waits)) > 40
    slow = provider.reply(Request("slow"), 0.0)
    assert slow.latency_s == 9.0
    assert slow.headers["openai-processing-ms"] == "9001"
    provider.reply(Request("c"), 0.0)
    assert provider.reply(Request("c"), 0.0).latency_s == 0.0
