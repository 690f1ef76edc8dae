"""Limits that nobody told are found out, in virtual time against the simulator's engine."""

from __future__ import annotations

import itertools

import pytest

from stable_openai import Answer, KeyPool, Limits, ManualClock
from stable_openai.simulator import Provider, SimKey, SimOwner

from .virtual import crawl

LIMITS = (20, 40, 60, 90)
SAID = {
    "texts and headers": {"style": "openai"},
    "texts alone": {"style": "openai", "limit_headers": False},
    "headers alone": {"style": "openai", "retry_after": False},
    "nothing": {"style": "plain", "retry_after": False, "limit_headers": False},
}


def make_pool(keys, clock, **options):
    return KeyPool([key.secret for key in keys], clock=clock, **options)


@pytest.mark.parametrize("workers", [16, 32])
@pytest.mark.parametrize(
    ("algorithm", "count_rejected", "said"), list(itertools.product(["sliding", "bucket"], [False, True], SAID))
)
def test_untold_limits_are_found(algorithm, count_rejected, said, workers):
    """After the first window at most 3 rejections per key and window, and at least 93 % of the true rate."""
    clock = ManualClock()
    keys = [SimKey(f"sk-sim-{index:016d}", rpm=LIMITS[index % 4]) for index in range(10)]
    provider = Provider(keys, algorithm=algorithm, count_rejected=count_rejected, **SAID[said])
    pool = make_pool(keys, clock)
    minutes = 15
    crawled = crawl(pool, provider, clock, seconds=60 * minutes, workers=workers, see_headers="headers" in said)
    assert not crawled.lost
    worst = [max(crawled.rejections(60 * w, 60 * w + 60).values(), default=0) for w in range(1, minutes)]
    assert max(worst) <= 3, worst
    assert crawled.served(60, 60 * minutes) >= 0.93 * sum(key.rpm for key in keys) * (minutes - 1)


def test_status_tells_learned_from_told():
    """A key with a told and a learned limit shows which is which, and the tighter binds."""
    clock = ManualClock()
    pool = KeyPool(["sk-sim-aaaaaaaaaaaaaaaa"], rpm=60, clock=clock)
    headers = {
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-remaining-requests": "9999",
        "x-ratelimit-reset-requests": "8.64s",
    }
    with pool.lease("gpt-4o") as lease:
        lease.settle(Answer(200, headers, {"id": "x"}))
    windows = {(w.limit, w.per): w.learned for lane in pool.status()[0].lanes for w in lane.windows}
    assert windows == {(60, "minute"): False, (10_000, "day"): True}


def test_a_learned_limit_never_exceeds_a_told_one():
    """What an answer states above the told limit changes nothing: the told one is kept to."""
    clock = ManualClock()
    pool = KeyPool(["sk-sim-aaaaaaaaaaaaaaaa"], rpm=2, clock=clock)
    headers = {
        "x-ratelimit-limit-requests": "500",
        "x-ratelimit-remaining-requests": "499",
        "x-ratelimit-reset-requests": "120ms",
    }
    for _ in range(2):
        with pool.lease("gpt-4o", max_wait=0) as lease:
            lease.settle(Answer(200, headers, {}))
    assert "2 requests per minute are used" in str(pool.explain("gpt-4o"))


def test_a_learned_limit_is_replaced_when_answers_contradict_it():
    """A limit that was raised by the provider is believed, and one that was lowered too."""
    clock = ManualClock()
    pool = KeyPool(["sk-sim-aaaaaaaaaaaaaaaa"], clock=clock)

    def see(limit, reset):
        with pool.lease("gpt-4o") as lease:
            lease.settle(
                Answer(
                    200,
                    {
                        "x-ratelimit-limit-requests": str(limit),
                        "x-ratelimit-remaining-requests": str(limit - 1),
                        "x-ratelimit-reset-requests": reset,
                    },
                    {},
                )
            )
        return [w.limit for lane in pool.status()[0].lanes for w in lane.windows if w.learned]

    assert see(500, "120ms") == [500]
    assert see(1000, "60ms") == [1000]
    assert see(200, "300ms") == [200]


def test_somebody_else_uses_the_same_quota():
    """What is left by the provider's count is less than by ours: ours is corrected downward."""
    clock = ManualClock()
    pool = KeyPool(["sk-sim-aaaaaaaaaaaaaaaa"], rpm=60, clock=clock)
    headers = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "20",
        "x-ratelimit-reset-requests": "40s",
    }
    with pool.lease("gpt-4o") as lease:
        lease.settle(Answer(200, headers, {}))
    clock.advance(1)
    used = max(w.used for lane in pool.status()[0].lanes for w in lane.windows)
    assert used == 40


def test_keys_of_one_organisation_share_its_limit():
    """Six keys of two organisations, untold: after an organisation's first rejection none is wasted on a sibling."""
    clock = ManualClock()
    owners = [SimOwner("org-a", rpm=60), SimOwner("org-b", rpm=60)]
    keys = [SimKey(f"sk-sim-{index:016d}", owner=("org-a", "org-b")[index % 2]) for index in range(6)]
    provider = Provider(keys, owners)
    pool = make_pool(keys, clock)
    latency = 0.5
    crawled = crawl(pool, provider, clock, seconds=600, workers=16, latency=latency)
    assert not crawled.lost
    for owner in ("org-a", "org-b"):
        names = {f"key-{index + 1}" for index, key in enumerate(keys) if key.owner == owner}
        rejected = [at for at, key, outcome in crawled.log if key in names and outcome != "served"]
        known_at = rejected[0] + latency  # when the pool hears of it
        wasted = [at for at in rejected if at > known_at]
        assert wasted == []
    assert crawled.served(60, 600) >= 0.97 * 120 * 9
    assert {row.owner for row in pool.status()} == {"org-a", "org-b"}


def test_a_pool_of_one_owner_says_so_once():
    """Rotation raises no limit there, and the user is told."""
    clock = ManualClock()
    keys = [SimKey(f"sk-sim-{index:016d}", owner="org-a") for index in range(3)]
    provider = Provider(keys, [SimOwner("org-a", rpm=600)])
    pool = make_pool(keys, clock)
    events = []
    pool.on_event(events.append)
    crawl(pool, provider, clock, requests=30, workers=3)
    (said,) = [event for event in events if event.kind == "one owner"]
    assert "rotation will not raise its limit" in str(said)


def test_limits_enforced_by_the_second():
    """A minute's limit that is enforced by the second: spread by itself, at 90 % of the rate and few rejections."""
    for told in ({"rpm": 60}, {}):
        clock = ManualClock()
        keys = [SimKey(f"sk-sim-{index:016d}", rpm=60) for index in range(8)]
        provider = Provider(keys, by_second=0.05)
        crawled = crawl(make_pool(keys, clock, **told), provider, clock, seconds=900, see_headers=False)
        assert not crawled.lost
        assert crawled.served(60, 900) >= 0.9 * 8 * 60 * 14
        assert sum(crawled.rejections().values()) <= 0.010 * len(crawled.log)


def test_pace_spreads_the_grants():
    """`pace=True`: a limit of 60 a minute gives one a second, from the first on."""
    clock = ManualClock()
    pool = KeyPool(["sk-sim-aaaaaaaaaaaaaaaa"], rpm=60, pace=True, clock=clock)
    provider = Provider([SimKey("sk-sim-aaaaaaaaaaaaaaaa", rpm=60)], by_second=0.01)
    crawled = crawl(pool, provider, clock, seconds=300, workers=4, see_headers=False)
    assert not crawled.rejections()
    assert crawled.served(0, 300) >= 0.95 * 300


def test_limits_of_the_admin_api(openai_simulator):
    """`load_limits` reads the limits of projects, and keeps to them by model and owner."""
    simulator = openai_simulator(
        keys=[SimKey("sk-sim-a", owner="org-lab"), SimKey("sk-sim-b", owner="org-shop")],
        owners=[SimOwner("org-lab", rpm=5, tpm=1000), SimOwner("org-shop", model_limits={"gpt-4o": {"rpm": 7}})],
        admin_key="sk-admin-key",
    )
    pool = KeyPool([{"secret": "sk-sim-a", "owner": "proj_lab"}, {"secret": "sk-sim-b", "owner": "shop"}])
    loaded = pool.load_limits("sk-admin-key", base_url=simulator.base_url)
    assert loaded["proj_lab"]["gpt-4o"] == Limits(rpm=5, tpm=1000)
    for _ in range(5 + 7):
        pool.acquire("gpt-4o", max_wait=0).settle()
    reasons = pool.explain("gpt-4o").out
    assert "5 requests per minute are used" in reasons["key-1"]
    assert "7 requests per minute are used" in reasons["key-2"]
    with pytest.raises(ValueError, match="admin_key: the admin API answers 401"):
        pool.load_limits("sk-wrong", base_url=simulator.base_url)
    with pytest.raises(ValueError, match="no active project 'none'"):
        pool.load_limits("sk-admin-key", base_url=simulator.base_url, project="none")


def taught(pool, limit, remaining, reset):
    with pool.lease("m") as lease:
        lease.settle(
            Answer(
                200,
                {
                    "x-ratelimit-limit-requests": str(limit),
                    "x-ratelimit-remaining-requests": str(remaining),
                    "x-ratelimit-reset-requests": reset,
                },
                {"id": "x"},
            )
        )
    return {
        (window.limit, window.seconds)
        for lane in pool.status()[0].lanes
        for window in lane.windows
        if window.what == "requests" and window.learned
    }


def test_a_told_limit_is_that_of_its_minute():
    """A sliding minute has, once in each minute, as much used as a bucket of an hour would: no hour is made of it."""
    pool = KeyPool(["sk-a"], rpm=6_000, clock=ManualClock())
    assert taught(pool, 6_000, 5_917, "50s") == set()  # 83 of 6,000 in 50 s: an hour, if it were a bucket


def test_a_period_that_was_concluded_falls_with_what_belies_it():
    """A bucket always refills as fast; where the next answer says otherwise, it was none."""
    pool = KeyPool(["sk-a"], clock=ManualClock())
    assert taught(pool, 6_000, 5_917, "50s") == {(6_000, 3_600.0)}
    assert taught(pool, 6_000, 5_800, "100s") == {(6_000, 3_600.0)}  # 100 s / 200 of 6,000: an hour, nearly
    assert taught(pool, 6_000, 5_700, "45s") == set()
