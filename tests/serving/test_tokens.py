"""Tokens: where they come from, that they show nothing, and their limits."""

from __future__ import annotations

import os
import traceback

import pytest

from stable_openai import ConfigurationError, Limits, ManualClock
from stable_openai.serving import (
    Admissions,
    Token,
    TokenLimited,
    Tokens,
    parse_token,
    read_tokens,
    tokens_from_env,
    tokens_from_file,
)

SECRET = "swordfish-1234567"


@pytest.mark.parametrize(
    ("text", "name", "secret"),
    [
        (f"lab={SECRET}", "lab", SECRET),
        (SECRET, "", SECRET),
        ("lab=a=b==", "lab", "a=b=="),
        ("QUJDREVGRw==", "", "QUJDREVGRw=="),
        ("9lives=x1", "", "9lives=x1"),
    ],
)
def test_reading_one(text, name, secret):
    """``NAME=SECRET``, or a secret alone, whose padding is no name's."""
    token = parse_token(text)
    assert (token.name, str(token.secret)) == (name, secret)


@pytest.mark.parametrize("text", ["", f"{SECRET} x", f"lab={SECRET}\n", f"{SECRET}é", f"{SECRET}={SECRET}"])
def test_bad_ones_are_not_shown(text):
    """The error names the option; neither it nor its traceback shows the secret."""
    with pytest.raises(ConfigurationError, match="--token") as caught:
        parse_token(text, "--token")
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    shown = shown[shown.rindex("tokens.py") :] if "tokens.py" in shown else shown
    assert SECRET not in str(caught.value)
    assert SECRET not in shown


def test_finding():
    """By the header's value in any case of its scheme; no other scheme, and no part of a secret."""
    tokens = Tokens([f"lab={SECRET}", "other-secret-77"])
    assert tokens.names == ["lab", "token-2"]
    assert tokens.bearer_of(b"Bearer " + SECRET.encode()).name == "lab"
    assert tokens.bearer_of(b"bEARER  other-secret-77 ").name == "token-2"
    for header in (
        b"",
        b"Bearer ",
        b"Bearer",
        b"Basic " + SECRET.encode(),
        b"Bearer " + SECRET[:-1].encode(),
        b"Bearer \xff",
    ):
        assert tokens.bearer_of(header) is None
    assert SECRET not in repr(tokens) + repr(list(tokens))


def test_every_token_is_compared(monkeypatch):
    """Whether the first or none is meant, as much is compared, in constant time."""
    import hmac

    real, seen = hmac.compare_digest, []
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: seen.append(len(a)) or real(a, b))
    tokens = Tokens(["first-secret", "second-secret", "third-secret"])
    seen.clear()
    for secret in (b"first-secret", b"third-secret", b"none"):
        tokens.find(secret)
    assert seen == [32] * 9


@pytest.mark.parametrize("entries", [["a=1111", "a=2222"], ["a=1111", "b=1111"]])
def test_twice_the_same(entries):
    """Two of a name, or of a secret, are refused."""
    with pytest.raises(ConfigurationError):
        Tokens(entries)


def test_environment():
    """One or several; nothing where nothing is set."""
    tokens = tokens_from_env(environ={"STABLE_OPENAI_TOKENS": f" lab={SECRET}, second\n"})
    assert [(token.name, str(token.secret)) for token in tokens] == [("lab", SECRET), ("", "second")]
    assert tokens_from_env(environ={}) == []


def test_file(tmp_path, monkeypatch):
    """A file holds names, secrets or their variables, and limits in either form."""
    monkeypatch.setenv("LAB_TOKEN", SECRET)
    path = tmp_path / "tokens.toml"
    path.write_text(
        '[[tokens]]\nname = "lab"\nsecret_env = "LAB_TOKEN"\nrpm = 5\nmax_concurrency = 2\n'
        '[[tokens]]\nsecret = "second-one"\n[tokens.limits]\ntpm = 9\n'
    )
    path.chmod(0o600)
    lab, second = tokens_from_file(path)
    assert (lab.name, str(lab.secret), lab.limits) == ("lab", SECRET, Limits(rpm=5, max_concurrency=2))
    assert second.limits == Limits(tpm=9)
    if os.name == "posix":
        path.chmod(0o644)
        with pytest.raises(ConfigurationError, match="chmod 600"):
            tokens_from_file(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tokens = 3", "tokens: must be a list"),
        ("nonsense = 3", "nonsense: is unknown"),
        ('[[tokens]]\nsecret = "a\n', "line 2"),
        ('[[tokens]]\nname = "lab"', r"tokens\[0\].secret"),
        ('[[tokens]]\nsecret = "swordfish-1234567"\nrpm = 0', r"tokens\[0\].rpm"),
        ('[[tokens]]\nsecret = "swordfish-1234567"\nspeed = 1', r"tokens\[0\].speed"),
        ('[[tokens]]\nsecret = "swordfish-1234567"\nrpm = 1\nlimits = {}', r"tokens\[0\].limits"),
        ('[[tokens]]\nsecret = "swordfish-1234567"\nlimits = {rpm = "x"}', r"tokens\[0\].limits.rpm"),
        ('[[tokens]]\nsecret_env = "NOT_SET_ANYWHERE"', r"tokens\[0\].secret_env"),
        ('[[tokens]]\nsecret = "swordfish-1234567"\nname = "a-swordfish-1234567"', r"tokens\[0\].name"),
        ("tokens = [3]", r"line 1: tokens\[0\]"),
        ('[[tokens]]\nsecret = "swordfish-1"\nrpm = 1\n[[tokens]]\nsecret = "x1"\nrpm = 0', r"line 6: tokens\[1\].rpm"),
        ('tokens = [\n "a=1111", # a=1\n "b=2 2",\n]', r"line 3: tokens\[1\]: "),
        ('tokens = [\n "a=1111",\n {name = "a", secret = "2222"},\n]', r"line 3: tokens\[1\].name: two tokens"),
        ('[[tokens]]\nsecret = "x1"\n[[tokens]]\nsecret = "x1"', r"line 3: tokens\[1\]: is the same as tokens\[0\]"),
        ('[[tokens]]\nname = "a"\nsecret = "x 1"', r"line 3: tokens\[0\].secret: has white space"),
        (
            '[[tokens]]\nname = "a"\nsecret_env = "EMPTY"',
            r"line 3: tokens\[0\].secret_env: the variable EMPTY is empty",
        ),
        ('[[tokens]]\nsecret = "x1"\nmax_concurency = 1', r"line 3: .*did you mean max_concurrency\?"),
        ('[[token]]\nsecret = "x1"', r"line 1: token: is unknown: did you mean tokens\?"),
    ],
)
def test_bad_files(tmp_path, monkeypatch, text, message):
    """The error names the file, the line and the field."""
    monkeypatch.setenv("EMPTY", "")
    path = tmp_path / "tokens.toml"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match=r"tokens\.toml.*" + message) as caught:
        tokens_from_file(path)
    assert SECRET not in str(caught.value)


def test_tables_of_a_larger_file():
    """A server's own configuration may hold them."""
    assert [token.name for token in read_tokens([{"name": "a", "secret": "1111"}, "b=2222"])] == ["a", "b"]


async def test_requests_by_the_minute():
    """The third of two a minute is refused with the time to come back; later it is let in."""
    clock = ManualClock()
    entries = Admissions([Token(SECRET, "lab", Limits(rpm=2)), Token("free-one", "free")], clock=clock)
    for _ in range(2):
        (await entries.enter("lab")).settle()
    with pytest.raises(TokenLimited) as caught:
        await entries.enter("lab")
    assert 0 < caught.value.retry_after <= 61
    assert 59 <= int(caught.value.headers["Retry-After"]) <= 61
    assert caught.value.headers["x-ratelimit-limit-requests"] == "2"
    assert caught.value.headers["x-ratelimit-remaining-requests"] == "0"
    assert await entries.enter("free") is None
    clock.advance(62)
    assert (await entries.enter("lab")).headers()["x-ratelimit-remaining-requests"] == "1"
    await entries.aclose()


async def test_concurrency_and_tokens():
    """What runs at once is given back; tokens are corrected to what was used; what never fits says so."""
    entries = Admissions([Token(SECRET, "lab", {"max_concurrency": 1, "tpm": 100})], clock=ManualClock())
    assert entries.counts_tokens("lab")
    first = await entries.enter("lab", 90)
    with pytest.raises(TokenLimited):
        await entries.enter("lab", 1)
    first.settle(10)
    first.settle(100)
    second = await entries.enter("lab", 85)
    second.release()
    (await entries.enter("lab", 85)).settle()
    with pytest.raises(TokenLimited, match="101 tokens"):
        await entries.enter("lab", 101)
    entries.close()
