"""No key in the bytes of a pickled exception or function, wherever the request, the provider or the code had put it."""

from __future__ import annotations

import json
import pickle

import cloudpickle
import httpx
import openai
import pytest
import requests

import stable_openai
from stable_openai import Key, KeyManager, KeyPool, stable

MARK = b"RECOGNISABLE"


@pytest.fixture
def sent(make):
    """``sent(thing)``: its bytes, by pickle and cloudpickle, when they hold no secret."""

    def sent(thing):
        found = pickle.dumps(thing), cloudpickle.dumps(thing)
        for data in found:
            at = data.find(MARK)
            assert at < 0, data[max(0, at - 300) : at + 100]
        return found[0]

    assert MARK.decode() in make.SECRET
    return sent


def test_the_header_of_a_request(make, sent):
    """``Authorization: Bearer`` of openai's client; on lost connections, too."""
    sent(make.raised_by(make.refusal(401)))
    sent(make.raised_by(make.HTTPX.ConnectError("it is gone")))
    sent(make.raised_by(make.refusal(429), stop=None, pool=make.pool(max_wait=0)))


def test_an_azure_key(make, sent):
    """``api-key``, as openai's Azure client sends it, and ours."""
    options = {"azure_endpoint": "https://x.invalid", "api_version": "1"}
    client = make.client(make.refusal(401), openai.AzureOpenAI, **options)
    sent(make.raised(lambda: client.chat.completions.create(**make.CHAT)))
    client = make.client(
        make.refusal(401), stable_openai.AzureOpenAI, **options, api_key=None, pool=make.pool(max_wait=0)
    )
    with pytest.raises(openai.AuthenticationError) as caught:
        client.chat.completions.create(**make.CHAT)
    sent(caught.value)


def test_a_provider_that_repeats_the_key(make, sent):
    """In its message, its body and a header: masked there; a body that names it masked stays as it is."""
    refusal = make.refusal(401, message=f"Incorrect API key provided: {make.SECRET}.", x_key=make.SECRET)
    again = pickle.loads(sent(make.raised_by(refusal)))
    assert again.body["message"] == "Incorrect API key provided: sk-…6789."
    assert again.response.json()["error"]["message"] == "Incorrect API key provided: sk-…6789."
    assert "sk-…6789" in str(again)
    masked = make.refusal(
        401, message="Incorrect API key provided: sk-pr***6789. See https://x.invalid/account?code=abcdefghij"
    )
    error = make.raised_by(masked)
    again = pickle.loads(sent(error))
    assert again.body == error.body
    assert again.response.content == error.response.content


def test_cookies_of_an_answer(make, sent):
    """They open the provider's door, too."""
    again = pickle.loads(sent(make.raised_by(make.refusal(429, set_cookie="__cf_bm=RECOGNISABLE; path=/"))))
    assert "set-cookie" not in again.response.headers
    assert again.response.headers["x-request-id"] == "req_1"


@pytest.mark.parametrize(
    "name", ["Authorization", "x-api-key", "x-goog-api-key", "Ocp-Apim-Subscription-Key", "Cookie"]
)
@pytest.mark.parametrize("library", [httpx, requests])
def test_headers_of_other_providers(name, library, make, sent):
    """By httpx and requests, and where the body echoes the header."""
    prefix = "Bearer " if name == "Authorization" else ""

    def ask():
        if library is httpx:
            request = httpx.Request("POST", "https://x.invalid/v1", headers={name: prefix + make.SECRET}, json={})
            httpx.Response(401, text=f"wrong: {make.SECRET}", request=request).raise_for_status()
        answer = requests.Response()
        answer.status_code, answer.url = 401, "https://x.invalid/v1"
        answer._content = f"wrong: {make.SECRET}".encode()
        answer.request = requests.Request("POST", answer.url, headers={name: prefix + make.SECRET}, json={}).prepare()
        answer.raise_for_status()

    again = pickle.loads(sent(make.raised(ask)))
    assert again.response.text == "wrong: sk-…6789"


@pytest.mark.parametrize(
    "url",
    [
        "https://x.invalid/v1?key=RECOGNISABLE0123&alt=sse",
        "https://x.invalid/v1?api-version=1&api-key=RECOGNISABLE0123",
        "https://x.invalid/v1?X-Amz-Signature=RECOGNISABLE0123",
        "https://me:RECOGNISABLE0123@x.invalid/v1",
        "https://x.invalid/v1?access_token=RECOGNISABLE%2F123",
    ],
)
def test_keys_in_addresses(url, make, sent):
    """Of the request, and in the message that the library makes of it."""

    def ask():
        httpx.Response(401, request=httpx.Request("GET", url)).raise_for_status()

    again = pickle.loads(sent(make.raised(ask)))
    assert again.request.url.host == "x.invalid"
    assert again.request.url.path == "/v1"


def test_a_key_in_what_the_user_adds(make, sent):
    """Attributes, notes and causes: keys that we have handed out, and those of the request."""
    client = make.client(make.refusal(401))

    class Wrapper:
        def __init__(self, held):
            self.held = held

        def __reduce__(self):
            return dict, ({"held": self.held},)

    @stable(pool=make.pool(), stop=lambda state: True)
    def ask(api_key=""):
        try:
            client.chat.completions.create(**make.CHAT)
        except openai.AuthenticationError as error:
            error.used, error.headers, error.held = (
                api_key,
                {"Authorization": f"Bearer {api_key!s}"},
                Wrapper(str(api_key)),
            )
            error.__notes__ = [f"it was {api_key!s}"]
            raise error from OSError(f"with {api_key!s}")

    with pytest.raises(openai.AuthenticationError) as caught:
        ask()
    again = pickle.loads(sent(caught.value))
    assert again.used == "sk-…6789"
    assert again.__notes__[0] == "it was sk-…6789"
    assert str(again.__cause__).startswith("OSError: with sk-…")


def test_functions(make, sent):
    """With the process-wide pool there is nothing to hide; with one of a file or of variables, only where that is."""
    KeyManager([make.SECRET])
    sent(stable_openai.stable(pool=KeyManager())(_ask))
    local = stable(lambda api_key: str(api_key))
    assert MARK not in cloudpickle.dumps(local)
    assert MARK not in cloudpickle.dumps(stable(pool=KeyManager())(lambda api_key: api_key))
    assert pickle.loads(cloudpickle.dumps(local))() == make.SECRET


def test_a_store_with_a_password(make):
    """It is not sent: the function says where to put it."""
    pool = KeyPool([Key(make.SECRET)])
    pool.source = ("from_env", ("MY_KEYS",), {"store": "redis://me:RECOGNISABLE@host/0"})
    with pytest.raises(TypeError, match="STABLE_OPENAI_STORE") as caught:
        cloudpickle.dumps(stable(pool=pool)(lambda api_key: api_key))
    assert "RECOGNISABLE" not in str(caught.value)


def test_an_error_that_is_json_of_many_kinds(make, sent):
    """Bodies of odd shapes come through as they are."""
    for body in ({"error": None, "a": [1, 2.5, True, {"b": None}]}, {"detail": "no"}):
        error = make.raised_by(make.refusal(400, body=body))
        again = pickle.loads(sent(error))
        assert again.body == error.body
        assert json.loads(again.response.text) == body


def _ask(api_key=""):
    return str(api_key)
