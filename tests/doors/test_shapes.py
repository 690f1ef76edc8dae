"""Whatever can be called can be decorated: methods of all kinds, partials, callable objects; and it looks as before."""

from __future__ import annotations

import asyncio
import functools
import inspect
import types

import pytest

from stable_openai import KeyPool, stable

A, B = "sk-shapes-aaaaaaaaaaaaaaaaaaa", "sk-shapes-bbbbbbbbbbbbbbbbbbb"
pool = KeyPool([A])


class Crawler:
    """Methods of every kind, decorated on either side."""

    def __init__(self, name="crawler"):
        self.name = name

    @stable(pool=pool)
    def method(self, model, api_key=""):
        """What a method says."""
        return self.name, model, str(api_key)

    @stable(pool=pool)
    @classmethod
    def inner_classmethod(cls, model, api_key=""):
        return cls.__name__, model, str(api_key)

    @classmethod
    @stable(pool=pool)
    def outer_classmethod(cls, model, api_key=""):
        return cls.__name__, model, str(api_key)

    @stable(pool=pool)
    @staticmethod
    def inner_staticmethod(model, api_key=""):
        return "static", model, str(api_key)

    @staticmethod
    @stable(pool=pool)
    def outer_staticmethod(model, api_key=""):
        return "static", model, str(api_key)

    @stable(pool=pool)
    async def coroutine(self, model, api_key=""):
        return self.name, model, str(api_key)

    @stable(pool=pool)
    def generator(self, model, api_key=""):
        yield self.name, model, str(api_key)

    @stable(pool=pool)
    async def async_generator(self, model, api_key=""):
        yield self.name, model, str(api_key)

    class Nested:
        """A class within a class."""

        @stable(pool=pool)
        def method(self, model, api_key=""):
            return type(self).__qualname__, model, str(api_key)


class Child(Crawler):
    """A class that inherits, and goes on with super()."""

    @stable(pool=pool)
    def method(self, model, api_key=""):
        return "child of", *super().method(model)


EXPECTED = {
    "method": "crawler",
    "inner_classmethod": "Crawler",
    "outer_classmethod": "Crawler",
    "inner_staticmethod": "static",
    "outer_staticmethod": "static",
}


@pytest.mark.parametrize(("name", "who"), EXPECTED.items())
def test_methods(name, who):
    """By an object and by the class, with arguments by place and by name, with a key of the caller's own."""
    by_object = getattr(Crawler(), name)
    ways = [by_object]
    ways.append(functools.partial(Crawler.method, Crawler()) if name == "method" else getattr(Crawler, name))
    for call in ways:
        assert call("m") == call(model="m") == (who, "m", A)
        assert call("m", "mine") == call("m", api_key="mine") == call(api_key="mine", model="m") == (who, "m", "mine")
        assert call("m", None) == (who, "m", A)


@pytest.mark.parametrize(("name", "who"), EXPECTED.items())
def test_options_of_methods(name, who):
    """``.options`` keeps the object, or the class."""
    if type(getattr(Crawler, name)) is types.MethodType:
        pytest.skip("from Python 3.13 on an outer classmethod hides what it binds: put @stable above @classmethod")
    other = KeyPool([B])
    assert getattr(Crawler(), name).options(pool=other)("m") == (who, "m", B)
    if name == "method":
        assert Crawler.method.options(pool=other)(Crawler(), "m") == (who, "m", B)
    else:
        assert getattr(Crawler, name).options(pool=other)("m") == (who, "m", B)


def test_methods_of_the_other_kinds():
    """Coroutines, generators and async generators as methods."""
    crawler = Crawler("other")

    async def all_of_them():
        return [await crawler.coroutine("m"), *[item async for item in crawler.async_generator("m")]]

    assert [*asyncio.run(all_of_them()), *crawler.generator("m")] == [("other", "m", A)] * 3


def test_nested_classes_and_inheritance():
    """Each finds its own self, and super() works."""
    assert Crawler.Nested().method("m") == ("Crawler.Nested", "m", A)
    assert Child().method("m") == ("child of", "crawler", "m", A)
    assert Child().inner_classmethod("m") == Child.outer_classmethod("m") == ("Child", "m", A)


def test_callable_objects_partials_and_bound_methods():
    """What is decorated afterwards, as it comes."""

    class Plain:
        def __call__(self, model, api_key=""):
            return "called", model, str(api_key)

        def method(self, model, api_key=""):
            return "bound", model, str(api_key)

    def plain(model, temperature, api_key=""):
        return temperature, model, str(api_key)

    assert stable(pool=pool)(Plain())("m") == ("called", "m", A)
    assert stable(pool=pool)(Plain().method)("m") == ("bound", "m", A)
    assert stable(pool=pool)(Plain().method)("m", "mine") == ("bound", "m", "mine")
    assert stable(pool=pool)(functools.partial(plain, "m"))(0.5) == (0.5, "m", A)
    assert stable(pool=pool)(functools.partial(plain, temperature=1))("m") == (1, "m", A)
    decorated = stable(pool=pool)(plain)
    assert functools.partial(decorated, "m", api_key="mine")(0.5) == (0.5, "m", "mine")
    assert functools.partial(decorated, temperature=2)("m") == (2, "m", A)


def test_callable_objects_and_partials_of_the_other_kinds():
    """An async ``__call__`` and a partial of a coroutine function are awaited; generators are iterated."""

    class Async:
        async def __call__(self, api_key=""):
            return str(api_key)

    class Generator:
        def __call__(self, api_key=""):
            yield str(api_key)

    async def coroutine(model, api_key=""):
        return str(api_key)

    assert asyncio.run(stable(pool=pool)(Async())()) == A
    assert asyncio.run(stable(pool=pool)(functools.partial(coroutine, "m"))()) == A
    assert list(stable(pool=pool)(Generator())()) == [A]


def test_another_decorator_below_and_above():
    """functools.wraps on either side keeps what it wraps."""

    def twice(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            return function(*args, **kwargs), function(*args, **kwargs)

        return wrapper

    def ask(model, api_key=""):
        """Ask it."""
        return model, str(api_key)

    above, below = twice(stable(pool=pool)(ask)), stable(pool=pool)(twice(ask))
    assert above("m") == below("m") == (("m", A), ("m", A))
    for function in (above, below):
        assert (function.__name__, function.__doc__) == ("ask", "Ask it.")
        assert str(inspect.signature(function)) == "(model, api_key='')"


def function(model: str, *, api_key: str = "") -> tuple[str, str]:
    """What a function says."""
    return model, api_key


def test_it_looks_as_before():
    """Name, docs, module, annotations, signature, source; and attributes that are set."""
    decorated = stable(pool=pool)(function)
    assert (decorated.__name__, decorated.__qualname__, decorated.__module__) == ("function", "function", __name__)
    assert decorated.__doc__ == "What a function says."
    assert decorated.__wrapped__ is function
    assert inspect.signature(decorated) == inspect.signature(function)
    assert inspect.getsource(decorated) == inspect.getsource(function)
    assert inspect.get_annotations(decorated) == inspect.get_annotations(function)
    assert inspect.isfunction(decorated)
    assert isinstance(decorated, types.FunctionType)
    assert callable(decorated)
    decorated.mark = 5
    assert function.mark == 5
    assert Crawler.method.__doc__ == "What a method says."
    assert str(inspect.signature(Crawler().method)) == "(model, api_key='')"
    assert inspect.ismethod(Crawler().method)


def test_its_kind_is_kept():
    """What inspect says of each kind."""
    decorated = {name: getattr(Crawler(), name) for name in ("method", "coroutine", "generator", "async_generator")}
    asked = {
        "coroutine": inspect.iscoroutinefunction,
        "generator": inspect.isgeneratorfunction,
        "async_generator": inspect.isasyncgenfunction,
    }
    for name, method in decorated.items():
        assert [kind for kind, is_it in asked.items() if is_it(method)] == ([] if name == "method" else [name])


def test_inner_functions_and_lambdas():
    """Closures keep what they have caught."""

    def make(word):
        @stable(pool=pool)
        def inner(api_key=""):
            return word, str(api_key)

        return inner

    assert [make(word)() for word in "xy"] == [("x", A), ("y", A)]
    assert stable(pool=pool)(lambda api_key: str(api_key))() == A


def test_bare_or_with_options_or_both():
    """``@stable``, ``@stable()``, ``@stable(...)``, ``stable(function)``."""
    for decorated in (stable(function), stable()(function), stable(model="m")(function)):
        assert decorated.options(pool=pool)("m") == ("m", A)
