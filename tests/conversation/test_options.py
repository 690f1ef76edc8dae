"""Options: of openai's client and of its requests, per object and per call; and where the keys come from."""

from __future__ import annotations

import asyncio
import inspect

import openai
import pytest
from openai.resources.chat.completions import Completions

import stable_openai
from stable_openai import AKPool, Chat, ConfigurationError, Key, KeyManager, KeyPool, assistant_msg, user_msg
from stable_openai.conversation.clients import split_options, split_request_options

SYNC = type("Way", (), {"is_async": False, "streams": False, "name": "request"})
OF_REQUESTS = [name for name in inspect.signature(Completions.create).parameters if name not in {"self", "messages", "stream"}]  # fmt: skip
OF_CLIENTS = [name for name in inspect.signature(openai.OpenAI).parameters if not name.startswith("_")]


def fine(way, made):
    return made.whole("fine") if way.streams else made.completion("fine")


# -- which there are


@pytest.mark.parametrize("name", OF_REQUESTS)
def test_every_option_of_requests(name):
    """Is known, per object and per call."""
    both = name in OF_CLIENTS
    assert split_options({name: 1}) == (({name: 1}, {}) if both else ({}, {name: 1}))
    assert split_request_options({name: 1}) == ({}, {name: 1})


@pytest.mark.parametrize("name", [*OF_CLIENTS, "max_wait", "total_timeout", "pool"])
def test_every_option_of_clients(name):
    """Is known too; ``timeout``, which both have, is the request's where it is given for one."""
    assert split_options({name: 1}) == ({name: 1}, {})
    assert split_request_options({name: 1})[0] == ({} if name in OF_REQUESTS else {name: 1})


@pytest.mark.parametrize(
    "name", ["temprature", "api_keys", "_enforce_credentials", "self", "stream", "messages", "affinity"]
)
def test_unknown_options(talk, way, name):
    """Refused at once, by name, per object and per call; those that are the conversation's own are not taken."""
    here = talk()
    match = f"^{name}: is (no parameter of openai.OpenAI|the conversation's own business)"
    if name != "self":
        with pytest.raises(ConfigurationError, match=match):
            here.chat(**{name: True})
        chat = here.chat()
        with pytest.raises(ConfigurationError, match=match):
            if way.streams:
                getattr(chat, f"{way.name.replace(' ', '_')}_request")("hello", **{name: True})
            else:
                way.ask(chat, "hello", **{name: True})
        assert (len(chat), here.asked) == (0, [])


def test_options_of_the_object_and_of_the_call(over, way, made):
    """Those of the call win, for that call."""
    chat = over(way, *[fine(way, made) for _ in range(3)], temperature=0.5, top_p=0.1, seed=1, extra_body={"a": 1})
    way.ask(chat, "one")
    way.ask(chat, "two", temperature=0, model="gpt-4o", stop=["x"], extra_headers={"X-Mine": "yes"})
    way.ask(chat, "three")
    first, second, third = chat.asked()
    assert (first["temperature"], first["top_p"], first["seed"], first["model"], first["a"]) == (
        0.5,
        0.1,
        1,
        made.model,
        1,
    )
    assert (second["temperature"], second["model"], second["stop"], second["top_p"]) == (0, "gpt-4o", ["x"], 0.1)
    assert chat.sent[1].headers["x-mine"] == "yes"
    assert {**third, "messages": 0} == {**first, "messages": 0}
    assert all(each.get("stream", False) == way.streams for each in chat.asked())


def test_options_of_the_client(over, way, made):
    """Headers, queries, organisations, addresses, timeouts: per object, and other ones for a call."""
    told = {"default_headers": {"X-Mine": "a"}, "default_query": {"v": "1"}, "organization": "org-a", "timeout": 7.0}
    chat = over(way, *[fine(way, made) for _ in range(3)], **told)
    way.ask(chat, "one")
    way.ask(chat, "two", base_url="http://elsewhere.invalid/v9", default_headers={"X-Mine": "b"}, timeout=3.0)
    way.ask(chat, "three")
    first, second, third = chat.sent
    for request in (first, third):
        assert str(request.url) == "http://provider.invalid/v1/chat/completions?v=1"
        assert (request.headers["x-mine"], request.headers["openai-organization"]) == ("a", "org-a")
        assert request.extensions["timeout"]["read"] == 7.0
    assert str(second.url) == "http://elsewhere.invalid/v9/chat/completions?v=1"
    assert second.headers["x-mine"] == "b"
    assert second.extensions["timeout"]["read"] == 3.0
    assert len({request.headers["authorization"] for request in chat.sent}) == 1
    assert len(chat) == 6


def test_retries(talk, way):
    """openai's ``max_retries``, per object and per call."""
    here = talk(server_error_rate=1.0)
    chat = here.chat(max_retries=0)
    for options, count in (({}, 1), ({"max_retries": 0}, 2)):
        with pytest.raises(openai.InternalServerError):
            way.ask(chat, "hello", **options)
        assert len(here.arrivals) == count


def test_no_model(talk, way):
    """Is told of; one may be named for the call."""
    chat = talk().chat(model=None)
    with pytest.raises(ConfigurationError, match="model: is not set"):
        way.ask(chat, "hello")
    assert way.ask(chat, "hello", model="gpt-4o") == "You said: hello"
    assert repr(chat) == "<Chat with no model, 2 messages>"


def test_an_http_client_of_the_other_kind(over, way, made):
    """Is refused by openai, as ever: a proxy that is given is never gone around."""
    chat = over(way, fine(way, made))
    other = {"request": "async", "stream": "async stream", "async": "request", "async stream": "stream"}[way.name]
    with pytest.raises(TypeError, match="http_client"):
        type(way)(other).ask(chat, "hello")
    assert len(chat) == 0
    assert way.ask(chat, "hello") == "fine"


def test_what_is_streamed_with_usage(talk, streaming):
    """The last chunk, which has no choices, is no trouble."""
    chat = talk().chat()
    assert streaming.ask(chat, "hello", stream_options={"include_usage": True}) == "You said: hello"
    assert len(chat) == 2


# -- keys


def test_what_api_key_takes(talk, way):
    """One key, a list, a Key, mappings, a pool; by name or by place."""
    here = talk("one", "two")
    secrets = here.sim.keys
    for given in (
        secrets[0],
        secrets,
        Key(secrets[0]),
        [{"secret": secrets[1], "name": "b"}],
        KeyPool(secrets),
        AKPool(secrets),
    ):
        chat = Chat(given, model="gpt-4o", base_url=here.sim.base_url)
        assert way.ask(chat, "hello") == "You said: hello"
    for given in (secrets, KeyPool(secrets)):
        chat = Chat(pool=given, model="gpt-4o", base_url=here.sim.base_url)
        assert way.ask(chat, "hello") == "You said: hello"
    assert way.ask(chat, "for once", api_key=secrets[1]) == "You said: for once"
    assert way.ask(chat, "for once", pool=[secrets[0]]) == "You said: for once"
    assert here.arrivals[-2:] == ["two", "one"]


@pytest.mark.parametrize("wrong", [7, [], ["a b"], ["a", "a"], [...], [None]])
def test_what_api_key_does_not_take(talk, wrong):
    """The error names the place."""
    here = talk()
    with pytest.raises(ConfigurationError, match="api_key|keys"):
        here.chat(wrong)
    chat = here.chat()
    with pytest.raises(ConfigurationError, match="api_key|keys"):
        chat.reset_api_key(wrong)
    with pytest.raises(ConfigurationError, match="together with pool"):
        here.chat(here.sim.keys, pool=here.sim.keys)
    assert chat.request("hello") == "You said: hello"


def test_an_ellipsis_among_keys():
    """``...`` stands for keys that aren't there: it is left out, and the places of the others stay what they are."""
    assert [key.secret for key in KeyPool(["sk-mf40...", "sk-m6g7...", ...]).keys] == ["sk-mf40...", "sk-m6g7..."]
    assert len(AKPool([..., "a", ..., "b"])) == 2
    assert len(KeyManager(["your_api_key1", "your_api_key2", ...])) == 2
    with pytest.raises(ConfigurationError, match=r"keys\[2\]: is the same as keys\[0\]"):
        KeyPool(["a", ..., "a"])
    with pytest.raises(ConfigurationError, match=r"keys\[1\]: must be a text, not NoneType"):
        KeyPool([..., None])


def test_no_key_anywhere(way):
    """The first request says what to do; making the chat does not."""
    chat = Chat(model="gpt-4o")
    with pytest.raises(openai.OpenAIError, match="api_key|OPENAI_API_KEY"):
        way.ask(chat, "hello")
    assert len(chat) == 0


def test_the_key_manager(talk, way, monkeypatch):
    """Without ``api_key``, the process-wide keys; or those of the environment."""
    here = talk("one", "two")
    one, two = here.sim.keys
    chat = Chat(model="gpt-4o", base_url=here.sim.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", one)
    assert way.ask(chat, "hello") == "You said: hello"
    KeyManager([two])
    other = Chat(model="gpt-4o", base_url=here.sim.base_url)
    assert way.ask(other, "hello") == "You said: hello"
    assert here.arrivals == ["one", "two"]
    assert KeyManager().status()[0].uses == 1


def test_affinity(talk, way):
    """A chat stays on its key while that works, for the sake of the provider's prompt cache; then it moves, and stays moved."""
    here = talk(*"abcdef")
    pool = KeyPool(here.sim.keys)
    chats = [here.chat(pool) for _ in range(6)]
    for number in range(3):
        for chat in chats:
            way.ask(chat, f"question {number}")
    keys = [here.arrivals[at::6] for at in range(6)]
    assert all(len(set(used)) == 1 for used in keys)
    assert len({used[0] for used in keys}) > 1
    here.sim.provider.revoke(keys[0][0])
    seen = len(here.arrivals)
    for number in range(3):
        way.ask(chats[0], f"again {number}")
    first, *others = here.arrivals[seen:]
    assert first == keys[0][0]
    assert len(others) == 3
    assert len(set(others)) == 1
    here.sim.provider.pay(keys[0][0])
    way.ask(chats[0], "still")
    assert here.arrivals[-1] == others[0]


def test_sync_and_async_share_keys(talk):
    """Both clients of a chat draw on one pool, and know the same of it."""
    here = talk(("dead", {"state": "dead"}), "good")
    chat = here.chat()
    assert chat.request("hello") == "You said: hello"
    asyncio.run(chat.async_request("hello"))
    asyncio.run(chat.async_request("hello"))
    assert here.arrivals.count("dead") <= 1
    assert here.arrivals[-2:] == ["good", "good"]


def test_pools_are_independent(talk):
    """A key that stands in two pools is counted by each for itself, and what one learns the other does not hear of."""
    here = talk("one", ("two", {"state": "dead"}))
    pools = [AKPool(here.sim.keys), AKPool(here.sim.keys)]
    chats = [here.chat(pool) for pool in pools]
    for _ in range(4):
        chats[0].request("hello")
        here.chat(pools[0]).request("hello")
    assert sum(row.uses for row in pools[0].status()) >= 8
    assert [row.uses for row in pools[1].status()] == [0, 0]
    assert [row.standing for row in pools[1].status()] == ["open", "open"]
    assert "retired" in [row.standing for row in pools[0].status()]
    limited = AKPool(here.sim.keys[:1], rpm=1)
    here.chat(limited).request("hello")
    with pytest.raises(stable_openai.NoKeyAvailable):
        here.chat(limited, max_wait=0).request("hello")
    assert chats[1].request("hello") == "You said: hello"


def test_chats_share_a_pool(talk):
    """What one chat has met, the other need not meet."""
    here = talk(("dead", {"state": "dead"}), "good")
    pool = AKPool(here.sim.keys)
    for _ in range(4):
        assert here.chat(pool).request("hello") == "You said: hello"
    assert here.arrivals.count("dead") == 1


def test_reset_api_key(talk, way):
    """What was said stays; from the next request on, the other keys are used, and only those."""
    here = talk("one", "two", "three")
    one, two, three = here.sim.keys
    chat = here.chat(one)
    way.ask(chat, "hello")
    chat.reset_api_key(two)
    way.ask(chat, "hello")
    chat.reset_api_key(AKPool([three, ...]))
    way.ask(chat, "hello")
    chat.reset_api_key([one])
    way.ask(chat, "hello")
    assert here.arrivals == ["one", "two", "three", "one"]
    assert len(chat) == 8
    assert len(here.asked[-1]["messages"]) == 7
    pooled = Chat(pool=[one], model="gpt-4o", base_url=here.sim.base_url, temperature=0)
    way.ask(pooled, "hello")
    pooled.reset_api_key(two)
    way.ask(pooled, "hello")
    assert here.arrivals[-2:] == ["one", "two"]
    assert here.asked[-1]["temperature"] == 0


def test_reset_in_the_middle(talk):
    """A stream that runs ends as it began; with a key that is wrong, nothing changes."""
    here = talk("one", "two", script=lambda request: "one two three")
    chat = here.chat(here.sim.keys[0])
    stream = chat.stream_request("count")
    next(stream)
    chat.reset_api_key(here.sim.keys[1])
    assert list(stream) == ["two ", "three"]
    chat.request("count")
    assert here.arrivals == ["one", "two"]


def test_nothing_shows_a_secret(talk, way, capsys, caplog):
    """Neither a chat nor its errors."""
    here = talk(("one", {"state": "dead"}))
    chat = here.chat()
    with pytest.raises(openai.AuthenticationError) as caught:
        way.ask(chat, "hello")
    shown = [repr(chat), str(chat), str(caught.value), *getattr(caught.value, "__notes__", [])]
    shown += [repr(chat._clients), capsys.readouterr().out, caplog.text]
    assert not [text for text in shown if here.sim.keys[0] in text]


def test_each_chat_has_its_own_history(talk, way):
    """Two chats over one pool know nothing of each other."""
    here = talk()
    pool = AKPool(here.sim.keys)
    one, two = here.chat(pool), here.chat(pool)
    way.ask(one, "a")
    way.ask(two, "b")
    assert one.fetch_messages() == [user_msg("a"), assistant_msg("You said: a")]
    assert two.fetch_messages() == [user_msg("b"), assistant_msg("You said: b")]
