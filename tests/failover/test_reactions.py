"""Each row of the table of reactions, with the real client against the simulator."""

from __future__ import annotations

import openai
import pytest

from stable_openai import NoKeyAvailable


def standings(pool):
    return {row.name: row.standing for row in pool.status()}


def lanes(pool, name):
    row = next(row for row in pool.status() if row.name == name)
    return {(lane.kind, lane.model): (lane.standing, lane.reason) for lane in row.lanes if lane.standing != "open"}


def arrivals(sim):
    return [arrival.key for arrival in sim.stats().arrivals]


def test_rate_limited(setting, clock):
    """The key rests until the moment that the provider names; the next key is asked at once."""
    sim, pool, ask = setting([("first", {"rpm": 1}), ("second", {})], limit_headers=False)
    assert [ask(f"{n}") for n in range(4)] == [f"You said: {n}" for n in range(4)]
    assert arrivals(sim) == ["first", "second", "first", "second", "second"]
    row = next(row for row in pool.status() if row.name == "first")
    (rest,) = [lane for lane in row.lanes if lane.standing == "cooling down"]
    assert 50 < rest.seconds_left <= 60
    assert rest.reason == "rate_limited_requests_minute"
    assert clock.monotonic() == 1000.0, "nobody waited"


def test_quota_exhausted(setting):
    """Parked for long, and the next key is asked."""
    sim, pool, ask = setting([("unpaid", {"state": "unpaid"}), ("good", {})])
    assert ask() == ask() == "You said: hello"
    assert arrivals(sim) == ["unpaid", "good", "good"]
    assert next(iter(lanes(pool, "unpaid").values())) == ("parked", "quota_exhausted")
    assert pool.status()[0].failed == 1


@pytest.mark.parametrize(("state", "reason"), [("dead", "invalid_key"), ("disabled", "key_disabled")])
def test_invalid_and_disabled_keys(setting, clock, state, reason):
    """Retired: never used until it is revived."""
    sim, pool, ask = setting([("bad", {"state": state}), ("good", {})])
    assert ask() == "You said: hello"
    clock.advance(200_000)
    assert ask() == "You said: hello"
    assert arrivals(sim) == ["bad", "good", "good"]
    assert ("retired", reason) in lanes(pool, "bad").values()
    sim.provider.pay("bad")
    pool.revive("bad")
    assert [ask(), ask()] == ["You said: hello"] * 2
    assert "bad" in arrivals(sim)[-2:]


def test_no_permission(setting):
    """This key and model only; the next key is asked."""
    sim, pool, ask = setting([("blocked", {"state": "blocked"}), ("good", {})])
    assert ask() == ask() == "You said: hello"
    assert arrivals(sim) == ["blocked", "good", "good"]
    assert lanes(pool, "blocked") == {("key and model", "gpt-4o"): ("barred", "permission_denied")}


def test_a_model_that_this_key_does_not_know(setting):
    """The key goes on with other models."""
    sim, pool, ask = setting([("small", {"models": ("mini",)}), ("large", {})])
    assert ask(model="gpt-4o") == "You said: hello"
    assert [ask(model="gpt-4o"), ask(model="mini"), ask(model="mini")] == ["You said: hello"] * 3
    assert arrivals(sim)[:3] == ["small", "large", "large"]
    assert "small" in arrivals(sim)[3:]
    assert lanes(pool, "small") == {("key and model", "gpt-4o"): ("barred", "model_unavailable_for_key")}


@pytest.mark.parametrize(
    ("fields", "error"),
    [({"state": "blocked"}, openai.PermissionDeniedError), ({"models": ("mini",)}, openai.NotFoundError)],
)
def test_where_every_key_says_so_it_is_the_providers_error(setting, fields, error):
    """Each is asked once; what the provider said is raised, with a note for each attempt."""
    sim, _, ask = setting([(name, fields) for name in ("one", "two", "three")])
    with pytest.raises(error) as caught:
        ask(model="gpt-4o")
    assert type(caught.value) is error
    assert arrivals(sim) == ["one", "two", "three"]
    assert len(caught.value.__notes__) == 3


def test_a_blocked_region(setting):
    """Not the key's fault, and no other key would help: the provider's error at once."""
    sim, pool, ask = setting([("one", {"state": "region"}), ("two", {"state": "region"})])
    with pytest.raises(openai.PermissionDeniedError):
        ask()
    assert arrivals(sim) == ["one"]
    assert standings(pool) == {"one": "open", "two": "open"}


@pytest.mark.parametrize("kind", ["500", "503", "html502", "reset"])
def test_trouble_of_the_provider(setting, clock, kind):
    """No key is blamed; after a back-off it is tried again, and answered once the provider is back."""
    sim, pool, ask = setting([("one", {}), ("two", {})], options={"wait": lambda state: 2.0})
    sim.provider.outage(kind)
    rests = []

    def sleep(seconds):
        rests.append(seconds)
        clock.advance(seconds)
        if len(rests) == 2:
            sim.provider.recover()

    clock.sleep = sleep
    assert ask() == "You said: hello"
    assert rests == [2.0, 2.0]
    assert arrivals(sim) == ["one", "two", "one"]
    assert standings(pool) == {"one": "open", "two": "open"}
    assert [lanes(pool, name) for name in ("one", "two")] == [{}, {}]


def test_a_timeout(setting, clock):
    """The client gives up; it is tried again elsewhere."""
    sim, _, ask = setting(
        [("slow", {"latency_s": 30.0}), ("fast", {})], timeout=0.3, options={"wait": lambda state: 1.0}
    )
    assert ask() == "You said: hello"
    assert arrivals(sim) == ["slow", "fast"]
    assert clock.monotonic() == 1001.0


def test_a_page_in_place_of_an_answer(setting):
    """The client hands a 200 with HTML on as a text: what then fails is the user's code, and is raised as it is."""
    sim, pool, ask = setting([("one", {}), ("two", {})], garbage_rate=1.0)
    with pytest.raises(AttributeError):
        ask()
    assert sim.stats().total.attempts == 1
    assert standings(pool) == {"one": "open", "two": "open"}


def test_a_bad_request(setting):
    """The provider's error at once, untouched."""
    sim, pool, ask = setting([("one", {}), ("two", {})], context_length=5)
    with pytest.raises(openai.BadRequestError) as caught:
        ask("a prompt that is much too long for this model, by far and away")
    assert arrivals(sim) == ["one"]
    assert not getattr(caught.value, "__notes__", [])
    assert (pool.status()[0].standing, pool.status()[0].failed) == ("open", 0)


def test_a_request_that_one_key_alone_can_take(setting):
    """Larger than the first key's limit: the second, with a higher one, is asked."""
    prompt = "word " * 40
    sim, pool, ask = setting([("small", {"tpm": 20}), ("large", {"tpm": 10_000})], limit_headers=False)
    assert ask(prompt) == f"You said: {prompt}"
    assert arrivals(sim) == ["small", "large"]
    assert standings(pool) == {"small": "open", "large": "open"}


def test_a_request_that_no_key_can_take(setting):
    """Each has said that it is too large: the provider's error, and nobody waits in vain."""
    sim, _, ask = setting([("one", {"tpm": 20}), ("two", {"tpm": 30})], limit_headers=False)
    with pytest.raises(openai.RateLimitError) as caught:
        ask("word " * 40)
    assert arrivals(sim) == ["one", "two"]
    assert len(caught.value.__notes__) == 2


def test_all_keys_rest_and_the_first_is_back_in_time(setting, clock, advancing):
    """The call waits for it, exactly as long as it takes, and is answered."""
    advancing(clock)
    sim, pool, ask = setting([("one", {}), ("two", {})])
    pool.park("one", 50)
    pool.park("two", 40)
    assert ask() == "You said: hello"
    assert arrivals(sim) == ["two"]
    assert clock.monotonic() == 1040.0


def test_all_keys_are_dead(setting):
    """``NoKeyAvailable``, which expects none back, has each key's reason and the provider's last error."""
    sim, _, ask = setting([("one", {"state": "dead"}), ("two", {"state": "unpaid"})])
    with pytest.raises(NoKeyAvailable) as caught:
        ask()
    assert arrivals(sim) == ["one", "two"]
    assert caught.value.reasons["one"].startswith("retired: invalid_key")
    assert "quota_exhausted" in caught.value.reasons["two"]
    assert caught.value.retry_after > 120
    assert isinstance(caught.value.__cause__, openai.RateLimitError)
    assert caught.value.model == "gpt-4o"


def test_an_error_in_the_midst_of_a_stream(openai_simulator, clock):
    """Before the first item the next key; after it the error, with what was received."""
    from stable_openai import KeyPool, stable
    from stable_openai.simulator import SimKey

    secrets = ["sk-failover-one-0123456789", "sk-failover-two-0123456789"]
    sim = openai_simulator(keys=[SimKey(secrets[0], name="one", state="dead"), SimKey(secrets[1], name="two")])
    pool = KeyPool(secrets, clock=clock)
    with openai.OpenAI(api_key="-", base_url=sim.base_url, max_retries=0) as client:

        @stable(pool=pool)
        def stream(prompt, api_key=""):
            with client.with_options(api_key=api_key).chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": prompt}], stream=True
            ) as chunks:
                for chunk in chunks:
                    yield chunk.choices[0].delta.content or ""

        assert "".join(stream("one two three")) == "You said: one two three"
        assert [arrival.key for arrival in sim.stats().arrivals] == ["one", "two"]
        sim.provider.tune(stream_error_rate=1.0)
        got = []
        with pytest.raises(openai.APIError) as caught:
            for piece in stream("one two three"):
                got.append(piece)  # noqa: PERF402  # what was received before the error counts
    assert "".join(got)
    assert "You said: one two three".startswith("".join(got))
    assert "server_error" in caught.value.__notes__[0]
    assert [row.in_flight for row in pool.status()] == [0, 0]
