"""The keys by name: adding, removing, the strategies, and keys by hand."""

from __future__ import annotations

from collections import Counter

import pytest

from stable_openai import ChatManager, ConfigurationError, KeyManager, KeyPool, ManualClock, NoKeyAvailable


def manager_of(*names, clock=None):
    cm = ChatManager(KeyPool(clock=clock)) if clock else ChatManager()
    for name in names:
        cm.add_key(name, f"sk-keys-{name}-0123456789")
    return cm


def handed_out(cm, count):
    return [cm.keys.get_key_name(cm.keys.get_key()) for _ in range(count)]


def test_the_four_strategies_one_after_the_other():
    """As chatmanager's users know them: switched while it runs, each goes by what was used before."""
    clock = ManualClock()
    cm = manager_of("key1", "key2", "key3", clock=clock)
    assert handed_out(cm, 5) == ["key1", "key2", "key3", "key1", "key2"]

    cm.keys.set_strategy("least-used")
    assert handed_out(cm, 1) == ["key3"]

    cm.keys.set_strategy("rest-time")
    for name in ("key1", "key3", "key2"):
        clock.advance(1)
        assert cm.keys.get_key_name(cm.keys.get_key(name)) == name
    clock.advance(1)
    assert handed_out(cm, 1) == ["key1"]

    cm.keys.set_strategy("random")
    assert set(handed_out(cm, 200)) == {"key1", "key2", "key3"}

    for same in ("default", "roll-polling"):
        cm.keys.set_strategy(same)
        assert sorted(handed_out(cm, 3)) == ["key1", "key2", "key3"]


@pytest.mark.parametrize("strategy", ["default", "roll-polling", "rest-time", "least-used"])
def test_messages_go_out_by_the_strategy(office, said, strategy):
    """One after the other, they are spread evenly."""
    setting = office("a", "b", "c")
    setting.cm.keys.set_strategy(strategy)
    setting.cm.send(said(*"123456"), thread_num=1)
    assert Counter(setting.arrivals) == {"a": 2, "b": 2, "c": 2}
    assert setting.arrivals[:3] == ["a", "b", "c"]


def test_keys_by_hand_count_for_messages(office, said):
    """A key that was handed out counts as used."""
    setting = office("a", "b")
    setting.cm.keys.set_strategy("least-used")
    for _ in range(3):
        setting.cm.keys.get_key("a")
    setting.cm.send(said(*"123"), thread_num=1)
    assert setting.arrivals == ["b", "b", "b"]


def test_unknown_strategies_are_refused():
    """By name, with those that there are; the one before stays."""
    cm = manager_of("a")
    cm.keys.set_strategy("rest-time")
    with pytest.raises(ConfigurationError, match="^strategy: 'rest_time' is unknown; known are round-robin, random"):
        cm.keys.set_strategy("rest_time")
    assert cm.keys.pool.strategy == "rest-time"


def test_names():
    """Each name and each secret once; what is there can be asked."""
    cm = manager_of("a", "b")
    assert (list(cm.keys), len(cm.keys), cm.keys.has_key()) == (["a", "b"], 2, True)
    assert cm.keys.key_name_exist("a")
    assert not cm.keys.key_name_exist("c")
    assert cm.keys.key_value_exist("sk-keys-a-0123456789")
    assert cm.keys.get_key_name("sk-keys-c-0123456789") is None
    assert cm.keys.get_key_name("a") is None
    with pytest.raises(ConfigurationError, match=r"^key.name: 'a' is the name of another key"):
        cm.add_key("a", "sk-keys-c-0123456789")
    with pytest.raises(ConfigurationError, match=r"^key: sk-…6789 is in this pool already, as a"):
        cm.add_key("c", "sk-keys-a-0123456789")
    with pytest.raises(ConfigurationError, match=r"^name: is missing"):
        cm.add_key(None, "sk-keys-c-0123456789")
    assert list(cm.keys) == ["a", "b"]


def test_a_key_that_is_removed():
    """It is handed out no more; there is none of its name then."""
    cm = manager_of("a", "b")
    cm.keys.remove_key("a")
    assert handed_out(cm, 3) == ["b", "b", "b"]
    for call in (cm.keys.remove_key, cm.keys.get_key):
        with pytest.raises(KeyError, match="there is no such key in this pool"):
            call("a")


def test_all_keys_removed(said, monkeypatch):
    """Those of the environment don't step in for keys of one's own."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-keys-env-0123456789")
    cm = manager_of("a")
    cm.set_session("s")
    cm.keys.remove_key("a")
    assert not cm.keys.has_key()
    for call in (cm.keys.get_key, lambda: cm.send(said("hello"))):
        with pytest.raises(ConfigurationError, match=r"^keys: there are none left: cm.add_key\(name, secret\)"):
            call()


def test_a_key_by_hand_that_rests():
    """It says why, and when; others are handed out meanwhile."""
    clock = ManualClock()
    cm = manager_of("a", "b", clock=clock)
    cm.keys.pool.park("a", 600)
    assert handed_out(cm, 2) == ["b", "b"]
    with pytest.raises(NoKeyAvailable) as caught:
        cm.keys.get_key("a")
    assert caught.value.retry_after == pytest.approx(600)
    assert set(caught.value.reasons) == {"a", "b"}
    with pytest.raises(ConfigurationError, match="^max_wait: "):
        cm.keys.get_key(max_wait=-1)


def test_a_key_by_hand_keeps_limits():
    """Each counts as a request, and is no longer in flight."""
    cm = ChatManager(KeyPool(rpm=2, max_concurrency=1, clock=ManualClock()))
    cm.add_key("a", "sk-keys-a-0123456789")
    assert handed_out(cm, 2) == ["a", "a"]
    with pytest.raises(NoKeyAvailable):
        cm.keys.get_key(max_wait=0)
    assert cm.keys.pool.status()[0].in_flight == 0


def test_keys_of_the_environment(monkeypatch):
    """Where none was added: they can be handed out, too."""
    monkeypatch.setenv("OPENAI_API_KEYS", "sk-keys-env-0123456789")
    cm = ChatManager()
    assert cm.keys.get_key() == "sk-keys-env-0123456789"
    assert list(cm.keys) == ["OPENAI_API_KEYS"]


def test_a_strategy_without_keys_of_ones_own(said):
    """It would be for nothing: that is said, with both mends."""
    KeyManager(["sk-keys-env-0123456789"])
    cm = ChatManager()
    cm.set_session("s")
    cm.keys.set_strategy("random")
    with pytest.raises(
        ConfigurationError, match=r"^strategy: was set to 'random' .*add_key.*ChatManager\(KeyManager\(\)\)"
    ):
        cm.send(said("hello"))
    ChatManager(KeyManager()).keys.set_strategy("random")
    assert KeyManager().strategy == "random"
    assert cm.keys.get_key() == "sk-keys-env-0123456789"
    cm.add_key("a", "sk-keys-a-0123456789")
    assert list(cm.keys) == ["a"]


def test_nothing_secret_is_shown():
    """Neither by the manager nor by what it has."""
    cm = manager_of("a")
    cm.set_session("s")
    shown = f"{cm!r} {cm.keys!r} {cm.setup!r} {cm.get_session()!r} {cm.keys.get_key()!r}"
    assert "0123456789" not in shown
    assert repr(ChatManager()) == "<ChatManager with gpt-4o-mini, no session, 0 keys>"
