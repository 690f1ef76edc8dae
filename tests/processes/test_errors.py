"""openai's exceptions, raised by a decorated function, are themselves again after they were pickled or copied."""

from __future__ import annotations

import asyncio
import json
import pickle
import subprocess
import sys
import threading

import cloudpickle
import openai
import pydantic
import pytest

import stable_openai
from stable_openai import KeyPool, stable

STATUSES = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    409: openai.ConflictError,
    418: openai.APIStatusError,
    422: openai.UnprocessableEntityError,
    429: openai.RateLimitError,
    503: openai.InternalServerError,
}
TOLD = ("message", "status_code", "code", "param", "type", "body", "request_id")


def told(error):
    return {name: getattr(error, name) for name in TOLD}


@pytest.mark.parametrize("status", STATUSES)
def test_a_refusal(status, make, travel):
    """Type, status, code, body, headers, text, request and notes; the response is a real one."""
    error = make.raised_by(make.refusal(status, retry_after="7", x_ratelimit_remaining_requests="0"))
    assert type(error) is STATUSES[status]
    again = travel(error)
    assert type(again) is type(error)
    assert told(again) == told(error)
    assert (str(again), again.args) == (str(error), error.args)
    assert again.code == "some_code"
    assert type(again.response) is make.HTTPX.Response
    assert again.response.status_code == status
    assert again.response.headers == error.response.headers
    assert again.response.headers["Retry-After"] == "7"
    assert (again.response.text, again.response.json()) == (error.response.text, error.response.json())
    assert again.response.is_error
    for request in (again.request, again.response.request):
        assert (request.method, str(request.url)) == ("POST", "http://provider.invalid/v1/chat/completions")
        assert "authorization" not in request.headers
    assert getattr(again, "__notes__", None) == getattr(error, "__notes__", None)


def test_what_the_function_raised_is_as_it_was(make):
    """In its own process nothing has changed: the very same exception, request and credential."""
    client, raised = make.client(make.refusal(429)), []

    @stable(pool=make.pool(), stop=lambda state: True)
    def ask(api_key=""):
        try:
            client.chat.completions.create(**make.CHAT)
        except openai.RateLimitError as error:
            raised.append(error)
            raise

    with pytest.raises(openai.RateLimitError) as caught:
        ask()
    pickle.dumps(caught.value)
    assert caught.value is raised[0]
    assert caught.value.request.headers["Authorization"] == f"Bearer {make.SECRET}"
    assert caught.value.response.request is caught.value.request
    assert caught.value.__notes__ == ["attempt 1 with only (sk-…6789): rate_limited_unspecified"]


@pytest.mark.parametrize(
    ("happened", "kind"), [("ConnectError", openai.APIConnectionError), ("ReadTimeout", openai.APITimeoutError)]
)
def test_no_answer_at_all(happened, kind, make, travel):
    """What openai has made of a lost connection, with the notes, and httpx's exception as its cause."""
    error = make.raised_by(getattr(make.HTTPX, happened)("it is gone"))
    again = travel(error)
    assert type(again) is type(error) is kind
    assert (str(again), again.message, again.body) == (str(error), error.message, None)
    assert again.request.method == "POST"
    assert again.__notes__ == error.__notes__
    assert len(again.__notes__) == 1
    assert type(again.__cause__) is getattr(make.HTTPX, happened)
    assert str(again.__cause__) == "it is gone"
    assert str(again.__cause__.request.url) == "http://provider.invalid/v1/chat/completions"


def test_an_error_event_in_a_stream(make, travel):
    """It has a body and no response."""
    event = 'data: {"error": {"message": "The server had a bad day", "type": "server_error", "code": "oops"}}\n\n'
    answer = make.HTTPX.Response(200, content=event, headers={"content-type": "text/event-stream"})
    client = make.client(answer)
    error = make.raised(lambda: list(client.chat.completions.create(**make.CHAT, stream=True)))
    again = travel(error)
    assert type(again) is openai.APIError
    assert (str(again), again.code) == ("The server had a bad day", "oops")
    assert again.body == error.body
    assert len(again.__notes__) == 1


def test_an_answer_that_is_not_what_was_promised(make, travel):
    """``APIResponseValidationError``, and a body that is no JSON."""
    request = make.HTTPX.Request("GET", "http://provider.invalid/v1/models")
    response = make.HTTPX.Response(200, text="<html>", request=request)

    def ask():
        raise openai.APIResponseValidationError(response=response, body="<html>")

    again = travel(make.raised(ask))
    assert type(again) is openai.APIResponseValidationError
    assert (again.status_code, again.body, again.response.text) == (200, "<html>", "<html>")


COMPLETION = {
    "id": "1", "object": "chat.completion", "created": 1, "model": "gpt-4o",
    "choices": [{"index": 0, "finish_reason": "length", "message": {"role": "assistant", "content": '{"city": "Par'}}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
}  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "kind"), [("length", "LengthFinishReasonError"), ("content_filter", "ContentFilterFinishReasonError")]
)
def test_an_answer_that_was_cut_or_filtered(reason, kind, make, travel):
    """With what there was of it, although the class that it was parsed for is known here alone."""

    class City(pydantic.BaseModel):
        city: str

    client = make.client(
        lambda request: make.HTTPX.Response(
            200, json={**COMPLETION, "choices": [{**COMPLETION["choices"][0], "finish_reason": reason}]}
        )
    )
    parse = getattr(client.chat.completions, "parse", None) or client.beta.chat.completions.parse
    error = make.raised(lambda: parse(**make.CHAT, response_format=City))
    again = travel(error)
    assert type(again) is type(error) is getattr(openai, kind)
    assert str(again) == str(error)
    if getattr(error, "completion", None) is not None:  # since openai 1.54; of a filtered one since 3
        assert again.completion.choices[0].message.content == '{"city": "Par'
        assert again.completion.usage.total_tokens == 7


def test_an_answer_that_was_not_read(make):
    """It is not read for the pickle's sake, and says there that it was not."""
    request = make.HTTPX.Request("GET", "http://provider.invalid/v1/models")
    response = make.HTTPX.Response(429, stream=make.HTTPX.ByteStream(b"x"), headers={"a": "b"}, request=request)

    def ask():
        raise openai.RateLimitError("no", response=response, body=None)

    error = make.raised(ask)
    again = pickle.loads(pickle.dumps(error))
    assert not response.is_stream_consumed
    assert again.response.headers["a"] == "b"
    with pytest.raises(make.HTTPX.ResponseNotRead):
        again.response.text  # noqa: B018


def test_a_packed_answer(make):
    """A body that came compressed is readable there."""
    import gzip

    body = json.dumps({"error": {"message": "no", "code": "some_code"}}).encode()
    error = make.raised_by(make.HTTPX.Response(429, content=gzip.compress(body), headers={"content-encoding": "gzip"}))
    again = pickle.loads(pickle.dumps(error))
    assert again.response.content == body
    assert again.response.headers["content-encoding"] == "gzip"


class TooMany(openai.RateLimitError):
    """A user's own, with an ``__init__`` of its own."""

    def __init__(self, response, place):
        super().__init__("too many", response=response, body={"a": 1})
        self.place = place


class SaysItself(openai.RateLimitError):
    """One that says how it is pickled."""

    def __reduce__(self):
        return ValueError, ("itself",)


@pytest.fixture
def refused(make):
    """A response for exceptions that are made by hand."""
    request = make.HTTPX.Request("GET", "http://provider.invalid/v1/models")
    return make.HTTPX.Response(429, text="no", request=request)


def test_what_users_derive_from_them(make, refused):
    """Their classes travel likewise, unless they say themselves how."""

    def ask(error):
        raise error

    again = pickle.loads(cloudpickle.dumps(make.raised(lambda: ask(TooMany(refused, 3)))))
    assert type(again) is TooMany
    assert (again.place, again.body, again.status_code, str(again)) == (3, {"a": 1}, 429, "too many")
    left = make.raised(lambda: ask(SaysItself("no", response=refused, body=None)))
    assert repr(pickle.loads(pickle.dumps(left))) == "ValueError('itself')"


def test_what_cannot_be_pickled_goes_as_its_text(make, refused):
    """One odd part costs nothing of the others: a body, an attribute, a note, a cause."""

    class Local(Exception):
        def __init__(self, lock):
            super().__init__("local trouble")
            self.lock = lock

    class Unspeakable:
        def __repr__(self):
            raise RuntimeError("not even that")

        def __reduce__(self):
            raise RuntimeError("no")

    lock = threading.Lock()
    circle = {}
    circle["itself"] = circle

    def ask():
        error = openai.RateLimitError("no", response=refused, body={"why": "no", "lock": lock, "fine": [1, (2, None)]})
        error.circle, error.odd, error.bytes = circle, Unspeakable(), b"\x00\xff"
        raise error from Local(lock)

    again = pickle.loads(pickle.dumps(make.raised(ask)))
    assert type(again) is openai.RateLimitError
    assert again.body == {"why": "no", "lock": repr(lock), "fine": [1, (2, None)]}
    assert again.odd.startswith("<test_what_cannot_be_pickled_goes_as_its_text.")
    assert "..." in str(again.circle)
    assert again.bytes == b"\x00\xff"
    assert str(again.__cause__) == "test_what_cannot_be_pickled_goes_as_its_text.<locals>.Local: local trouble"
    assert again.response.text == "no"
    assert len(again.__notes__) == 1


def test_what_cannot_be_found_there_goes_as_its_text(make, refused, monkeypatch):
    """A part whose class is unknown to the other process."""
    gone = type("Gone", (), {"__module__": __name__, "__repr__": lambda self: "<what it was>"})
    monkeypatch.setitem(globals(), "Gone", gone)

    def ask():
        error = openai.RateLimitError("no", response=refused, body=None)
        error.part = gone()
        raise error from error

    sent = pickle.dumps(make.raised(ask))
    monkeypatch.delitem(globals(), "Gone")
    again = pickle.loads(sent)
    assert (again.part, again.status_code) == ("<what it was>", 429)


@pytest.mark.parametrize("kind", ["function", "coroutine", "generator", "async generator"])
def test_all_kinds_of_function(kind, make):
    """One story for all four."""
    client = make.client(make.refusal(429))
    options = {"pool": make.pool(), "stop": lambda state: True}

    def fail():
        client.chat.completions.create(**make.CHAT)

    @stable(**options)
    def function(api_key=""):
        fail()

    @stable(**options)
    async def coroutine(api_key=""):
        fail()

    @stable(**options)
    def generator(api_key=""):
        yield fail()

    @stable(**options)
    async def async_generator(api_key=""):
        yield fail()

    async def consume():
        return [item async for item in async_generator()]

    call = {
        "function": function,
        "coroutine": lambda: asyncio.run(coroutine()),
        "generator": lambda: list(generator()),
        "async generator": lambda: asyncio.run(consume()),
    }[kind]
    with pytest.raises(openai.RateLimitError) as caught:
        call()
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.__notes__ == ["attempt 1 with only (sk-…6789): rate_limited_unspecified"]


def test_with_the_callers_own_key(make):
    """Nothing fails over then, and what openai raises reaches another process all the same."""
    client = make.client(make.refusal(429))
    ask = stable(pool=make.pool())(lambda api_key: client.chat.completions.create(**make.CHAT))
    with pytest.raises(openai.RateLimitError) as caught:
        ask(api_key=make.SECRET)
    sent = pickle.dumps(caught.value)
    assert pickle.loads(sent).status_code == 429
    assert make.SECRET.encode() not in sent


@pytest.mark.parametrize("answer", ["refusal", "event", "nothing"])
def test_what_our_clients_raise(answer, make, travel):
    """Refusals, error events in a stream, lost connections."""
    event = 'data: {"error": {"message": "bad day", "type": "server_error", "code": "oops"}}\n\n'
    answers = {
        "refusal": lambda: make.refusal(429),
        "event": lambda: make.HTTPX.Response(200, content=event, headers={"content-type": "text/event-stream"}),
        "nothing": lambda: make.HTTPX.ConnectError("it is gone"),
    }
    kinds = {"refusal": openai.RateLimitError, "event": openai.APIError, "nothing": openai.APIConnectionError}
    client = make.client(
        answers[answer](),
        stable_openai.OpenAI,
        api_key=None,
        pool=make.pool(max_wait=0),
        base_url="http://x.invalid/v1",
    )
    with pytest.raises(kinds[answer]) as caught:
        list(client.chat.completions.create(**make.CHAT, stream=True))
    again = travel(caught.value)
    assert type(again) is kinds[answer]
    assert str(again) == str(caught.value)
    assert getattr(again, "__notes__", None) == getattr(caught.value, "__notes__", None)


RECEIVER = """
import pickle, sys
error = pickle.loads(sys.stdin.buffer.read())
print(type(error).__name__, error.status_code, error.code, error.response.headers["x-request-id"], error.__notes__)
print(*sorted(name for name in sys.modules if name.startswith("stable_openai")))
print(type(pickle.loads(pickle.dumps(error))).__name__)
"""


def test_a_process_that_knows_nothing_of_us(make):
    """The one that receives has imported neither openai nor this package; it loads what it needs, and no more."""
    sent = pickle.dumps(make.raised_by(make.refusal(429)))
    done = subprocess.run([sys.executable, "-c", RECEIVER], input=sent, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    first, loaded, last = done.stdout.decode().splitlines()
    assert first == "RateLimitError 429 some_code req_1 ['attempt 1 with only (sk-…6789): rate_limited_unspecified']"
    assert not any(
        name.startswith(("stable_openai.pool", "stable_openai.stores", "stable_openai.doors"))
        for name in loaded.split()
    )
    assert last == "RateLimitError"


def test_decorating_imports_no_openai():
    """Its exceptions are met where it is there: it is not imported for their sake."""
    code = (
        "import sys\n"
        "from stable_openai import KeyPool, stable\n"
        "ask = stable(pool=KeyPool(['sk-0123456789']))(lambda api_key: api_key); ask()\n"
        "assert not {'openai', 'httpx', 'stable_openai.failover.portable.parts'} & set(sys.modules)\n"
        "import openai, pickle, copyreg\n"
        "assert openai.RateLimitError not in copyreg.dispatch_table\n"
        "stable(lambda api_key: api_key)\n"
        "assert openai.RateLimitError in copyreg.dispatch_table\n"
        "assert openai.OpenAIError in copyreg.dispatch_table\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_others_are_left_as_they_are(make):
    """An exception that is not the provider's is pickled as ever."""
    import copyreg

    class Own(Exception):
        pass

    def ask():
        raise Own

    assert type(make.raised(ask)) is Own
    assert Own not in copyreg.dispatch_table
    assert KeyError not in copyreg.dispatch_table
    assert KeyPool not in copyreg.dispatch_table
