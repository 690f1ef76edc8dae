"""A decorated generator moves to the next key while nothing was yielded, and passes everything through afterwards."""

from __future__ import annotations

import gc

import pytest

from stable_openai import KeyManager, stable

A, B, C = (f"sk-doors-{letter * 20}" for letter in "abc")


def in_flight(pool):
    return sum(row.in_flight for row in pool.status())


def test_nothing_happens_before_the_first_item_is_asked_for(pool):
    """No key is taken by the call alone."""
    stream = stable(lambda api_key: (yield 1))()
    assert sum(row.uses for row in pool.status()) == 0
    assert next(stream) == 1
    assert in_flight(pool) == 1
    stream.close()


def test_failover_before_the_first_item(pool, answer):
    """Generators that fail at once are tried with the next key."""

    @stable
    def stream(api_key=""):
        if api_key != C:
            raise answer(401, "invalid_api_key")
        yield from "xyz"

    assert "".join(stream()) == "xyz"
    assert [row.standing for row in pool.status()] == ["retired", "retired", "open"]
    assert in_flight(pool) == 0


def test_no_failover_after_the_first_item(pool, answer):
    """What the caller has can't be taken back: the error is raised, and the key judged."""
    error = answer(429, retry_after="30")

    @stable
    def stream(api_key=""):
        yield 1
        yield 2
        raise error

    got = []
    with pytest.raises(answer) as caught:
        for item in stream():
            got.append(item)  # noqa: PERF402  # what was received before the error counts
    assert caught.value is error
    assert got == [1, 2]
    assert [row.standing for row in pool.status()] == ["cooling down", "open", "open"]
    assert "attempt 1 with key-1" in caught.value.__notes__[0]
    assert in_flight(pool) == 0


def test_failover_and_then_an_error_in_mid_stream(pool, answer):
    """The notes tell of both attempts."""

    @stable
    def stream(api_key=""):
        if api_key == A:
            raise answer(401, "invalid_api_key")
        yield 1
        raise answer(500, "server_error")

    with pytest.raises(answer) as caught:
        list(stream())
    assert [note.split(":")[0] for note in caught.value.__notes__] == [
        "attempt 1 with key-1 (sk-…aaaa)",
        "attempt 2 with key-2 (sk-…bbbb)",
    ]


@pytest.mark.parametrize("failures", [0, 1])
def test_send_throw_and_the_return_value_pass_through(pool, answer, failures):
    """As if the generator were not decorated, on the first attempt and on a later one."""
    left = [answer(401, "invalid_api_key")] * failures

    @stable
    def talk(api_key=""):
        if left:
            raise left.pop()
        heard = yield "first"
        try:
            heard = yield f"heard {heard}"
        except LookupError as error:
            heard = yield f"caught {error}"
        return f"over: {heard}"

    conversation = talk()
    assert next(conversation) == "first"
    assert conversation.send("a") == "heard a"
    assert conversation.throw(LookupError("b")) == "caught b"
    with pytest.raises(StopIteration) as caught:
        conversation.send("c")
    assert caught.value.value == "over: c"

    def delegate():
        return (yield from talk())

    conversation = delegate()
    assert next(conversation) == "first"
    assert conversation.send(None) == "heard None"
    with pytest.raises(StopIteration) as caught:
        next(conversation)
    assert caught.value.value == "over: None"
    assert in_flight(pool) == 0


def test_throw_at_the_very_first_item(pool):
    """What is thrown at the first item reaches the source too; its error is the consumer's own."""

    @stable
    def stream(api_key=""):
        try:
            yield 1
        except LookupError:
            yield "mended"

    items = stream()
    next(items)
    assert items.throw(LookupError()) == "mended"
    items = stream()
    next(items)
    with pytest.raises(ZeroDivisionError):
        items.throw(ZeroDivisionError())
    assert [row.failed for row in pool.status()] == [0, 0, 0]


@pytest.mark.parametrize("items_before", [1, 2])
def test_closing_closes_the_source_and_ends_the_lease(pool, items_before):
    """The lease of a stream lasts until it is closed; the source's own clean-up runs."""
    cleaned = []

    @stable
    def stream(api_key=""):
        try:
            yield from range(10)
        finally:
            cleaned.append(True)

    items = stream()
    for _ in range(items_before):
        next(items)
    assert in_flight(pool) == 1
    items.close()
    assert cleaned == [True]
    assert [(row.in_flight, row.failed, row.standing) for row in pool.status()] == [(0, 0, "open")] * 3


@pytest.mark.parametrize("in_a_cycle", [False, True])
def test_a_stream_that_is_forgotten(pool, in_a_cycle):
    """Collected, at once or with a reference cycle: the lease ends then."""

    @stable
    def stream(api_key=""):
        yield 1
        yield 2

    items = [stream()]
    next(items[0])
    if in_a_cycle:
        items.append(items)
    assert in_flight(pool) == 1
    del items
    gc.collect()
    assert in_flight(pool) == 0


def test_a_stream_collected_under_the_pools_own_lock(clock):
    """The collector may run anywhere; it must not stop the thread that it runs in."""

    class Collecting:
        armed = False

        def rank(self, candidate):
            if self.armed:
                self.armed = False
                gc.collect()
            return 0

    strategy = Collecting()
    pool = KeyManager([A, B], strategy=strategy, clock=clock)
    stream = stable(lambda api_key: (yield str(api_key)))
    gc.disable()
    try:
        items = [stream()]
        next(items[0])
        items.append(items)
        del items
        strategy.armed = True
        assert list(stream())
    finally:
        gc.enable()
    assert in_flight(pool) == 0


def test_an_empty_stream_is_a_success(pool):
    """Nothing to yield is no error."""

    @stable
    def stream(api_key=""):
        return "nothing"
        yield

    assert list(stream()) == []
    assert [(row.uses, row.in_flight) for row in pool.status()][0] == (1, 0)


def test_an_explicit_key_in_a_stream(pool):
    """It is used as it is."""
    stream = stable(lambda api_key: (yield api_key))
    assert list(stream("mine")) == ["mine"]
    assert sum(row.uses for row in pool.status()) == 0
