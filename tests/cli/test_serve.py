"""`stable-openai serve`: the gateway and the chat service as programs, told by options or by a file."""

from __future__ import annotations

import logging
import signal
import sys

import pytest

from stable_openai.cli.serve.settings import Settings
from stable_openai.errors import ConfigurationError
from tests.cli.conftest import KEYS
from tests.cli.servers import CHAT, ask, said

pytest.importorskip("grpc")
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and ports as POSIX has them")


@pytest.fixture(autouse=True)
def _loggers_as_before():
    """A command that runs in this process leaves its handlers behind: a process of its own would end with it."""
    loggers = [logging.getLogger(name) for name in ("stable_openai", "stable_openai.access")]
    before = [(logger.level, list(logger.handlers), logger.propagate) for logger in loggers]
    yield
    for logger, (level, handlers, propagate) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers[:] = handlers
        logger.propagate = propagate


@posix
def test_all_three_at_once(serving):
    """The gateway, gRPC and HTTP over the same keys; SIGTERM ends them in order."""
    child = serving("--gateway", "localhost:0", "--http", "localhost:0", "--grpc", "localhost:0")
    gateway = said(child, r"gateway on (http://\S+)/v1")[1]
    assert said(child, r"^gRPC on localhost:\d+")
    chat = said(child, r"^HTTP on (http://\S+),")[1]
    answer = ask(f"{gateway}/v1/chat/completions", CHAT, Authorization="Bearer anything")
    assert answer["choices"][0]["message"]["content"].endswith("Hello!")
    made = ask(f"{chat}/v1/sessions", {"config": {"version": 3, "pool": True}, "initial_prompt": "Hi!"})
    assert made["initial_response"].endswith("Hi!")
    child.send_signal(signal.SIGTERM)
    rest = child.stderr.read()
    assert child.wait(30) == 0
    assert "stopping" in rest
    assert not any(key in rest for key in KEYS)


def test_what_is_refused_at_the_start(run, provider, tmp_path):
    """Others can come and need no token; workers without a store; addresses that are none; no keys."""
    provider()
    for arguments, words in (
        (["--gateway", "0.0.0.0:0"], "no token is set"),
        (["--http", ":0"], "no token is set"),
        (["--gateway", "localhost:8000", "--workers", "2"], "needs a store that processes share"),
        (["--gateway", "localhost:8000", "--grpc", "localhost:1", "--workers", "2"], "is for the gateway alone"),
        (["--gateway", "nowhere"], "must be a host and a port"),
        (["--gateway", "localhost:0", "--token", "one=a-long-secret-1", "--admin", "two"], "there is no token 'two'"),
    ):
        result = run("serve", *arguments)
        assert result.exit_code == 1, arguments
        assert words in result.stderr


def test_no_keys_no_gateway(run):
    """The chat service alone can do without: its sessions bring their own."""
    assert "there are none" in run("serve", "--gateway", "localhost:0").stderr


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('gateway = "localhost:1"\nworkes = 3\n', "serve.toml, line 2: workes: is unknown; known are grpc"),
        ("# first\n\nworkers = 0\n", "serve.toml, line 3: workers: must be at least 1, not 0"),
        ('workers = "3"\n', "serve.toml, line 1: workers: must be a whole number, not str"),
        ("drain = true\n", "serve.toml, line 1: drain: must be a number, not bool"),
        ('http = "a b:1"\n', "serve.toml, line 1: http: must be a host and a port"),
        ("debug = 1\n", "serve.toml, line 1: debug: must be true or false, not int"),
        ('grpc = "localhost:1\n', r"serve.toml: is no valid TOML \(line 1, column"),
        ('x = 1\n[[tokens]]\nsecret = "a"\n', "serve.toml, line 1: x: is unknown"),
        ('[[tokens]]\nsecrets = "a"\n', r"serve.toml, line 1: tokens\[0\].secrets: is unknown"),
    ],
)
def test_a_file_that_is_wrong(tmp_path, text, problem):
    """The field, and its line."""
    path = tmp_path / "serve.toml"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match=problem):
        Settings.of(path, {})


@posix
def test_a_file_and_options(tmp_path):
    """Options win over the file; tokens in a file that others can read are refused."""
    path = tmp_path / "serve.toml"
    path.write_text(
        'gateway = "localhost:1"\nworkers = 1\ndrain = 5\n[[tokens]]\nname = "one"\nsecret = "a-long-secret-1"\n'
    )
    path.chmod(0o600)
    settings = Settings.of(path, {"gateway": "localhost:2", "drain": None, "tokens": ()})
    assert (settings.gateway, settings.drain, settings.grpc) == ("localhost:2", 5, None)
    assert settings.all_tokens().names == ["one"]
    assert "a-long-secret" not in repr(settings)
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        Settings.of(path, {})
    assert Settings.of(None, {}).grpc == "localhost:50052"
