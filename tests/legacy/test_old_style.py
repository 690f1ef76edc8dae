"""Code for openai 0.28: `openai.api_key`, `openai.ChatCompletion.create`, `openai.error.RateLimitError`."""

from __future__ import annotations

import threading

import pytest

from stable_openai import KeyManager, stable

KEYS = [f"sk-old-{letter * 20}" for letter in "abcd"]

# openai 0.28 as far as its users see it: the key of a call, else that of the module; errors without a response.
OLD = """
    import threading

    api_key = None
    served = []                       # (prompt, key) of each request that was answered
    limited = set()                   # keys that answer 429
    dead = set()                      # keys that answer 401
    between = lambda: None            # runs before a request goes out

    class error:
        class OpenAIError(Exception):
            def __init__(self, message=None, http_body=None, http_status=None, json_body=None, headers=None, code=None):
                super().__init__(message)
                self._message, self.http_body, self.http_status = message, http_body, http_status
                self.json_body, self.headers, self.code = json_body, headers or {}, code
                self.request_id, self.organization = None, None

        class RateLimitError(OpenAIError):
            pass

        class AuthenticationError(OpenAIError):
            pass

    for kind in (error.OpenAIError, error.RateLimitError, error.AuthenticationError):
        kind.__module__ = "openai.error"

    def _request(own, prompt):
        between()
        key = own or api_key
        if key in limited:
            body = {"error": {"message": "Rate limit reached", "type": "requests", "code": "rate_limit_exceeded"}}
            raise error.RateLimitError("Rate limit reached", None, 429, body, {"retry-after": "20"})
        if key in dead:
            body = {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}
            raise error.AuthenticationError("Incorrect API key provided", None, 401, body)
        served.append((prompt, key))
        return {"choices": [{"message": {"content": prompt}}]}

    class ChatCompletion:
        @classmethod
        def create(cls, *args, **kwargs):
            return _request(kwargs.get("api_key"), kwargs["messages"][-1]["content"])

        @classmethod
        async def acreate(cls, *args, **kwargs):
            return _request(kwargs.get("api_key"), kwargs["messages"][-1]["content"])
"""


@pytest.fixture
def old(legacy):
    legacy("old_openai", OLD)
    module = legacy.load("old_openai")
    module.limited.add(KEYS[0])
    module.dead.add(KEYS[1])
    KeyManager(KEYS)
    return module


def messages(prompt):
    return [{"role": "user", "content": prompt}]


def test_the_key_in_the_module_one_call_after_the_other(old):
    """A limited key rests, a dead one is retired, and every call is answered."""

    @stable
    def ask(prompt, api_key):
        old.api_key = api_key
        return old.ChatCompletion.create(model="gpt-3.5-turbo", messages=messages(prompt))

    for number in range(10):
        assert ask(f"q{number}")["choices"][0]["message"]["content"] == f"q{number}"
    assert {key for _, key in old.served} == set(KEYS[2:])
    standing = {status.name: status.standing for status in KeyManager().status()}
    assert standing["key-2"] == "retired"


def test_what_threads_do_to_the_key_in_the_module(old):
    """Why the docstring warns: between setting the key and sending the request another thread may set its own."""
    old.limited.clear()
    old.dead.clear()
    together, used = threading.Barrier(2), []
    old.between = lambda: together.wait(10)

    @stable
    def ask(prompt, api_key):
        old.api_key = api_key
        used.append(api_key)
        return old.ChatCompletion.create(messages=messages(prompt))

    threads = [threading.Thread(target=ask, args=(prompt,)) for prompt in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(set(used)) == 2
    assert len({key for _, key in old.served}) == 1, "one key has made both requests"


def test_the_key_in_the_call_in_threads(old):
    """Each request goes out under the key that was granted for it."""
    granted, lock = [], threading.Lock()

    @stable
    def ask(prompt, api_key):
        answer = old.ChatCompletion.create(model="gpt-3.5-turbo", messages=messages(prompt), api_key=api_key)
        with lock:
            granted.append((prompt, api_key))
        return answer

    threads = [
        threading.Thread(target=lambda thread=thread: [ask(f"{thread}-{n}") for n in range(20)]) for thread in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(granted) == 160
    assert sorted(old.served) == sorted(granted)
    assert {key for _, key in granted} == set(KEYS[2:])


async def test_patched_where_it_stands(old):
    """`create` takes any keyword, so it can be patched itself: then code that sets no key at all has failover."""
    before = dict(vars(old.ChatCompletion))
    with stable.patch("old_openai:ChatCompletion.create", "old_openai:ChatCompletion.acreate", model="gpt-3.5-turbo"):
        for number in range(4):
            old.ChatCompletion.create(messages=messages(f"q{number}"))
            await old.ChatCompletion.acreate(messages=messages(f"a{number}"))
        old.ChatCompletion.create(messages=messages("own"), api_key="sk-own-key-of-the-caller-000")
    assert len(old.served) == 9
    assert old.served[-1] == ("own", "sk-own-key-of-the-caller-000")
    assert {key for _, key in old.served[:-1]} == set(KEYS[2:])
    assert all(vars(old.ChatCompletion)[name] is value for name, value in before.items())
