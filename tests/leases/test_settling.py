"""A lease by hand: settled exactly once, in whatever way it ends."""

from __future__ import annotations

import asyncio
import gc
import importlib
import io
import json

import openai
import pytest

from stable_openai import ConfigurationError, Key, KeyPool, ManualClock, NoKeyAvailable, Reason
from stable_openai.simulator import SimKey

SECRET = "sk-leases-aaaaaaaaaaaaaaaaaaaaaa"


class Answer(Exception):
    def __init__(self, status, code, **headers):
        super().__init__(code)
        self.status_code, self.headers = status, {name.replace("_", "-"): value for name, value in headers.items()}
        self.body = {"error": {"message": code, "code": code}}


@pytest.fixture
def pool():
    return KeyPool(
        [Key(SECRET, name="lab", base_url="https://example.org/v1")],
        tpm=100,
        max_concurrency=3,
        rpm=50,
        clock=ManualClock(),
    )


def tokens_left(pool):
    return next(window.left for lane in pool.status()[0].lanes for window in lane.windows if window.what == "tokens")


def requests_used(pool):
    return next(window.used for lane in pool.status()[0].lanes for window in lane.windows if window.what == "requests")


def test_what_a_lease_offers(pool):
    """The key and its parts, the header, the model; the header's secret hides in a repr."""
    with pool.lease("gpt-4o", tokens=9) as lease:
        assert (lease.name, lease.model, lease.base_url) == ("lab", "gpt-4o", "https://example.org/v1")
        assert lease.key is pool.keys[0]
        assert lease.api_key == SECRET
        assert lease.headers == {"Authorization": f"Bearer {SECRET}"}
        assert lease.headers is not lease.headers
        assert SECRET not in repr(lease.headers) + repr(lease)
        assert not lease.settled
    assert lease.settled


def test_leaving_the_block_is_a_success(pool):
    """Nothing went wrong, nothing was told: the request counts, its place in flight is given back."""
    with pool.lease(tokens=30) as lease:
        assert pool.status()[0].in_flight == 1
    assert pool.status()[0].in_flight == 0
    assert (requests_used(pool), tokens_left(pool)) == (1, 70)
    assert lease.verdict is None


@pytest.mark.parametrize(
    "answer",
    [
        {"usage": {"total_tokens": 12}},
        {"usage": {"prompt_tokens": 5, "completion_tokens": 7}},
        {"usage": {"input_tokens": 5, "output_tokens": 7}},
        type("Parsed", (), {"usage": type("Usage", (), {"total_tokens": 12})()})(),
    ],
    ids=["dictionary", "parts", "input and output", "object"],
)
def test_tokens_are_corrected_by_usage(pool, answer):
    """The answer says how many it really were, in any of the usual shapes."""
    with pool.lease(tokens=80) as lease:
        lease.settle(answer)
    assert tokens_left(pool) == 88


@pytest.mark.parametrize("answer", [None, {}, {"usage": None}, {"usage": {"total_tokens": "many"}}, "text", 5, [1]])
def test_without_usage_the_reservation_stands(pool, answer):
    """What is not known is not corrected."""
    with pool.lease(tokens=80) as lease:
        lease.settle(answer)
    assert tokens_left(pool) == 20


def test_tokens_that_the_caller_tells_win(pool):
    """Over the answer's; more than was reserved is counted too; nonsense is refused and the lease goes on."""
    with pool.lease(tokens=10) as lease:
        for nonsense in (-1, 1.5, "3", True):
            with pytest.raises(ConfigurationError, match="^tokens: "):
                lease.settle(tokens=nonsense)
        assert not lease.settled
        lease.settle({"usage": {"total_tokens": 12}}, tokens=25)
    assert tokens_left(pool) == 75


def test_settling_twice_changes_nothing(pool):
    """Only the first counts; the second gives the first verdict."""
    with pool.lease(tokens=10) as lease:
        first = lease.settle(Answer(429, "rate_limit_exceeded", retry_after="7"))
        assert lease.settle(Answer(401, "invalid_api_key")) is first
        assert lease.settle(tokens=99) is first
        lease.release()
    assert first.reason is lease.verdict.reason is Reason.RATE_LIMITED_UNSPECIFIED
    row = pool.status()[0]
    assert (row.standing, row.in_flight, row.failed, row.uses) == ("cooling down", 0, 1, 1)


def test_settled_by_an_exception_that_leaves_the_block(pool):
    """The provider's exception is judged, and goes on to the caller."""
    with pytest.raises(Answer), pool.lease() as lease:
        raise Answer(401, "invalid_api_key")
    assert lease.verdict.reason is Reason.INVALID_KEY
    assert pool.status()[0].standing == "retired"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
def test_exceptions_that_are_not_the_providers_cost_the_key_nothing(pool, error):
    """The request counts, as it may have been sent; the key stays as it was."""
    with pytest.raises(error), pool.lease() as lease:
        raise error
    row = pool.status()[0]
    assert (row.standing, row.in_flight, row.failed, row.uses) == ("open", 0, 0, 1)
    assert lease.settled


def test_release_gives_all_back(pool):
    """Nothing was sent, so nothing counts; again, and after a settlement, it does nothing."""
    with pool.lease(tokens=80) as lease:
        lease.release()
        lease.release()
    row = pool.status()[0]
    assert (row.uses, row.in_flight, requests_used(pool), tokens_left(pool)) == (0, 0, 0, 100)
    with pool.lease(tokens=80) as lease:
        lease.settle()
        lease.release()
    assert (requests_used(pool), tokens_left(pool)) == (1, 20)


def test_without_a_block(pool):
    """``acquire`` needs a ``settle`` of one's own."""
    lease = pool.acquire("gpt-4o", tokens=5)
    assert not lease.settled
    assert lease.settle({"usage": {"total_tokens": 1}}).reason is Reason.OK
    assert lease.settled
    assert tokens_left(pool) == 99


def test_a_lease_that_is_forgotten_settles_itself(pool):
    """When it is collected: its request counts, its place in flight is given back, and a ResourceWarning says so."""
    lease = pool.acquire(tokens=80)
    assert pool.status()[0].in_flight == 1
    with pytest.warns(ResourceWarning, match=r"the lease of lab \(sk-…aaaa\) was never settled"):
        del lease
        gc.collect()
    row = pool.status()[0]
    assert (row.in_flight, row.uses, row.standing) == (0, 1, "open")
    assert tokens_left(pool) == 20


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("error::ResourceWarning")
def test_a_forgotten_lease_is_given_back_even_where_warnings_are_errors(pool):
    """The warning comes after the settlement."""
    lease = pool.acquire()
    del lease
    gc.collect()
    assert pool.status()[0].in_flight == 0


class CollectingStrategy:
    """Collects garbage under the pool's own lock, as the interpreter may do at any moment."""

    armed = False

    def rank(self, candidate):
        if self.armed:
            self.armed = False
            gc.collect()
        return 0


@pytest.mark.parametrize("waiting", [False, True])
def test_a_lease_that_is_collected_under_the_pools_own_lock(waiting):
    """It neither blocks the thread nor gets lost: who waits for its place is served."""
    strategy = CollectingStrategy()
    pool = KeyPool([SECRET, "sk-leases-bbbbbbbbbbbbbbbbbbbbbb"], strategy=strategy, max_concurrency=1)
    gc.disable()
    try:
        cycle = [pool.acquire()]
        cycle.append(cycle)
        if waiting:
            other = pool.acquire()
        del cycle
        strategy.armed = True
        with pytest.warns(ResourceWarning), pool.lease(max_wait=10) as lease:
            gc.collect()
            assert lease.name
        if waiting:
            other.settle()
    finally:
        gc.enable()
    assert [row.in_flight for row in pool.status()] == [0, 0]


async def test_async_with(pool):
    """As ``with``; by success, by exception, by cancellation."""
    async with pool.lease("gpt-4o", tokens=10) as lease:
        assert lease.api_key == SECRET
        lease.settle({"usage": {"total_tokens": 4}})
    assert tokens_left(pool) == 96
    with pytest.raises(Answer):
        async with pool.lease() as lease:
            raise Answer(500, "server_error")
    assert lease.verdict.reason is Reason.SERVER_ERROR

    async def hold():
        async with pool.lease():
            held.set()
            await asyncio.Event().wait()

    held = asyncio.Event()
    task = asyncio.create_task(hold())
    await held.wait()
    assert pool.status()[0].in_flight == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    row = pool.status()[0]
    assert (row.in_flight, row.standing) == (0, "open")
    lease = await pool.aacquire()
    lease.release()


def test_one_request_makes_one_lease_after_another(pool):
    """What ``pool.lease()`` returns can be entered again once it was left."""
    request = pool.lease()
    for _ in range(3):
        with request as lease:
            assert not lease.settled
    assert pool.status()[0].uses == 3


def test_a_rule_that_raises_loses_no_lease():
    """The user's rule fails: its error is raised, and the place in flight is given back."""
    pool = KeyPool([SECRET], rules=lambda answer: 1 / 0, max_concurrency=1)
    lease = pool.acquire()
    with pytest.raises(ZeroDivisionError):
        lease.settle(Answer(500, "server_error"))
    assert lease.settled
    assert pool.status()[0].in_flight == 0


# -- real answers


@pytest.fixture
def sim(openai_simulator):
    return openai_simulator(
        keys=[SimKey(SECRET), SimKey("sk-dead-0123456789abcdef", state="dead")], limit_headers=False
    )


CALL = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}


@pytest.mark.parametrize("library", ["requests", "httpx", "httpx2"])
def test_settle_takes_what_http_libraries_return(pool, sim, library):
    """The response as it is: a success with its usage, a failure with its reason."""
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    post = importlib.import_module(library).post
    with pool.lease("gpt-4o", tokens=50) as lease:
        answer = post(f"{sim.base_url}/chat/completions", headers=lease.headers, json=CALL)
        verdict = lease.settle(answer)
    assert verdict.reason is Reason.OK
    assert tokens_left(pool) == 100 - answer.json()["usage"]["total_tokens"]
    lease = pool.acquire()
    answer = post(f"{sim.base_url}/chat/completions", headers={"Authorization": "Bearer sk-x"}, json=CALL)
    assert lease.settle(answer).reason is Reason.INVALID_KEY
    assert pool.status()[0].standing == "retired"


def test_settle_takes_what_openai_returns_and_raises(pool, sim):
    """A parsed answer, a raw one, an exception."""
    with openai.OpenAI(api_key=SECRET, base_url=sim.base_url, max_retries=0) as client:
        lease = pool.acquire(tokens=50)
        answer = client.chat.completions.create(**CALL)
        assert lease.settle(answer).reason is Reason.OK
        assert tokens_left(pool) == 100 - answer.usage.total_tokens
        lease = pool.acquire(tokens=10)
        assert lease.settle(client.chat.completions.with_raw_response.create(**CALL)).reason is Reason.OK
        assert tokens_left(pool) == 100 - 2 * answer.usage.total_tokens
        with pytest.raises(openai.AuthenticationError), pool.lease() as lease:
            client.with_options(api_key="sk-dead-0123456789abcdef").chat.completions.create(**CALL)
    assert lease.verdict.reason is Reason.INVALID_KEY
    with pytest.raises(NoKeyAvailable):
        pool.acquire()


def test_settle_reads_no_stream(pool):
    """Of a response only what was read already is looked at."""

    class Streaming:
        status_code = 200
        headers = {"content-type": "application/json"}  # noqa: RUF012  # as a response has them
        raw = io.BytesIO(json.dumps({"usage": {"total_tokens": 1}}).encode())

        @property
        def content(self):
            raise AssertionError("consumed")

        text = content

    lease = pool.acquire(tokens=10)
    assert lease.settle(Streaming()).reason is Reason.OK
    assert tokens_left(pool) == 90
