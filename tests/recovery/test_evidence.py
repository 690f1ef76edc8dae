"""Evidence before blame: outages, poisoned requests, unclear words, spent days, trials. In virtual time."""

from __future__ import annotations

import pytest

from stable_openai import Answer, KeyPool, ManualClock, NoKeyAvailable
from stable_openai.simulator import Provider, SimKey

from .virtual import crawl


def make_keys(count, **fields):
    return [SimKey(f"sk-sim-{index:016d}", **fields) for index in range(count)]


def make_pool(keys, clock, **options):
    return KeyPool([key.secret for key in keys], clock=clock, **options)


@pytest.mark.parametrize("kind", ["503", "reset", "401", "html502"])
def test_an_outage_blames_nobody(kind):
    """20 s of failure for everybody: none lost, none retired or parked, few probes, and all back within 2 s."""
    clock = ManualClock()
    keys = make_keys(8, rpm=6000)
    provider, pool = Provider(keys), make_pool(keys, clock)
    events = []
    pool.on_event(events.append)
    crawled = crawl(
        pool,
        provider,
        clock,
        seconds=90,
        latency=0.3,
        see_headers=False,
        at=[(30, lambda: provider.outage(kind)), (50, provider.recover)],
    )
    assert not crawled.lost
    during = [at for at, _, _ in crawled.log if 30 <= at < 50]
    known = during[31] + 0.3  # the 32 calls that ran when it began have failed
    probes = [at for at in during if at > known]
    assert len(probes) <= 2 * (50 - known)
    assert crawled.served(52, 58) >= 0.9 * crawled.served(22, 28)
    assert {row.standing for row in pool.status()} == {"open"}
    kinds = [event.kind for event in events]
    assert kinds.count("outage") == kinds.count("outage over") == 1
    assert "parked" not in kinds


def test_a_poisoned_request_fails_alone():
    """One request that any key answers with a 500, among 1,000: it alone fails, with the provider's error."""
    clock = ManualClock()
    keys = make_keys(8)
    provider, pool = Provider(keys, poison="POISON"), make_pool(keys, clock)
    crawled = crawl(
        pool,
        provider,
        clock,
        requests=1000,
        workers=16,
        see_headers=False,
        prompt=lambda number: "POISON" if number == 500 else f"prompt {number}",
    )
    ((number, error),) = crawled.lost
    assert (number, error.status_code) == (500, 500)
    assert crawled.answered == 999
    assert {row.standing for row in pool.status()} == {"open"}


@pytest.mark.parametrize("style", ["openai", "gemini", "plain"])
def test_a_spent_day_is_not_tried_again_and_again(style):
    """3 of 8 keys have no day left at noon: each tried at most 3 times until its reset, the others at full rate."""
    clock = ManualClock(time=1_700_006_400.0 - 43_200.0)  # noon, UTC
    keys = [SimKey(f"sk-sim-{index:016d}", rpm=30, rpd=40 if index < 3 else None) for index in range(8)]
    provider = Provider(keys, style=style, day_reset_hour=0, start_hour=12)
    pool = make_pool(keys, clock)
    hours = 3600.0
    crawled = crawl(pool, provider, clock, seconds=3 * hours, workers=16, latency=1.0, see_headers=False)
    assert not crawled.lost
    spent = {f"key-{index}": 0 for index in (1, 2, 3)}
    for _, key, outcome in crawled.log:
        if outcome == "rpd":
            spent[key] += 1
    assert all(1 <= tries <= 3 for tries in spent.values()), spent
    others = sum(outcome == "served" and key not in spent for at, key, outcome in crawled.log if at >= 600)
    assert others >= 0.97 * 5 * 30 * (3 * 60 - 10)


def settle(pool, answer, model="gpt-4o"):
    with pool.lease(model, max_wait=0) as lease:
        return lease.settle(answer)


BAD = Answer(401, {}, {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}})
VAGUE = Answer(401, {}, "Unauthorized")
GOOD = Answer(200, {}, {"id": "x"})


def test_a_plain_word_retires_at_once():
    """`invalid_api_key` needs no second witness; `revive()` takes it back."""
    pool = KeyPool(["sk-sim-aaaaaaaaaaaaaaaa"], clock=ManualClock())
    settle(pool, BAD)
    assert pool.status()[0].standing == "retired"
    pool.revive()
    assert pool.status()[0].standing == "open"
    settle(pool, GOOD)


def test_an_unclear_word_needs_a_second_witness():
    """A bare 401 rests the key; a second one, of a later call, retires it; a success in between clears it."""
    clock = ManualClock()
    pool = KeyPool(["sk-sim-aaaaaaaaaaaaaaaa"], clock=clock)
    settle(pool, VAGUE)
    assert pool.status()[0].standing == "cooling down"
    clock.advance(31)
    settle(pool, GOOD)
    settle(pool, VAGUE)
    assert pool.status()[0].standing == "cooling down"
    clock.advance(31)
    settle(pool, VAGUE)
    assert pool.status()[0].standing == "retired"


def test_calls_at_the_same_time_are_one_witness():
    """Two bare 401s of calls that ran together say no more than one."""
    clock = ManualClock()
    pool = KeyPool(["sk-sim-aaaaaaaaaaaaaaaa"], clock=clock)
    pool.acquire("gpt-4o").settle(GOOD)
    leases = [pool.acquire("gpt-4o", tokens=1) for _ in range(2)]
    clock.advance(1)
    for lease in leases:
        lease.settle(VAGUE)
    assert pool.status()[0].standing == "cooling down"


def test_an_unpaid_key_is_tried_rarely_and_comes_back_when_it_is_paid():
    """Parked for 10 minutes, then 20, then 40: one trial each; once it is paid it returns step by step."""
    clock = ManualClock()
    keys = [SimKey("sk-sim-aaaaaaaaaaaaaaaa", state="unpaid"), SimKey("sk-sim-bbbbbbbbbbbbbbbb", rpm=60)]
    provider = Provider(keys)
    pool = make_pool(keys, clock)
    crawled = crawl(
        pool,
        provider,
        clock,
        seconds=6 * 3600,
        workers=4,
        see_headers=False,
        at=[(3 * 3600, lambda: provider.pay("key-1"))],
    )
    tries = [at for at, key, outcome in crawled.log if outcome == "unpaid"]
    gaps = [later - sooner for sooner, later in zip(tries, tries[1:], strict=False) if later - sooner > 10]
    assert [round(gap / 600) for gap in gaps] == [1, 2, 4, 8][: len(gaps)]
    assert len(gaps) >= 3
    back = [at for at, key, outcome in crawled.log if key == "key-1" and outcome == "served"]
    assert back
    assert not crawled.lost


def test_after_a_derived_rest_one_trial_goes_first():
    """A rest that nobody named ends with one call on trial; the others wait for its outcome, then follow in steps."""
    clock = ManualClock()
    pool = KeyPool(["sk-sim-aaaaaaaaaaaaaaaa"], clock=clock)
    settle(pool, Answer(429, {}, {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}))
    clock.advance(64)  # 60 s and the jitter
    trial = pool.acquire("gpt-4o", max_wait=0)
    with pytest.raises(NoKeyAvailable):
        pool.acquire("gpt-4o", max_wait=0)
    trial.settle(GOOD)
    pair = [pool.acquire("gpt-4o", max_wait=0) for _ in range(2)]
    with pytest.raises(NoKeyAvailable):
        pool.acquire("gpt-4o", max_wait=0)
    for lease in pair:
        lease.settle(GOOD)


def test_a_failed_trial_rests_longer():
    """The second rest is twice the first, and so on up to the cap of an hour."""
    clock = ManualClock()
    pool = KeyPool(["sk-sim-aaaaaaaaaaaaaaaa"], clock=clock)
    rests = []
    pool.on_event(lambda event: rests.append(event.seconds) if event.kind == "cooldown" else None)
    for _ in range(9):
        settle(pool, Answer(429, {}, {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}))
        clock.advance(3600 * 1.06)
    assert [rest / 60 for rest in rests[:3]] == [pytest.approx(minutes, rel=0.06) for minutes in (1, 2, 4)]
    assert max(rests) <= 3600 * 1.05
    assert rests[-1] >= 3600


def test_a_later_deadline_replaces_an_earlier_one_and_never_the_reverse():
    """Two answers name two moments: the later one holds, in whichever order they come."""
    for first, second in ((10, 40), (40, 10)):
        clock = ManualClock()
        pool = KeyPool(["sk-sim-aaaaaaaaaaaaaaaa"], clock=clock)
        leases = [pool.acquire("gpt-4o"), pool.acquire("gpt-4o")]
        for lease, seconds in zip(leases, (first, second), strict=True):
            lease.settle(Answer(429, {"retry-after": str(seconds)}, {"error": {"code": "rate_limit_exceeded"}}))
        assert pool.explain("gpt-4o").retry_after == pytest.approx(40)


def test_affinity_stays_while_the_key_is_healthy():
    """40 conversations over 8 keys: nearly all calls on the key that they had, and none with more than its share."""
    clock = ManualClock()
    keys = make_keys(8, rpm=120)
    provider, pool = Provider(keys), make_pool(keys, clock, rpm=120)
    crawled = crawl(
        pool,
        provider,
        clock,
        requests=4000,
        workers=20,
        latency=1.0,
        see_headers=False,
        affinity=lambda number: number % 40,
    )
    last, same, share = {}, 0, {}
    for number, key in sorted(crawled.keys_of.items()):
        same += last.get(number % 40, key) == key
        last[number % 40] = key
        share[key] = share.get(key, 0) + 1
    assert same >= 0.95 * len(crawled.keys_of)
    assert max(share.values()) <= 1.5 * len(crawled.keys_of) / 8


def test_affinity_moves_on_failure_and_stays_moved():
    """When its key fails the conversation goes to another, and does not come back by itself."""
    clock = ManualClock()
    pool = KeyPool(["sk-sim-aaaaaaaaaaaaaaaa", "sk-sim-bbbbbbbbbbbbbbbb"], clock=clock)

    def turn(answer=GOOD):
        with pool.lease("gpt-4o", affinity="talk") as lease:
            lease.settle(answer)
            return lease.name

    first = turn()
    assert turn() == first
    turn(Answer(429, {"retry-after": "5"}, {}))
    moved = turn()
    assert moved != first
    clock.advance(60)
    assert {turn() for _ in range(4)} == {moved}


def test_explain_says_why_and_when():
    """In a paragraph, and as data."""
    clock = ManualClock()
    pool = KeyPool(["sk-sim-aaaaaaaaaaaaaaaa", "sk-sim-bbbbbbbbbbbbbbbb"], rpm=1, clock=clock)
    assert pool.explain().eligible == ("key-1", "key-2")
    pool.park("key-1", 300)
    pool.acquire().settle()
    told = pool.explain(model="gpt-4o")
    assert told.eligible == ()
    assert told.retry_after == pytest.approx(60)
    assert set(told.out) == {"key-1", "key-2"}
    assert "No key of 2 is eligible for the model gpt-4o; the earliest is looked at again in 60.0 s." in str(told)
    assert "key-1 parked for 300.0 s: parked by hand" in str(told)


def test_a_limit_of_the_address_rests_the_endpoint():
    """What a provider says of the caller's IP address holds for all keys there, and for none elsewhere."""
    clock = ManualClock()
    pool = KeyPool(
        [
            {"secret": f"sk-sim-{index:016d}", "base_url": url}
            for index, url in enumerate(("http://a", "http://a", "http://b"))
        ],
        clock=clock,
    )
    busy = Answer(429, {"retry-after": "7"}, {"error": {"message": "Too many requests from this IP address"}})
    with pool.lease("gpt-4o") as lease:
        lease.settle(busy)
        assert lease.base_url == "http://a"
    names = set()
    for _ in range(4):
        with pool.lease("gpt-4o", max_wait=0) as lease:
            lease.settle(GOOD)
            names.add(lease.name)
    assert names == {"key-3"}
    clock.advance(7)
    with pool.lease("gpt-4o", max_wait=0) as lease:
        lease.settle(GOOD)
    assert {row.standing for row in pool.status()} == {"open"}


def test_a_running_call_is_worth_waiting_for():
    """One key is parked for long, the other is busy: the call waits for the busy one rather than failing at once."""
    clock = ManualClock()
    pool = KeyPool(["sk-sim-aaaaaaaaaaaaaaaa", "sk-sim-bbbbbbbbbbbbbbbb"], max_concurrency=1, clock=clock)
    pool.park("key-1", 3600)
    running = pool.acquire()
    clock.call_at(clock.monotonic() + 5, lambda: running.settle(GOOD))

    import asyncio

    async def wait():
        task = asyncio.ensure_future(pool.aacquire(max_wait=10))
        await asyncio.sleep(0)
        clock.advance(5)
        return await task

    lease = asyncio.run(wait())
    assert lease.name == "key-2"
    lease.settle(GOOD)
