"""Which providers callers may name, so that nobody has the server ask machines that only it can reach."""

from __future__ import annotations

import pytest

from stable_openai import ConfigurationError
from stable_openai.service import SessionOptions
from stable_openai.service.errors import InvalidArgument

OURS = "https://api.deepseek.com/v1"
METADATA = "http://169.254.169.254/latest"
DEFAULT = "https://api.openai.com/v1"


@pytest.fixture(autouse=True)
def _no_address_of_the_environment(monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


@pytest.mark.parametrize(
    ("allowed", "caller", "named", "provider"),
    [
        (None, "", METADATA, METADATA),
        (None, "lab", None, OURS),
        (None, "lab", OURS, OURS),
        (None, "lab", "https://API.deepseek.com:443/v1/", OURS),
        ((), "", OURS, OURS),
        (("http://10.0.0.7:8000/v1/",), "lab", "http://10.0.0.7:8000/v1", "http://10.0.0.7:8000/v1/"),
        (("*",), "lab", METADATA, METADATA),
    ],
)
def test_what_may_be_named(allowed, caller, named, provider):
    """What is used is as whoever runs the server has spelled it."""
    assert SessionOptions(base_url=OURS, base_urls=allowed).provider_of(named, caller=caller) == provider


@pytest.mark.parametrize(
    ("allowed", "caller", "named"),
    [
        (None, "lab", METADATA),
        (None, "lab", DEFAULT),
        ((), "", METADATA),
        (("http://10.0.0.7:8000/v1",), "lab", "http://10.0.0.7:8000/v1/../admin"),
        (("http://10.0.0.7:8000/v1",), "lab", "http://10.0.0.7:8001/v1"),
        (("http://10.0.0.7:8000/v1",), "lab", "https://10.0.0.7:8000/v1"),
        (("http://10.0.0.7:8000/v1",), "lab", "http://10.0.0.7:8000/v1?x"),
        (("http://10.0.0.7:8000/v1",), "", METADATA),
    ],
)
def test_what_may_not(allowed, caller, named):
    """The caller reads whom to ask, and nothing of what would be allowed."""
    with pytest.raises(InvalidArgument, match="^config.base_url: is not among") as caught:
        SessionOptions(base_url=OURS, base_urls=allowed).provider_of(named, caller=caller)
    assert "10.0.0.7" not in str(caught.value)


def test_the_default_provider(monkeypatch):
    """Where the server names none, it is openai's own, or the environment's."""
    assert SessionOptions().provider_of(None, caller="lab") is None
    assert SessionOptions().provider_of(DEFAULT, caller="lab") == DEFAULT
    monkeypatch.setenv("OPENAI_BASE_URL", OURS)
    assert SessionOptions().provider_of(OURS, caller="lab") == OURS
    for ours in (OURS, "http://host:99999/v1"):
        monkeypatch.setenv("OPENAI_BASE_URL", ours)
        with pytest.raises(InvalidArgument):
            SessionOptions().provider_of(DEFAULT, caller="lab")


@pytest.mark.parametrize(
    "url", ["deepseek.com", "ftp://host/v1", "https://me:pw-recognisable@host/v1", "https://host/v1?a"]
)
def test_addresses_that_are_none(url):
    """They are refused when the server is made, and a password is not shown."""
    with pytest.raises(ConfigurationError, match=r"^base_urls\[1\]: must be the address") as caught:
        SessionOptions(base_urls=(OURS, url))
    assert "recognisable" not in str(caught.value)


async def test_callers_with_tokens_lead_the_server_nowhere(serve, config, provider):
    """Over either server, and on each way to make a session or to give it its key again."""
    told = config(base_url=provider.url)
    served = await serve(tokens=["lab=token-0123456789"], base_url=config.sim.base_url)
    client = await served.client(token="token-0123456789")
    token = {"authorization": "Bearer token-0123456789"}
    code, text, _ = await client.refusal("NewSession", config=config.text(base_url=provider.url), initial_prompt="hi")
    assert (code, text.partition(":")[0]) == ("INVALID_ARGUMENT", "config.base_url")
    for path, body in (("/v1/sessions", {"config": told, "initial_prompt": "hi"}), ("/renew", told)):
        status, _, answer = await served.http("POST", path, body, token)
        assert (status, "config.base_url" in str(answer)) == (400, True)
    assert provider.asked == []
    assert (await client.NewSession(config=config.text(), initial_prompt="hi")).initial_response == "You said: hi"


async def test_a_provider_that_is_allowed(serve, config, provider):
    """The sessions that name it go there."""
    provider.go.set()
    served = await serve(tokens=["lab=token-0123456789"], base_urls=(provider.url + "/",))
    client = await served.client(token="token-0123456789")
    made = await client.NewSession(config=config.text(base_url=provider.url), initial_prompt="hi")
    assert made.initial_response == "re: hi"
