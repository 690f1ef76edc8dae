"""One story told to all four kinds of function."""

from __future__ import annotations

import asyncio

import pytest

from stable_openai import KeyManager, ManualClock, stable

SECRETS = [f"sk-doors-{letter * 20}" for letter in "abc"]


class Answer(Exception):
    """A provider's error, as any library's exception carries it."""

    def __init__(self, status=429, code="rate_limit_exceeded", **headers):
        super().__init__(f"HTTP {status}: {code}")
        self.status_code, self.headers = status, {name.replace("_", "-"): value for name, value in headers.items()}
        self.body = {"error": {"message": code, "code": code}}


class Kind:
    """Makes a decorated function of one kind out of a plain one, and calls it to its end."""

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return self.name

    def make(self, plain, **options):
        """``plain(*args, api_key=...)`` as this kind of function, decorated."""

        def function(*args, api_key=""):
            return plain(*args, api_key=api_key)

        async def coroutine(*args, api_key=""):
            await asyncio.sleep(0)
            return plain(*args, api_key=api_key)

        def generator(*args, api_key=""):
            yield plain(*args, api_key=api_key)

        async def async_generator(*args, api_key=""):
            await asyncio.sleep(0)
            yield plain(*args, api_key=api_key)

        made = locals()[self.name]
        return stable(**options)(made) if options else stable(made)

    def call(self, function, *args, **kwargs):
        """The value that a decorated function of this kind gives."""
        if self.name == "function":
            return function(*args, **kwargs)
        if self.name == "generator":
            (item,) = function(*args, **kwargs)
            return item

        async def run():
            if self.name == "coroutine":
                return await function(*args, **kwargs)
            (item,) = [item async for item in function(*args, **kwargs)]
            return item

        return asyncio.run(run())


@pytest.fixture(params=["function", "coroutine", "generator", "async_generator"])
def kind(request):
    return Kind(request.param)


@pytest.fixture
def answer():
    return Answer


@pytest.fixture
def clock():
    clock = ManualClock()
    clock.sleep = clock.advance

    async def asleep(seconds):
        clock.advance(seconds)

    clock.asleep = asleep
    return clock


@pytest.fixture
def pool(clock):
    """The process-wide pool, of three keys."""
    return KeyManager(SECRETS, clock=clock)
