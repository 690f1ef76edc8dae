"""What becomes of a request, told to every way in."""

from __future__ import annotations

import gc

import pytest

from stable_openai import KeyManager, NoKeyAvailable, PoolClosed, RequestTooLarge
from stable_openai.failover.patience import Patience


def states(pool):
    return {row.name: row.standing for row in pool.status()}


def uses(pool):
    return {row.name: row.uses for row in pool.status()}


def running(pool):
    return sum(row.in_flight for row in pool.status())


def notes_of(error):
    return getattr(error, "__notes__", [])


def test_each_request_gets_a_key(way, setting, asked):
    """Of the pool's; nothing is left running, and limits and owners in the headers reach the pool."""
    s = setting([("a", {"rpm": 50}), ("b", {})])
    client = way.open(s.pool)
    answers = [client.post(s.url, json=asked(f"question {n}")) for n in range(4)]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert answers[3].json()["choices"][0]["message"]["content"] == "You said: question 3"
    assert uses(s.pool) == {name: tally.served for name, tally in s.sim.stats().keys.items()}
    assert min(uses(s.pool).values()) > 0
    assert running(s.pool) == 0
    first = s.pool.status()[0]
    assert first.owner is not None
    assert [(window.limit, window.learned) for lane in first.lanes for window in lane.windows if window.learned]


def test_a_dead_key_is_left_for_the_next(way, setting, asked):
    """The provider's refusal is not seen by the caller, and the key is retired."""
    s = setting([("dead", {"state": "dead"}), ("unpaid", {"state": "unpaid"}), ("good", {})])
    answer = way.open(s.pool).post(s.url, json=asked())
    assert answer.status_code == 200
    assert states(s.pool) == {"dead": "retired", "unpaid": "parked", "good": "open"}
    assert running(s.pool) == 0
    assert s.sim.stats().total.attempts == 3


def test_a_limit_rests_the_model_on_the_key(way, setting, asked):
    """The model is read from the body: others go on with the same key."""
    s = setting(
        [("a", {"model_limits": {"gpt-4o": {"rpm": 1}}}), ("b", {})],
        told={"strategy": "fill-first"},
        limit_headers=False,
    )
    client = way.open(s.pool)
    for _ in range(3):
        assert client.post(s.url, json=asked()).status_code == 200
    assert uses(s.pool) == {"a": 2, "b": 2}
    assert client.post(s.url, json=asked() | {"model": "gpt-4o-mini"}).status_code == 200
    assert uses(s.pool) == {"a": 3, "b": 2}


def test_a_fault_of_the_request_is_the_callers(way, setting, asked):
    """At once, and untouched."""
    s = setting([("a", {}), ("b", {})], context_length=10)
    answer = way.open(s.pool).post(s.url, json=asked("a word " * 20))
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "context_length_exceeded"
    assert answer.elapsed.total_seconds() > 0
    assert s.sim.stats().total.attempts == 1
    assert states(s.pool) == {"a": "open", "b": "open"}


def test_no_key_is_left(way, setting, asked):
    """The provider's last answer where there was one; else `NoKeyAvailable`, at once."""
    s = setting([("a", {"state": "dead"}), ("b", {"state": "dead"})])
    client = way.open(s.pool)
    answer = client.post(s.url, json=asked())
    assert answer.status_code == 401
    assert "error" in answer.json()
    with pytest.raises(NoKeyAvailable) as caught:
        client.post(s.url, json=asked())
    assert caught.value.reasons.keys() == {"a", "b"}
    assert s.sim.stats().total.attempts == 2
    assert running(s.pool) == 0


def test_the_providers_trouble_calls_for_back_off(way, setting, asked, clock):
    """It is tried again elsewhere after a rest, and the provider's own answer is the last word."""
    s = setting([("a", {}), ("b", {})], server_error_rate=1.0)
    before = clock.monotonic()
    answer = way.open(s.pool).post(s.url, json=asked())
    assert answer.status_code == 500
    assert s.sim.stats().total.attempts == 6
    assert uses(s.pool) == {"a": 3, "b": 3}
    assert clock.monotonic() > before
    assert running(s.pool) == 0


def test_bounds(way, setting, asked):
    """tenacity's objects say when to give up."""
    s = setting([("a", {}), ("b", {})], server_error_rate=1.0)
    client = way.open(s.pool, stop=lambda state: state.attempt_number >= 2, wait=lambda _: 1.0)
    assert client.post(s.url, json=asked()).status_code == 500
    assert s.sim.stats().total.attempts == 2


def test_a_connection_that_breaks(way, setting, asked):
    """It is the provider's trouble; at last the library's own exception is raised, with a note of each attempt."""
    s = setting([("a", {}), ("b", {})], reset_rate=1.0)
    with pytest.raises(way.module.RequestException if way.is_requests else way.module.TransportError) as caught:
        way.open(s.pool).post(s.url, json=asked())
    assert running(s.pool) == 0 or not way.sees_breaks
    if way.sees_breaks:
        assert s.sim.stats().total.attempts == 6
        assert len(notes_of(caught.value)) == 6
        assert "connection_lost" in notes_of(caught.value)[0]
    assert "0123456789" not in repr(caught.value.request.headers)
    del caught
    gc.collect()
    assert running(s.pool) == 0


def test_nobody_listens(way, asked, clock, setting):
    """A connection that can't be made is no other."""
    s = setting([("a", {})])
    s.sim.stop()
    with pytest.raises(way.module.ConnectionError if way.is_requests else way.module.ConnectError) as caught:
        way.open(s.pool).post(s.url, json=asked())
    assert len(notes_of(caught.value)) == (6 if way.sees_breaks else 0)


def test_a_200_that_holds_an_error(way, scripted, asked, setting):
    """Some gateways answer so; it is an error like any other."""
    s = setting([("a", {}), ("b", {})])
    error = b'{"error": {"message": "Rate limit exceeded", "code": 429}}'

    def answer(request):
        body = error if "-a-" in request.key else b'{"fine": true}'
        return 200, {"Content-Type": "application/json", "Content-Length": str(len(body))}, body

    server = scripted(answer)
    assert way.open(s.pool).post(server.url + "/chat/completions", json=asked()).json() == {"fine": True}
    assert [row.failed for row in s.pool.status()] == [1, 0]


def test_an_authorization_of_the_callers_own_wins(way, setting, asked):
    """It is not rotated, and nothing of the pool is used."""
    s = setting([("a", {}), ("dead", {"state": "dead"})])
    client = way.open(s.pool)
    for name, status in (("a", 200), ("dead", 401)):
        headers = {"authorization": f"Bearer sk-transports-{name}-0123456789"}
        assert client.post(s.url, json=asked(), headers=headers).status_code == status
    assert uses(s.pool) == {"a": 0, "dead": 0}
    assert s.sim.stats().total.attempts == 2


def test_the_process_wide_pool(way, setting, asked):
    """It is the one that is used where none is given: that of the moment of the request."""
    s = setting([("a", {})])
    client = way.open()
    manager = KeyManager(s.sim.keys)
    assert client.post(s.url, json=asked()).status_code == 200
    assert manager.status()[0].uses == 1


def test_a_closed_pool(way, setting, asked):
    """It says so."""
    s = setting([("a", {})])
    client = way.open(s.pool)
    s.pool.close()
    with pytest.raises(PoolClosed):
        client.post(s.url, json=asked())


def test_tokens_are_reserved_and_corrected(way, setting, asked):
    """By an estimate of the body, and by the answer's usage."""
    s = setting([("a", {})], told={"tpm": 1000})
    client = way.open(s.pool)
    answer = client.post(s.url, json=asked(max_tokens=500))
    (window,) = [w for lane in s.pool.status()[0].lanes for w in lane.windows if w.what == "tokens" and w.used]
    assert window.used == answer.json()["usage"]["total_tokens"]
    with pytest.raises(RequestTooLarge):
        client.post(s.url, json=asked(max_tokens=5000))


def test_a_body_is_counted_for_its_model(way, setting, counted):
    """To the token, by the model's tokenizer; embeddings have no answer."""
    s = setting([("a", {})], told={"tpm": 1})
    client = way.open(s.pool)
    with pytest.raises(RequestTooLarge) as caught:
        client.post(s.url, json={"model": "gpt-4", "input": "hello", "max_output_tokens": 10})
    assert caught.value.tokens == 5 + 10
    with pytest.raises(RequestTooLarge) as caught:
        client.post(s.url.replace("chat/completions", "embeddings"), json={"model": "mine", "input": "hello"})
    assert caught.value.tokens == 5
    assert counted.names == ["cl100k_base", "o200k_base"]


def test_bodies_of_other_kinds(way, setting):
    """What is no JSON goes out as it is; the provider is the judge of it."""
    s = setting([("a", {})])
    client = way.open(s.pool)
    for content in (b"", b"{not json", b"[1]", b"\xff\xfe", "{" * 5000):
        assert client.post(s.url, content=content).status_code == 400
    assert running(s.pool) == 0


def test_a_body_that_can_be_sent_once(way, setting, asked):
    """No other key is asked then: the provider's answer is the caller's."""
    s = setting([("dead", {"state": "dead"}), ("good", {})])

    def pieces():
        yield b'{"model": "gpt-4o", '
        yield b'"messages": [{"role": "user", "content": "hello"}]}'

    async def pieces_async():
        for piece in pieces():
            yield piece

    content = pieces_async() if way.how == "async" else pieces()
    assert way.open(s.pool).post(s.url, content=content).status_code == 401
    assert s.sim.stats().total.attempts == 1


def test_the_affinity_of_all_requests(way, setting, asked):
    """They stay on one key."""
    s = setting([("a", {}), ("b", {}), ("c", {})])
    client = way.open(s.pool, affinity="talk")
    for _ in range(4):
        client.post(s.url, json=asked())
    assert sorted(uses(s.pool).values()) == [0, 0, 4]


def test_bounds_have_the_names_of_the_decorators():
    """One language of patience everywhere."""
    from stable_openai.transports.terms import BOUNDS, Bounds

    assert set(BOUNDS) == set(Bounds.__annotations__) == {*Patience.__dataclass_fields__, "affinity"}
