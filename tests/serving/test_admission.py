"""Limits of tokens in a store that workers share, where the keys' own pool is too."""

from __future__ import annotations

import pytest

from stable_openai import KeyPool, Limits
from stable_openai.serving import Admissions, Token, TokenLimited
from stable_openai.stores.opening import beside

SECRET = "swordfish-1234567"


@pytest.fixture
def store(tmp_path):
    return f"sqlite:///{tmp_path}/keys.db?namespace=gateway"


async def test_workers_count_together(store):
    """What one worker lets in, the other counts; each says what is left without asking the store."""
    first, second = (Admissions([Token(SECRET, "lab", Limits(rpm=3))], store=store) for _ in range(2))
    try:
        for entries, left in ((first, "2"), (second, "1"), (first, "0")):
            entered = await entries.enter("lab")
            assert entered.headers()["x-ratelimit-remaining-requests"] == left
            entered.settle()
        with pytest.raises(TokenLimited):
            await second.enter("lab")
    finally:
        await first.aclose()
        await second.aclose()


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(rpm=1), "its 1 requests per minute are used"),
        (Limits(tpm=500), "its 500 tokens per minute are used"),
        (Limits(max_concurrency=1), "all 1 calls at once are running"),
    ],
)
async def test_which_limit_it_was(limits, words):
    """The bearer reads which of its limits stands in the way, and when to come back: by the header, to the second."""
    entries = Admissions([Token(SECRET, "lab", limits)])
    try:
        entered = await entries.enter("lab", 300)
        with pytest.raises(TokenLimited) as caught:
            await entries.enter("lab", 300)
        later = caught.value.headers["Retry-After"]
        assert str(caught.value) == f"the limits of your token are used up ({words}); try again in {later} s"
        entered.release()
    finally:
        await entries.aclose()


async def test_apart_from_the_keys(store):
    """Neither the keys nor their strategy change by tokens in the same store, and the other way round."""
    with KeyPool(["key-one-1111", "key-two-2222"], rpm=9, strategy="fill-first", store=store) as pool:
        entries = Admissions(
            [Token(SECRET, "lab", Limits(rpm=3)), Token("other-one-1", "b", Limits(rpm=1))], store=store
        )
        try:
            for name in ("lab", "b", "lab"):
                (await entries.enter(name)).settle()
            for _ in range(3):
                with pool.lease() as lease:
                    assert lease.name == "key-1"  # as the strategy has it
            assert [(status.name, status.uses) for status in pool.status()] == [("key-1", 3), ("key-2", 0)]
        finally:
            await entries.aclose()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("memory://", "memory://"),
        ("sqlite:///keys.db", "sqlite:///keys.db?namespace=default.t"),
        ("redis://u:p%40ss@h:1/0?namespace=crawl", "redis://u:p%40ss@h:1/0?namespace=crawl.t"),
        ("rediss://h/0?ssl_ca_certs=/a/b.pem", "rediss://h/0?ssl_ca_certs=%2Fa%2Fb.pem&namespace=default.t"),
    ],
)
def test_a_place_beside(url, expected):
    """The same server or file, under a name of its own."""
    assert beside(url, "t") == expected
