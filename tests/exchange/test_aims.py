"""What of a request is the pool's to set: the credential, the endpoint, Azure's deployment; the rest stays."""

from __future__ import annotations

import sys

import openai
import pytest

from stable_openai import Key
from stable_openai.exchange import Aim, AzureAim

HTTPX = sys.modules[openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0]]
OURS, OTHER = "sk-aims-ours-0123456789", "sk-aims-other-0123456789"
BASE = "https://api.example/v1"


def request(url=f"{BASE}/chat/completions", credential=OURS, header="Authorization", **headers):
    value = f"Bearer {credential}" if header == "Authorization" else credential
    return HTTPX.Request("POST", url, headers={header: value, **headers}, json={"a": 1}, extensions={"timeout": 7})


def test_the_credential():
    """A copy has the key's own; the request itself is untouched, body and extensions are shared."""
    asked = request(**{"X-Mine": "1"})
    sent = Aim(OURS, BASE).addressed(asked, Key(OTHER), None)
    assert sent.headers["authorization"] == f"Bearer {OTHER}"
    assert asked.headers["authorization"] == f"Bearer {OURS}"
    assert (sent.url, sent.method, sent.content, sent.headers["x-mine"]) == (asked.url, "POST", asked.content, "1")
    assert sent.extensions == asked.extensions
    assert OTHER not in repr(sent) + repr(sent.headers)


def test_both_headers():
    """openai's older Azure clients send the credential twice: no other key's goes along to this key's endpoint."""
    asked = request(**{"api-key": OURS})
    sent = AzureAim(OURS, None).addressed(asked, Key(OTHER), None)
    assert (sent.headers["authorization"], sent.headers["api-key"]) == (f"Bearer {OTHER}", OTHER)
    assert not AzureAim(OURS, None).is_ours(request(**{"api-key": "own"}))


def test_whose_request_it_is():
    """Only what carries the client's own credential; None takes all."""
    aim = Aim(OURS, BASE)
    assert aim.is_ours(request())
    assert aim.is_ours(request(header="api-key"))
    assert not aim.is_ours(request(credential=OTHER))
    assert not aim.is_ours(request(credential=f"{OURS} "))
    assert Aim(None, None).is_ours(request(credential=OTHER))
    bare = HTTPX.Request("GET", BASE)
    assert not aim.is_ours(bare)
    assert Aim(None, None).addressed(bare, Key(OTHER), None).headers["authorization"] == f"Bearer {OTHER}"


@pytest.mark.parametrize("base", [BASE, f"{BASE}/"])
@pytest.mark.parametrize("other", ["http://other:8000/prefix/v1", "http://other:8000/prefix/v1/"])
def test_the_endpoint(base, other):
    """What is beneath the client's base URL moves; query and host go with it."""
    aim, key = Aim(OURS, base), Key(OTHER, base_url=other)
    sent = aim.addressed(request(f"{BASE}/files?after=a%2Fb&limit=2"), key, None)
    assert str(sent.url) == "http://other:8000/prefix/v1/files?after=a%2Fb&limit=2"
    assert sent.headers["host"] == "other:8000"
    elsewhere = aim.addressed(request("https://api.example/v10/files"), key, None)
    assert str(elsewhere.url) == "https://api.example/v10/files"
    assert Aim(OURS, None).moved(f"{BASE}/files", key, None) is None
    assert aim.moved(f"{BASE}/files", Key(OTHER), None) is None


EU = "https://eu.openai.azure.com"
CHAT = f"{EU}/openai/deployments/gpt-4o/chat/completions?api-version=1"


@pytest.mark.parametrize(
    ("fields", "url", "expected"),
    [
        ({}, CHAT, None),
        ({"base_url": EU}, CHAT, None),
        ({"base_url": "https://us.azure.com"}, CHAT, "https://us.azure.com/openai/deployments/gpt-4o/chat/completions?api-version=1"),
        ({"base_url": "https://us.azure.com/openai/"}, CHAT, "https://us.azure.com/openai/deployments/gpt-4o/chat/completions?api-version=1"),
        ({"deployment": "mine"}, CHAT, f"{EU}/openai/deployments/mine/chat/completions?api-version=1"),
        ({"deployment": {"gpt-4o": "mine"}}, CHAT, f"{EU}/openai/deployments/mine/chat/completions?api-version=1"),
        ({"deployment": {"gpt-5": "mine"}}, CHAT, None),
        ({"deployment": "mine", "base_url": "http://us"}, f"{EU}/openai/files", "http://us/openai/files"),
        ({"base_url": "http://us"}, f"{EU}/openai/v1/chat/completions", "http://us/openai/v1/chat/completions"),
        ({"base_url": "http://us"}, "http://openai/openai/files", "http://us/openai/files"),
        ({"base_url": "http://openai"}, f"{EU}/openai/files", "http://openai/openai/files"),
        ({"base_url": "http://us"}, "http://elsewhere/files", None),
    ],
)  # fmt: skip
def test_azure(fields, url, expected):
    """Endpoint and deployment, each where the key has one."""
    assert AzureAim(OURS, EU).moved(url, Key(OTHER, **fields), "gpt-4o") == expected
