"""Where a request goes: to the endpoint of its key, and a key nowhere else."""

from __future__ import annotations

import pytest

from stable_openai import ConfigurationError, Key, KeyPool

OPENAI = "https://api.openai.com/v1/chat/completions"
FINE = {"Content-Type": "application/json"}
ONE, TWO = "sk-addresses-one-0123456789", "sk-addresses-two-0123456789"


def fine(_):
    return 200, {**FINE, "Content-Length": "2"}, b"{}"


def uses(pool):
    return [row.uses for row in pool.status()]


def test_it_moves_to_the_endpoint_of_the_key(way, openai_simulator, asked):
    """From OpenAI's own address where nothing else was said. Each endpoint knows but its own key."""
    sims = [openai_simulator(keys=[secret]) for secret in (ONE, TWO)]
    with KeyPool([Key(sim.keys[0], base_url=sim.base_url) for sim in sims]) as pool:
        client = way.open(pool)
        answers = [client.post(OPENAI, json=asked()) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert [sim.stats().total.served for sim in sims] == uses(pool)
    assert min(uses(pool)) > 0


def test_a_dead_endpoint_is_left(way, openai_simulator, asked):
    """Failover goes to the next key at the next key's own endpoint; streams do so too."""
    dead, good = openai_simulator(keys=["sk-addresses-other-0123456789"]), openai_simulator(keys=[TWO])
    with KeyPool([Key(ONE, base_url=dead.base_url), Key(TWO, base_url=good.base_url)]) as pool:
        text = way.open(pool).stream(OPENAI, json=asked(stream=True))
    assert text.endswith("data: [DONE]\n\n")
    assert [row.standing for row in pool.status()] == ["retired", "open"]
    assert [sim.stats().total.attempts for sim in (dead, good)] == [1, 1]


def test_the_base_is_as_told(way, scripted, asked):
    """Beneath it, the path and the query stay; a key with no endpoint of its own stays there."""
    own, other = scripted(fine), scripted(fine)
    with KeyPool([Key(ONE), Key(TWO, base_url=other.url + "/deep/")]) as pool:
        client = way.open(pool, base_url=own.url)
        for _ in range(2):
            assert client.post(own.url + "/models?limit=2", json=asked()).status_code == 200
    assert [(path, server.keys) for server in (own, other) for path, _, _ in server.seen] == [
        ("/v1/models?limit=2", [ONE]),
        ("/v1/deep/models?limit=2", [TWO]),
    ]
    assert other.seen[0][2]["Host"] == other.url.split("/")[2]


def test_outside_of_the_base_nothing_is_ours(way, scripted, asked):
    """Such a request goes out as it is, without a key."""
    api, site = scripted(fine), scripted(fine)
    with KeyPool([ONE]) as pool:
        client = way.open(pool, base_url=api.url)
        client.post(api.url + "/chat/completions", json=asked())
        client.post(site.url + "/chat/completions", json=asked())
        client.post(api.url.removesuffix("/v1") + "/v1x/y", json=asked())
        assert api.keys == [ONE, None]
        assert site.keys == [None]
        assert uses(pool) == [1]


def test_a_key_is_not_shown_to_strangers(way, scripted, asked):
    """Where a key has an endpoint and the request's address is another, of which nothing is known: an error."""
    own, stranger = scripted(fine), scripted(fine)
    with KeyPool([Key(ONE, name="lab", base_url=own.url)]) as pool:
        client = way.open(pool)
        with pytest.raises(ConfigurationError, match="base_url is needed: .*lab|base_url: is needed: .*") as caught:
            client.post(stranger.url + "/chat/completions", json=asked())
        assert ONE not in str(caught.value)
        assert client.post(own.url + "/chat/completions", json=asked()).status_code == 200
        assert sum(row.in_flight for row in pool.status()) == 0
    assert stranger.seen == []


def test_a_redirect_elsewhere_takes_no_key_along(way, scripted, asked):
    """As the libraries themselves have it with credentials that they know of."""
    stranger = scripted(fine)
    api = scripted(lambda _: (307, {"Location": stranger.url + "/else", "Content-Length": "0"}, None))
    with KeyPool([ONE]) as pool:
        client = way.open(pool, follow_redirects=True)
        assert client.post(api.url + "/chat/completions", json=asked()).status_code == 200
        assert sum(row.in_flight for row in pool.status()) == 0
    assert api.keys == [ONE]
    assert stranger.keys == [None]


def test_a_redirect_to_the_same_place_gets_a_key(way, scripted, asked):
    """It is one more request, and is counted as such where we are asked."""
    answers = iter([(307, {"Location": "/v1/else", "Content-Length": "0"}, None)])
    api = scripted(lambda request: next(answers, None) or fine(request))
    with KeyPool([ONE]) as pool:
        client = way.open(pool, follow_redirects=True)
        assert client.post(api.url + "/chat/completions", json=asked()).status_code == 200
        assert sum(row.in_flight for row in pool.status()) == 0
        assert uses(pool) == [1 if way.how == "auth" else 2]
    assert api.keys == [ONE, ONE]


def test_a_redirect_that_is_not_followed(way, scripted, asked):
    """It is the caller's."""
    api = scripted(lambda _: (307, {"Location": "/v1/else", "Content-Length": "0"}, None))
    with KeyPool([ONE]) as pool:
        answer = way.open(pool).post(api.url + "/chat/completions", json=asked())
        assert answer.status_code == 307
        del answer
        assert sum(row.in_flight for row in pool.status()) == 0


def test_a_redirect_of_a_moved_request(way, scripted, asked):
    """Its target is where the key belongs, not where the request was addressed; and it takes no key along."""
    api = scripted(
        lambda request: (
            fine(request)
            if request.path == "/v1/else"
            else (307, {"Location": "/v1/else", "Content-Length": "0"}, None)
        )
    )
    with KeyPool([Key(ONE, base_url=api.url)]) as pool:
        client = way.open(pool, follow_redirects=True)
        assert client.post(OPENAI, json=asked()).status_code == 200
    assert [path for path, _, _ in api.seen] == ["/v1/chat/completions", "/v1/else"]
    assert api.keys[0] == ONE


def test_cookies_stay_at_home(way, scripted, asked):
    """Those that are for the caller's address do not move to that of a key."""
    own, other = scripted(fine), scripted(fine)
    with KeyPool([Key(ONE, base_url=other.url)]) as pool:
        client = way.open(pool, base_url=own.url)
        client.post(own.url + "/chat/completions", json=asked(), headers={"Cookie": "session=1"})
    assert other.seen[0][2]["Cookie"] is None


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"base_url": "api.openai.com"}, "base_url"),
        ({"base_url": 7}, "base_url"),
        ({"pool": "sk-1"}, "pool"),
        ({"max_wait": -1}, "max_wait"),
        ({"timeout": "long"}, "timeout"),
        ({"stop": 3}, "stop"),
    ],
)
def test_wrong_options(way, options, field):
    """They are refused by name."""
    with pytest.raises(ConfigurationError) as caught:
        way.open(**options)
    assert caught.value.field == field


def test_unknown_options(way):
    """So are those that nobody knows; an adapter leaves them to requests."""
    with pytest.raises((ConfigurationError, TypeError), match="max_wiat"):
        way.open(max_wiat=3)
