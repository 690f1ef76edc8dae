"""A key is checked when it is made, never shows its secret, and can be copied and pickled."""

from __future__ import annotations

import copy
import pickle
import traceback

import pytest

from stable_openai import ConfigurationError, Key, KeyPool, Limits

SECRET = "sk-keystest-0123456789abcdef"
BAD_SECRETS = [
    ("", "is empty"),
    (" ", "white space"),
    (f" {SECRET}", "white space"),
    (f"{SECRET}\n", "line break"),
    (f"{SECRET[:12]} {SECRET[12:]}", "white space"),
    (f"{SECRET[:12]}\r\n{SECRET[12:]}", "line break"),
    (f"{SECRET[:12]}\u2013{SECRET[12:]}", "not ASCII"),
    (f"{SECRET}\u00a0", "not ASCII"),
    (f"{SECRET}\x07", "control character"),
    (None, "must be a text, not NoneType"),
    (42, "must be a text, not int"),
    (b"sk-bytes-0123456789", "must be a text, not bytes"),
    (["sk-list-0123456789"], "must be a text, not list"),
]


def shown(error: BaseException) -> str:
    """All that a person could see of an error, local variables of its frames included."""
    whole = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(whole.format()) + repr(error) + str(error) + repr(error.args)


@pytest.mark.parametrize(("secret", "problem"), BAD_SECRETS)
def test_bad_secrets_are_refused_without_being_shown(secret, problem):
    """The message says what is wrong, not what the secret is."""
    with pytest.raises(ConfigurationError, match=problem) as caught:
        Key(secret)
    assert caught.value.field == "key"
    assert SECRET[:12] not in str(caught.value)


@pytest.mark.parametrize(("secret", "problem"), BAD_SECRETS)
def test_the_place_of_a_bad_key_in_a_list_is_named(secret, problem):
    """Among many keys, the message says which one is bad."""
    with pytest.raises(ConfigurationError, match=problem) as caught:
        KeyPool(["sk-good-0123456789abcdef", {"secret": "sk-good-0123456789abcdee"}, secret])
    assert caught.value.field == "keys[2]"
    assert SECRET[:12] not in str(caught.value)


def test_duplicates_are_refused_by_place_and_mask():
    """The same key twice is a mistake in the list; the message shows both places and the mask."""
    with pytest.raises(ConfigurationError) as caught:
        KeyPool([SECRET, "sk-other-0123456789abcdef", SECRET])
    assert str(caught.value) == "keys[2]: is the same as keys[0] (sk-…cdef)"
    with pytest.raises(ConfigurationError, match="two keys have the name 'lab'"):
        KeyPool([Key(SECRET, name="lab"), Key("sk-other-0123456789abcdef", name="lab")])


@pytest.mark.parametrize(
    "keys",
    [None, 5, b"sk-bytes-0123456789", {"sk-mapping-0123456789": "lab"}, object()],
    ids=lambda keys: type(keys).__name__,
)
def test_what_is_no_list_of_keys_is_refused(keys):
    """A number, bytes or a mapping of something else is not taken for keys."""
    with pytest.raises(ConfigurationError, match="^keys: must be a list of keys"):
        KeyPool(keys)


def test_one_key_needs_no_list():
    """A secret, a Key and a mapping of its fields are each taken for one key."""
    for one in (SECRET, Key(SECRET), {"secret": SECRET}):
        assert [key.secret for key in KeyPool(one).keys] == [SECRET]
    assert len(KeyPool(iter([SECRET, "sk-other-0123456789abcdef"]))) == 2


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "key.name"),
        ({"name": "a\nb"}, "key.name"),
        ({"name": 7}, "key.name"),
        ({"name": f"my {SECRET}"}, "key.name"),
        ({"owner": " "}, "key.owner"),
        ({"owner": SECRET}, "key.owner"),
        ({"base_url": 5}, "key.base_url"),
        ({"base_url": f"https://u:{SECRET}@example.org"}, "key.base_url"),
        ({"models": "gpt-4o"}, "key.models"),
        ({"models": []}, "key.models"),
        ({"models": [4]}, "key.models"),
        ({"models": 4}, "key.models"),
        ({"weight": 0}, "key.weight"),
        ({"weight": -1}, "key.weight"),
        ({"weight": float("inf")}, "key.weight"),
        ({"weight": float("nan")}, "key.weight"),
        ({"weight": "2"}, "key.weight"),
        ({"weight": True}, "key.weight"),
        ({"limits": 60}, "key.limits"),
        ({"limits": {"rpm": 0}}, "key.limits.rpm"),
        ({"limits": {"gpt-4o": {"rpm": "many"}}}, "key.limits['gpt-4o'].rpm"),
        ({"limits": {"gpt-4o": {"speed": 1}}}, "key.limits['gpt-4o'].speed"),
    ],
)
def test_a_wrong_field_is_named(fields, field):
    """Each field of a key is checked, in a Key as in a mapping of its fields, and no secret is shown."""
    with pytest.raises(ConfigurationError) as caught:
        Key(SECRET, **fields)
    assert caught.value.field == field
    assert SECRET not in str(caught.value)
    assert SECRET in repr(fields) or SECRET not in shown(caught.value)
    with pytest.raises(ConfigurationError) as caught:
        KeyPool([{"secret": SECRET, **fields}])
    assert caught.value.field == field.replace("key", "keys[0]", 1)


def test_unknown_and_missing_fields_of_a_mapping():
    """A field that a key does not have is named, with those that it has."""
    with pytest.raises(
        ConfigurationError, match=r"keys\[0\].nam: is unknown: did you mean name\? Known are secret, name"
    ):
        KeyPool([{"secret": SECRET, "nam": "lab"}])
    with pytest.raises(ConfigurationError, match=r"keys\[1\].secret: is missing"):
        KeyPool([SECRET, {"name": "lab"}])


def test_limits_of_the_whole_and_by_model():
    """``limits`` takes Limits, their fields, or models with either; ``"*"`` stands for all models."""
    key = Key(SECRET, limits={"*": {"rpm": 5}, "gpt-4o": Limits(tpm=100), "mini": {"rpd": 7}})
    assert key.limits == Limits(rpm=5)
    assert key.model_limits == {"gpt-4o": Limits(tpm=100), "mini": Limits(rpd=7)}
    assert Key(SECRET, limits={"rpm": 5}).limits == Limits(rpm=5)


@pytest.mark.parametrize("name", [None, "lab"])
def test_a_key_never_shows_its_secret(name):
    """repr and str have the mask; so has the secret itself, which is the real text everywhere else."""
    key = Key(SECRET, name=name, owner="org-1")
    assert repr(key) == str(key) == f"<Key {name or '(unnamed)'} sk-…cdef, owner='org-1'>"
    assert repr(key.secret) == "'sk-…cdef'"
    assert key.secret == SECRET
    assert f"Bearer {key.secret}" == f"Bearer {SECRET}"
    assert repr(Key("short")) == "<Key (unnamed) …>"


def test_copies_and_pickles_are_the_same_key():
    """A key can be handed to another process, and hides its secret there too."""
    key = Key(SECRET, name="lab", owner="org-1", models=["a"], limits={"a": {"rpm": 3}}, weight=2)
    for twin in (copy.copy(key), copy.deepcopy(key), pickle.loads(pickle.dumps(key))):
        assert (twin.secret, twin.name, twin.owner, twin.models, twin.weight) == (SECRET, "lab", "org-1", {"a"}, 2.0)
        assert twin.model_limits == key.model_limits
        assert repr(twin) == repr(key)
        assert repr(twin.secret) == "'sk-…cdef'"


def test_a_key_does_not_change():
    """What a pool has counted for a key stays true."""
    with pytest.raises(AttributeError):
        Key(SECRET).weight = 3
