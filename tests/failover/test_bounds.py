"""How long a call goes on: bounded by default, and in tenacity's language where the user says so."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
import tenacity
from tenacity import stop_after_attempt, stop_after_delay, stop_before_delay, wait_chain, wait_exponential, wait_fixed

from stable_openai import KeyManager, KeyPool, NoKeyAvailable, stable

SECRETS = [f"sk-patience-{letter * 20}" for letter in "abc"]


class Answer(Exception):
    def __init__(self, status, code="", **headers):
        super().__init__(f"HTTP {status}")
        self.status_code, self.headers = status, {name.replace("_", "-"): value for name, value in headers.items()}
        self.body = {"error": {"message": code, "code": code}}


class Failing:
    """A function that always fails, on a pool whose clock it moves by ``takes`` seconds."""

    def __init__(self, clock, error=None, *, takes=0.0, keys=SECRETS, alternate=False, **options):
        self.clock, self.rests, self.calls = clock, [], []
        self.pool = KeyPool(keys, clock=clock, **options)
        self.error, self.takes, self.alternate = error or Answer(500), takes, alternate
        clock.sleep = self.sleep

    def sleep(self, seconds):
        self.rests.append(seconds)
        self.clock.advance(seconds)

    def __call__(self, api_key=""):
        self.calls.append(str(api_key))
        self.clock.advance(self.takes)
        if self.alternate:  # now and then somebody has an answer, so that it is no outage
            self.pool.acquire().settle({"usage": None})
        raise self.error

    def run(self, **options):
        with pytest.raises(type(self.error)) as caught:
            stable(pool=self.pool, **options)(self)()
        return caught.value


def test_bounded_by_default(clock):
    """A provider that is down is tried a few times, with pauses that grow, and then its error is raised."""
    failing = Failing(clock, alternate=True)
    error = failing.run()
    assert len(failing.calls) == 6
    assert len(failing.rests) == 5
    assert all(0 <= rest <= 20 for rest in failing.rests)
    assert sum(failing.rests) < 120
    assert len(error.__notes__) == 6


def test_rejections_without_end_are_bounded_too(clock, advancing):
    """A provider that rejects each key at once, and says to come back at once, is not asked for ever."""
    failing = Failing(clock, Answer(429, "rate_limit_exceeded", retry_after="0"))
    advancing(clock)
    with pytest.raises((Answer, NoKeyAvailable)):
        stable(pool=failing.pool)(failing)()
    assert len(failing.calls) <= 16


@pytest.mark.parametrize(("stop", "attempts"), [(stop_after_attempt(1), 1), (stop_after_attempt(3), 3)])
def test_stop_after_attempt(clock, stop, attempts):
    """The number of attempts, the first one included."""
    failing = Failing(clock)
    failing.run(stop=stop, wait=wait_fixed(1))
    assert len(failing.calls) == attempts


def test_stop_counts_attempts_with_any_failure(clock):
    """Keys that were rejected count as well."""
    failing = Failing(clock, Answer(401, "invalid_api_key"))
    failing.run(stop=stop_after_attempt(2))
    assert len(failing.calls) == 2


def test_stop_after_delay_counts_from_the_calls_beginning(clock):
    """The time of the first attempt included, though that took the quick way."""
    failing = Failing(clock, takes=4.0, alternate=True)
    failing.run(stop=stop_after_delay(10), wait=wait_fixed(1))
    assert len(failing.calls) == 3  # ends at 4, 9, 14 s
    failing = Failing(clock, takes=11.0)
    failing.run(stop=stop_after_delay(10), wait=wait_fixed(1))
    assert len(failing.calls) == 1


def test_stop_before_delay_sees_the_next_pause(clock):
    """It stops where the pause itself would lead past the delay."""
    failing = Failing(clock, takes=1.0, alternate=True)
    failing.run(stop=stop_before_delay(10), wait=wait_fixed(4))
    assert failing.rests == [4.0]  # after 1 s: 1 + 4 < 10; after 6 s: 6 + 4 is no longer before 10


def test_stops_combine(clock):
    """``|`` and ``&`` of tenacity, and any callable."""
    for stop, attempts in (
        (stop_after_attempt(5) | stop_after_attempt(2), 2),
        (stop_after_attempt(2) & stop_after_attempt(4), 4),
        (lambda state: state.attempt_number >= 3, 3),
    ):
        failing = Failing(clock, alternate=True)
        failing.run(stop=stop, wait=wait_fixed(0))
        assert len(failing.calls) == attempts


def test_waits_of_tenacity(clock):
    """Fixed, exponential, chained; asked after the provider's own trouble only."""
    for wait, rests in (
        (wait_fixed(3), [3.0, 3.0, 3.0]),
        (wait_exponential(multiplier=1), [1.0, 2.0, 4.0]),
        (wait_chain(wait_fixed(1), wait_fixed(5)), [1.0, 5.0, 5.0]),
    ):
        failing = Failing(clock, alternate=True)
        failing.run(stop=stop_after_attempt(4), wait=wait)
        assert failing.rests == rests


def test_keys_that_are_rejected_call_for_no_back_off(clock):
    """The next key at once; and they do not make the first pause after real trouble longer."""
    failing = Failing(clock)
    errors = [Answer(401, "invalid_api_key"), Answer(429, "rate_limit_exceeded", retry_after="50"), Answer(500)]

    @stable(pool=failing.pool, wait=wait_exponential(multiplier=1))
    def ask(api_key=""):
        if errors:
            raise errors.pop(0)
        return "fine"

    assert ask() == "fine"
    assert failing.rests == [1.0]


def test_a_pause_that_the_provider_names(clock):
    """It is kept rather than tenacity's, so far as the call may wait at all."""
    failing = Failing(clock, Answer(503, "overloaded", retry_after="7"), alternate=True)
    failing.run(stop=stop_after_attempt(2), wait=wait_fixed(1))
    assert failing.rests == [7.0]
    failing = Failing(clock, Answer(503, "overloaded", retry_after="7200"))
    failing.run()
    assert (len(failing.calls), failing.rests) == (1, [])


def test_back_off_is_no_wait_for_a_key(clock):
    """``max_wait=0`` forbids to wait for keys, not to try again after trouble."""
    failing = Failing(clock, alternate=True)
    failing.run(max_wait=0, stop=stop_after_attempt(3), wait=wait_fixed(2))
    assert failing.rests == [2.0, 2.0]


def test_what_tenacitys_objects_see(clock):
    """The attempt's number, the outcome, the time; a user's own callable can look at them."""
    failing = Failing(clock, takes=2.0, alternate=True)
    seen = []

    def stop(state):
        seen.append((state.attempt_number, state.seconds_since_start, state.outcome.exception(), state.upcoming_sleep))
        return len(seen) == 2

    failing.run(stop=stop, wait=wait_fixed(5))
    assert seen == [(1, 2.0, failing.error, 5.0), (2, 9.0, failing.error, 5.0)]


def test_options_of_one_call(clock):
    """``ask.options(...)`` changes one call and leaves the function as it is."""
    failing = Failing(clock, alternate=True)
    ask = stable(pool=failing.pool, stop=stop_after_attempt(4), wait=wait_fixed(0))(failing)
    for call, attempts in ((ask.options(stop=stop_after_attempt(1)), 1), (ask, 4), (ask.options(max_wait=1), 4)):
        failing.calls.clear()
        with pytest.raises(Answer):
            call()
        assert len(failing.calls) == attempts


def test_state_of_one_call_is_not_shared(clock):
    """A hundred calls of one decorated function at once, each with attempts of its own."""
    pool = KeyPool(SECRETS, clock=clock)

    async def rest(seconds):
        await asyncio.sleep(0)

    clock.asleep = rest

    @stable(pool=pool, stop=stop_after_attempt(3), wait=wait_fixed(0))
    async def ask(number, tries, api_key=""):
        tries.append(number)
        await asyncio.sleep(0)
        if len(tries) < 1 + number % 3:
            raise Answer(500)
        return number, len(tries)

    async def all_at_once():
        return await asyncio.gather(*(ask(number, []) for number in range(100)))

    assert asyncio.run(all_at_once()) == [(number, 1 + number % 3) for number in range(100)]


HOT_PATH = """
import asyncio, sys
from stable_openai import KeyManager, stable

KeyManager(["sk-hot-0123456789abcdef"], rpm=500, rpd=10_000)

@stable
def function(api_key=""): return 1
@stable
async def coroutine(api_key=""): return 1
@stable
def generator(api_key=""): yield 1
@stable
async def async_generator(api_key=""): yield 1

async def both():
    return [await coroutine(), *[item async for item in async_generator()]]

assert [function(), *generator(), *asyncio.run(both())] == [1, 1, 1, 1]
assert "tenacity" not in sys.modules, "tenacity was entered"
assert "openai" not in sys.modules
class Down(Exception): status_code, headers, body = 500, {}, {}
@stable(wait=lambda state: 0, stop=lambda state: True)
def failing(api_key=""): raise Down
try: failing()
except Down: pass
assert "tenacity" in sys.modules, "this test would not notice"
"""


def test_a_success_at_the_first_attempt_never_enters_tenacity():
    """Of no kind of function; it is not even loaded."""
    subprocess.run([sys.executable, "-W", "error", "-c", HOT_PATH], check=True)


def test_tenacity_on_top_still_works(clock):
    """Who has ``@retry`` above ``@stable`` already keeps it."""
    pool, tries = KeyPool(SECRETS, clock=clock), []

    @tenacity.retry(stop=stop_after_attempt(2), wait=wait_fixed(0), reraise=True)
    @stable(pool=pool)
    def ask(api_key=""):
        tries.append(str(api_key))
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        ask()
    assert tries == SECRETS[:2]


def test_a_pool_that_is_closed_in_the_midst_of_a_call(clock):
    """The next attempt is told so, with the provider's error as its cause."""
    from stable_openai import PoolClosed

    pool = KeyManager(SECRETS, clock=clock)

    @stable
    def ask(api_key=""):
        pool.close()
        raise Answer(401, "invalid_api_key")

    with pytest.raises(PoolClosed) as caught:
        ask()
    assert isinstance(caught.value.__cause__, Answer)
    assert "attempt 1" in caught.value.__notes__[0]
