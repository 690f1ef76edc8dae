"""`stable-openai serve`: the gateway and the chat service as programs, told by options or by a file."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from stable_openai.cli.serve.settings import Settings
from stable_openai.errors import ConfigurationError
from tests.cli.conftest import KEYS

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


@pytest.fixture
def serving(provider, monkeypatch):
    """``serving("--gateway", "localhost:0")``: a server in another process, and the lines that it says."""
    provider()
    started = []

    def serving(*arguments):
        command = [sys.executable, "-m", "stable_openai", "serve", *arguments]
        child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        started.append(child)
        return child

    yield serving
    for child in started:
        child.kill()
        child.wait()
        child.stderr.close()


def said(child, pattern):
    """What a server says, up to the line that this is in."""
    for line in child.stderr:
        found = re.search(pattern, line)
        if found:
            return found
    raise AssertionError(f"it never said {pattern!r}")


def ask(url, body, **headers):
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read())


CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello!"}]}


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


@posix
def test_workers_share_a_port_and_a_store(serving, tmp_path):
    """One that dies is replaced; a signal ends them all."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"127.0.0.1:{port}"
    child = serving("--gateway", address, "--workers", "2", "--store", f"sqlite:///{tmp_path}/keys.db")
    first, second = (said(child, r"worker (\d+) serves")[1] for _ in range(2))
    assert ask(f"http://{address}/v1/chat/completions", CHAT)["choices"]
    os.kill(int(first), signal.SIGKILL)
    assert said(child, rf"worker {first} has ended")
    assert said(child, r"worker (\d+) serves")[1] not in {first, second}
    assert ask(f"http://{address}/v1/chat/completions", CHAT)["choices"]
    child.send_signal(signal.SIGTERM)
    child.stderr.read()
    assert child.wait(30) == 0


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
