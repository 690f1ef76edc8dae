"""What a function asks for by name is what it gets, and what the caller gives stays."""

from __future__ import annotations

import functools

import pytest

from stable_openai import ConfigurationError, InjectionError, Key, KeyPool, stable

A, B = "sk-injection-aaaaaaaaaaaaaaaa", "sk-injection-bbbbbbbbbbbbbbbb"


@pytest.fixture
def pool():
    return KeyPool([Key(A, name="one", base_url="https://one.example/v1"), Key(B, name="two")])


def test_api_key_key_and_base_url(pool):
    """The secret, the whole key, its endpoint; together or alone."""

    @stable(pool=pool)
    def everything(*, api_key, key, base_url):
        return str(api_key), key.name, base_url

    @stable(pool=pool)
    def key_alone(key):
        return key.secret == A or key.secret == B

    assert everything() == (A, "one", "https://one.example/v1")
    assert everything() == (B, "two", None)
    assert key_alone()


def test_a_default_stays_where_the_key_has_no_endpoint(pool):
    """A key without a base URL does not take the function's own away."""

    @stable(pool=pool)
    def ask(api_key="", base_url="https://default.example/v1"):
        return base_url

    assert [ask(), ask(), ask(base_url="https://mine.example")] == [
        "https://one.example/v1",
        "https://default.example/v1",
        "https://mine.example",
    ]


def test_the_callers_key_by_place(pool):
    """A positional credential is seen as well, and an empty one in its place is filled."""

    @stable(pool=pool)
    def ask(model, api_key=None, messages=()):
        return model, str(api_key), messages

    assert ask("m", "mine", "hi") == ("m", "mine", "hi")
    assert ask("m", None, "hi") == ("m", A, "hi")
    assert ask("m", "") == ("m", B, ())
    assert ask(model="m", messages="hi") == ("m", A, "hi")


def test_the_callers_whole_key_wins(pool):
    """A function that asks for ``key`` can be given one."""
    mine = Key("sk-mine-0123456789abcdef")
    used = stable(pool=pool)(lambda key: key)
    assert used(mine) is used(key=mine) is mine
    assert used(None).name == "one"
    assert [row.uses for row in pool.status()] == [1, 0]


def test_a_key_of_another_meaning(pool):
    """In ``look_up(key, api_key)`` the key is the function's own business; the credential comes from the pool."""

    @stable(pool=pool)
    def look_up(key, api_key):
        return key, str(api_key)

    assert look_up("name") == ("name", A)
    assert look_up(key="name") == ("name", B)
    assert look_up("name", "mine") == ("name", "mine")


def test_keyword_arguments_of_any_name(pool):
    """``**kwargs`` takes the api_key along."""

    @stable(pool=pool)
    def ask(prompt, **kwargs):
        return prompt, {name: str(value) for name, value in kwargs.items()}

    @stable(pool=pool)
    def ask_there(base_url=None, **kwargs):
        return base_url, str(kwargs["api_key"])

    assert ask("hi", temperature=0) == ("hi", {"temperature": "0", "api_key": A})
    assert ask("hi", api_key="mine") == ("hi", {"api_key": "mine"})
    assert ask_there() == (None, B)


def test_the_callers_arguments_are_not_changed(pool):
    """Neither the dictionary nor the list that was handed in."""
    ask = stable(pool=pool)(lambda *args, **kwargs: (args, kwargs))
    given = {"messages": []}
    ask(1, **given)
    assert given == {"messages": []}


@pytest.mark.parametrize("how", ["by name", "by place", "by default", "by the decorator", "by partial"])
def test_the_model_of_a_call(how):
    """Wherever the model stands, keys for other models are not used."""
    pool = KeyPool([Key(A, models=["mini"]), Key(B, models=["gpt-4o"])])

    def ask(prompt, model=None, api_key=""):
        return str(api_key)

    def ask_default(prompt, model="gpt-4o", api_key=""):
        return str(api_key)

    call = {
        "by name": lambda: stable(pool=pool)(ask)("hi", model="gpt-4o"),
        "by place": lambda: stable(pool=pool)(ask)("hi", "gpt-4o"),
        "by default": lambda: stable(pool=pool)(ask_default)("hi"),
        "by the decorator": lambda: stable(pool=pool, model="gpt-4o")(ask)("hi"),
        "by partial": lambda: stable(pool=pool)(functools.partial(ask, model="gpt-4o"))("hi"),
    }[how]
    assert [call() for _ in range(4)] == [B] * 4


def test_the_calls_own_model_wins_over_the_decorators():
    """What is really sent decides."""
    pool = KeyPool([Key(A, models=["mini"]), Key(B, models=["gpt-4o"])])
    ask = stable(pool=pool, model="gpt-4o")(lambda prompt, model=None, api_key="": str(api_key))
    assert [ask("hi", "mini"), ask("hi", model="mini"), ask("hi")] == [A, A, B]


def test_a_model_that_is_no_text(pool):
    """An object of the user's own under that name is none of our business."""
    ask = stable(pool=pool)(lambda model, api_key="": (model, str(api_key)))
    thing = object()
    assert ask(thing) == (thing, A)
    assert ask(model=["a", "list"]) == (["a", "list"], B)


def test_tokens_are_estimated_or_told():
    """Where a limit counts tokens: by the messages, by a number, or by a callable of the call's arguments."""
    pool = KeyPool([A], tpm=100_000)

    def used():
        return next(window.used for lane in pool.status()[0].lanes for window in lane.windows)

    def ask(messages, max_tokens=None, api_key=""):
        return None

    stable(pool=pool)(ask)([{"role": "user", "content": "hello " * 1000}], max_tokens=50)
    assert 1050 <= used() <= 1600
    before = used()
    stable(pool=pool, tokens=70)(ask)([])
    assert used() - before == 70
    before = used()
    stable(pool=pool, tokens=lambda messages, **rest: len(messages))(ask)([1, 2, 3])
    assert used() - before == 3


@pytest.mark.parametrize("tokens", [-1, 1.5, "9", True])
def test_wrong_tokens(pool, tokens):
    """Refused when the function is decorated, or when the callable gives them; nothing stays in flight."""
    with pytest.raises(ConfigurationError, match="^tokens: "):
        stable(pool=pool, tokens=tokens)(lambda api_key: 1)
    counting = KeyPool([A], tpm=10)
    with pytest.raises(ConfigurationError, match="^tokens: "):
        stable(pool=counting, tokens=lambda: tokens)(lambda api_key: 1)()
    assert counting.status()[0].in_flight == 0


def test_a_tokens_callable_that_raises_after_a_quick_start(pool):
    """It is asked when the first attempt has failed; its error is raised, and no lease is lost."""

    class Limited(Exception):
        status_code, headers, body = 429, {}, {"error": {"message": "slow"}}

    @stable(pool=pool, tokens=lambda: 1 / 0)
    def ask(api_key=""):
        raise Limited

    with pytest.raises(ZeroDivisionError):
        ask()
    assert [row.in_flight for row in pool.status()] == [0, 0]


# -- refusals


def no_parameter(model, messages): ...
def by_place_alone(api_key, /): ...
def star(*api_key): ...
def address_alone(base_url): ...


@pytest.mark.parametrize(
    ("function", "name", "mend"),
    [
        (no_parameter, "no_parameter", r"def ask\(model, messages, api_key\)"),
        (by_place_alone, "by_place_alone", "without '/'"),
        (star, "star", "by place alone"),
        (address_alone, "address_alone", "api_key"),
        (lambda: None, "<lambda>", "api_key"),
        (classmethod(no_parameter), "no_parameter", "api_key"),
        (functools.partial(no_parameter, "m"), "partial", "api_key"),
    ],
)
def test_a_function_with_nothing_to_fill_is_refused_when_it_is_decorated(function, name, mend):
    """The message names the function and the mend; it is a TypeError and a ValueError."""
    with pytest.raises(InjectionError, match=mend) as caught:
        stable(function)
    assert name in caught.value.field
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, ConfigurationError)


def test_what_is_no_function_is_refused():
    """A pool or a text in the function's place: options go by name."""
    for wrong in (KeyPool([A]), "gpt-4o", 5):
        with pytest.raises(ConfigurationError, match="^stable: decorates a function, not .*; give options by name"):
            stable(wrong)
    with pytest.raises(InjectionError, match="its signature can't be read"):
        stable(Unreadable())


class Unreadable:
    __signature__ = "nonsense"

    def __call__(self): ...


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"max_wiat": 5}, "max_wiat"),
        ({"pool": "memory://"}, "pool"),
        ({"model": 5}, "model"),
        ({"max_wait": -5}, "max_wait"),
        ({"max_wait": "5"}, "max_wait"),
        ({"timeout": True}, "timeout"),
        ({"stop": 5}, "stop"),
        ({"wait": 5}, "wait"),
    ],
)
def test_wrong_options_are_refused_by_name(options, field):
    """When the function is decorated, and by ``.options`` too."""
    with pytest.raises(ConfigurationError) as caught:
        stable(**options)(lambda api_key: 1)
    assert caught.value.field == field
    with pytest.raises(ConfigurationError) as caught:
        stable(lambda api_key: 1).options(**options)
    assert caught.value.field == field
