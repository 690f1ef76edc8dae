"""States of keys and owners, unknown models, and changes at run time."""

import pytest

from stable_openai.simulator import Provider, Request, SimKey, SimOwner

STATES = [
    ("dead", 401, "invalid_api_key"),
    ("unpaid", 429, "insufficient_quota"),
    ("disabled", 401, "account_deactivated"),
    ("blocked", 403, None),
    ("region", 403, "unsupported_country_region_territory"),
]


@pytest.mark.parametrize(("state", "status", "code"), STATES)
def test_states_answer_in_openais_shape(state, status, code):
    """Each state has the status and the code by which clients know it."""
    provider = Provider([SimKey("a", state=state)])
    reply = provider.reply(Request("a"), 0.0)
    assert (reply.status, reply.outcome) == (status, state)
    assert set(reply.body["error"]) == {"message", "type", "param", "code"}
    assert reply.body["error"]["code"] == code
    provider.pay("a")
    assert provider.reply(Request("a"), 0.0).ok


def test_unknown_and_missing_keys_get_a_401_that_shows_no_key():
    """An error never echoes a whole key."""
    provider = Provider(["sk-sim-one-of-mine"])
    for secret in ("sk-somebody-elses-key-1234", "short", ""):
        reply = provider.reply(Request(secret), 0.0)
        assert reply.status == 401
        if secret:
            assert secret not in str(reply.body)
    assert provider.stats().keys["unknown"].attempts == 3
    assert provider.stats().total.accepted == 0


@pytest.mark.parametrize("style", ["openai", "azure", "groq", "gemini", "plain"])
@pytest.mark.parametrize("state", [state for state, *_ in STATES])
def test_no_style_shows_a_secret(style, state):
    """Secrets stay out of bodies, headers and reprs in every style."""
    secret = "sk-sim-0123456789abcdef"
    provider = Provider([SimKey(secret, state=state)], style=style)
    reply = provider.reply(Request(secret), 0.0)
    assert reply.status >= 400
    everything = (reply, provider, provider.stats(), provider.keys, Request(secret), provider.stats().as_dict())
    assert secret not in repr(everything)


def test_models_that_a_key_may_not_use():
    """A model is unknown to the provider, or to this key only."""
    provider = Provider([SimKey("a", models=["m"]), SimKey("b")], models=["m", "n"])
    asked = [("a", "m"), ("a", "n"), ("b", "n"), ("b", "o")]
    assert [provider.reply(Request(k, model=m), 0.0).outcome for k, m in asked] == [
        "served",
        "model",
        "served",
        "model",
    ]
    assert provider.reply(Request("b", model="o"), 0.0).status == 404


def test_models_are_listed():
    """A list for the key, one model by name, 404 for another; no request is counted."""
    provider = Provider([SimKey("a", models=("m",), rpm=1), SimKey("b")], models=["m", "n"])
    assert [m["id"] for m in provider.reply(Request("a", path="models"), 0.0).body["data"]] == ["m"]
    assert len(provider.reply(Request("b", path="models"), 0.0).body["data"]) == 2
    assert provider.reply(Request("b", path="models/n"), 0.0).body["id"] == "n"
    reply = provider.reply(Request("a", path="models/n"), 0.0)
    assert reply.status == 404
    assert "`n`" in reply.body["error"]["message"]
    assert provider.reply(Request("c", path="models"), 0.0).status == 401
    assert provider.stats().total.attempts == 0


def test_prompts_longer_than_the_context_are_refused():
    """The error has the code by which clients know it, and the limits are not touched."""
    provider = Provider([SimKey("a", rpm=1)], context_length=10)
    reply = provider.reply(Request("a", prompt="x" * 41), 0.0)
    assert (reply.status, reply.body["error"]["code"]) == (400, "context_length_exceeded")
    assert provider.reply(Request("a", prompt="x" * 40), 0.0).ok


def test_keys_come_and_go():
    """Added, revoked, removed: each takes hold with the next request."""
    provider = Provider()
    assert provider.reply(Request("a"), 0.0).status == 401
    provider.add_key(SimKey("a", name="x"))
    provider.add_key("b")
    assert [k.name for k in provider.keys] == ["x", "key-2"]
    assert provider.reply(Request("a"), 0.0).ok
    provider.revoke("x")
    assert provider.reply(Request("a"), 0.0).outcome == "dead"
    provider.unpay("a")
    assert provider.reply(Request("a"), 0.0).outcome == "unpaid"
    provider.remove_key("x")
    assert provider.reply(Request("a"), 0.0).key == "unknown"


def test_what_cannot_be_is_refused():
    """Names and secrets are taken once; changes name a field that can change."""
    with pytest.raises(ValueError, match="owner 'o' is given twice"):
        Provider(owners=["o", SimOwner("o")])
    with pytest.raises(ValueError, match="name 'x' of a key is taken"):
        Provider([SimKey("a", name="x"), SimKey("b", name="x")])
    with pytest.raises(ValueError, match="secret of key 'key-2' is that of key 'key-1'"):
        Provider(["secret-secret", "secret-secret"])
    with pytest.raises(TypeError, match="each of keys"):
        Provider([3])
    with pytest.raises(TypeError, match="each of owners"):
        Provider(owners=[3])
    provider = Provider(["a"], ["o"])
    with pytest.raises(LookupError, match="no key has this name or secret; there are key-1"):
        provider.revoke("zzz")
    with pytest.raises(LookupError, match="no owner is named 'p'; there are o"):
        provider.change_owner("p", rpm=1)
    with pytest.raises(LookupError, match="there are none"):
        Provider().revoke("a")
    with pytest.raises(ValueError, match="'secret' cannot be changed"):
        provider.change_key("a", secret="b")
    with pytest.raises(ValueError, match="'rpx' cannot be changed"):
        provider.change_owner("o", rpx=1)
    with pytest.raises(ValueError, match="rpm of key 'key-1' must be at least 1"):
        provider.change_key("a", rpm=0)
    with pytest.raises(ValueError, match="'minute' cannot be changed"):
        provider.tune(minute=1.0)
    with pytest.raises(ValueError, match="kind of outage"):
        provider.outage("flood")
