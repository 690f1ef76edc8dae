"""`stable-openai serve`: the gateway and the chat service as programs, told by options or by a file."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
import socket
import sys
import urllib.error
from urllib.error import HTTPError

import pytest

from stable_openai.cli.opening import NoKeys, open_pool
from stable_openai.cli.serve.listening import enter
from stable_openai.cli.serve.running import look
from stable_openai.cli.serve.settings import Settings
from stable_openai.errors import ConfigurationError
from tests.cli.conftest import KEYS
from tests.cli.servers import CHAT, ask, said

pytest.importorskip("grpc")
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and ports as POSIX has them")


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
def test_providers_that_sessions_may_name(serving, openai_simulator):
    """None but the server's own for those who come with a token, until whoever runs it says otherwise."""
    other = openai_simulator(keys=["sk-of-another"])
    config = {"version": 3, "api_key": "sk-of-another", "base_url": other.base_url}
    arguments = ["--http", "localhost:0", "--token", "one=a-long-secret-1"]
    for more in ([], ["--session-base-url", other.base_url]):
        chat = said(serving(*arguments, *more), r"^HTTP on (http://\S+),")[1]
        told = (f"{chat}/v1/sessions", {"config": config, "initial_prompt": "Hi!"})
        if more:
            assert ask(*told, Authorization="Bearer a-long-secret-1")["initial_response"].endswith("Hi!")
        else:
            with pytest.raises(HTTPError, match="400"):
                ask(*told, Authorization="Bearer a-long-secret-1")
    assert other.stats().served_times("Hi!") == 1


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


def test_an_address_that_is_taken(run, provider):
    """Each server says which option it was, and what to do."""
    provider()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        in_use = "is in use: stop what listens there, or take another port"
        for option, words in (
            ("--gateway", in_use),
            ("--http", in_use),
            ("--grpc", "can't be listened on: something listens there already, or it is no address of this machine"),
        ):
            result = run("serve", option, address)
            assert result.exit_code == 1
            assert result.stderr.strip().endswith(f"{option}: {address} {words}")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EACCES, "permission denied"), "ports below 1024 are the system's"),
        (OSError(errno.EADDRNOTAVAIL, "cannot assign"), "localhost:80 is for programs here alone, 0.0.0.0:80 for all"),
        (socket.gaierror(-2, "Name or service not known"), "is no address of this machine"),
    ],
)
async def test_an_address_that_cannot_be_listened_on(error, words):
    """What to do depends on why."""

    @contextlib.asynccontextmanager
    async def failing():
        raise error
        yield

    async with contextlib.AsyncExitStack() as stack:
        with pytest.raises(ConfigurationError, match=f"^--http: example:80 .*{re.escape(words)}"):
            await enter(stack, failing(), Settings(http="example:80"), "http")


def test_no_keys_no_gateway(run):
    """The chat service alone can do without: its sessions bring their own."""
    assert "there are none" in run("serve", "--gateway", "localhost:0").stderr


TOKEN = '[[tokens]]\nname = "one"\nsecret = "a-long-secret-1"\n'


@pytest.fixture
def refused(tmp_path):
    """``refused(text)``: what is said of a configuration file, with all that is looked at before anything listens."""

    def refused(text, **told):
        path = tmp_path / "serve.toml"
        path.write_text(text)
        path.chmod(0o600)
        with pytest.raises(ConfigurationError) as caught:
            Settings.of(path, told).all_tokens()
        assert "a-long-secret" not in str(caught.value)
        return str(caught.value)

    return refused


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('gateway = "localhost:1"\nworkes = 3\n', "line 2: workes: is unknown: did you mean workers? Known are grpc"),
        ('"token-file" = "x"\n', "line 1: token-file: is unknown: did you mean token_file? Known"),
        ('x = 1\n[[tokens]]\nsecret = "a"\n', "line 1: x: is unknown; known are"),
        ("# first\n\nworkers = 0\n", "line 3: workers: must be at least 1, not 0"),
        ('workers = "3"\n', "line 1: workers: must be a whole number, not a text: write it without quotes"),
        ("workers = 2.5\n", "line 1: workers: must be a whole number, not one with a point"),
        ("drain = true\n", "line 1: drain: must be a number, not true or false"),
        ("drain = nan\n", "line 1: drain: must be a number of seconds from 0 up, not nan"),
        ("\nidle = inf\n", "line 2: idle: must be a number of seconds from 0 up, not inf"),
        ("gateway = 8000\n", "line 1: gateway: must be a text, not a whole number: write it in quotes"),
        ("# gateway\n[gateway]\nport = 1\n", "line 2: gateway: must be a text, not a table"),
        ("debug = 1\n", "line 1: debug: must be true or false, not a whole number"),
        ('admins = "one"\n', 'line 1: admins: must be a list, not a text: write it in brackets, ["…"]'),
        ('admins = [\n  "one",\n  2]\n', "line 3: admins[1]: must be a text, not a whole number: write it in quotes"),
        ('http = "a b:1"\n', "line 1: http: must be a host and a port, such as localhost:8000, not 'a b:1'"),
        ('http = ""\n', "line 1: http: must be a host and a port"),
        ('model = """\nhttp = 1"""\nhttp = "::1:1"', "line 3: http: has an IPv6 address without brackets"),
        ('store = "red://h"\n', "line 1: store: must begin with memory://, sqlite:///"),
        ('\nstore = "sqlite:///nowhere/keys.db"\n', "line 2: store: there is no folder /"),
        ('base_url = "me:pw@host"\n', "line 1: base_url: must be the address of a provider"),
        (
            'base_url = "https://me:pw@host/v1"\n',
            "line 1: base_url: must be the address of a provider, without a password",
        ),
        ('\npool = "nowhere/keys.toml"\n', "line 2: pool: there is no file /"),
        ('token_file = "."\n', "line 1: token_file: there is no file /"),
        ('sessions = "nowhere/sessions.db"\n', "line 1: sessions: there is no folder /"),
        (
            'gateway = "localhost:8000"\nhttp = "localhost:8000"',
            "line 2: http: localhost:8000 is the address of gateway",
        ),
        ('gateway = ":8000"\n', "line 1: gateway: :8000 can be reached from other machines, and no token is set"),
        ('http = "0.0.0.0:1"\ngrpc = "localhost:1"', "line 1: http: 0.0.0.0:1 can be reached from other machines"),
        ('gateway = ":1"\nadmins = ["one"]\n', "line 2: admins[0]: there is no token 'one'; there is none"),
        (
            f'gateway = ":1"\nadmins = [\n "one",\n "two",\n]\n{TOKEN}',
            "line 4: admins[1]: there is no token 'two'; there are: one",
        ),
        ('grpc = "localhost:1"\nadmins = ["one"]\n', "line 2: admins: is for the gateway: give --gateway too"),
        ('http = "localhost:1"\nbehind_proxy = true\n', "line 2: behind_proxy: is for the gateway: give --gateway too"),
        ('gateway = ":1"\nidle = 5\n', "line 2: idle: is for the chat service: give --grpc or --http too"),
        ('gateway = ":1"\nworkers = 2\nstore = "memory://"\n', "line 2: workers: needs a store that processes share"),
        ('http = ":1"\nworkers = 2\n', "line 2: workers: is for the gateway alone"),
        ('workers = 2\nstore = "sqlite:///x"\ngateway = ":0"', "line 3: gateway: needs a port of its own"),
        ('gateway = ":1"\nsession_base_urls = ["*"]\n', "line 2: session_base_urls: is for the chat service"),
        (
            'session_base_urls = [\n "*",\n "me:pw@h",\n]\n',
            "line 3: session_base_urls[1]: must be the address of a provider",
        ),
        ('session_base_url = "*"\n', "line 1: session_base_url: is unknown: did you mean session_base_urls?"),
        ('[[tokens]]\nsecrets = "a"\n', "line 2: tokens[0].secrets: is unknown: did you mean secret?"),
        (
            f"# tokens[1].rpm\n{TOKEN}{TOKEN.replace('one', 'two')}rpm = 0\n",
            "line 8: tokens[1].rpm: must be a whole number",
        ),
        (
            'tokens = [\n  {name = "one", secret = "a-long-secret-1"},\n  {secret = "a-long-secret-2", limits.rpm = "5"},\n]',
            "line 3: tokens[1].limits.rpm: must be a whole number of at least 1, not '5'",
        ),
        (f"{TOKEN}{TOKEN}", "line 5: tokens[1].name: two tokens have the name 'one'"),
        ('gateway = ":1"\n[bounds]\nmax_bodies = 1\n', "line 3: bounds.max_bodies: is unknown: did you mean max_body?"),
        (
            'gateway = ":1"\n[bounds]\nmax_body = "64 MB"\n',
            "line 3: bounds.max_body: must be a whole number of at least",
        ),
        ('gateway = ":1"\n[bounds]\nidle_timeout = 0\n', "line 3: bounds.idle_timeout: must be a positive number"),
        ('http = "localhost:1"\n[bounds]\nmax_body = 9\n', "line 2: bounds: is for the gateway: give --gateway too"),
        ('[tokens]\none = "a-long-secret-1"\n', "line 1: tokens: must be a list: write [[tokens]] for each"),
    ],
)
def test_a_file_that_is_wrong(refused, text, problem):
    """The file, the line, the field and what to do; nothing listens then."""
    assert f"serve.toml, {problem}" in refused(text)


def test_a_file_that_is_no_toml(refused):
    """The line and the column."""
    assert refused('grpc = "localhost:1\n').startswith("serve.toml: is no valid TOML (line 1, column")


@posix
def test_a_file_that_names_variables_alone_is_no_secret(tmp_path, monkeypatch):
    """Others may read where the tokens are; as soon as it holds one itself, they may not."""
    monkeypatch.setenv("OPS_TOKEN", "a-long-secret-1")
    path = tmp_path / "serve.toml"
    path.write_text('http = "localhost:1"\n[[tokens]]\nname = "ops"\nsecret_env = "OPS_TOKEN"\n')
    path.chmod(0o644)
    assert Settings.of(path, {}).all_tokens().names == ["ops"]
    for more in (TOKEN, 'tokens = ["one=a-long-secret-1"]'):
        path.write_text(f'http = "localhost:1"\n{more}\n')
        with pytest.raises(ConfigurationError, match=r"^serve\.toml: holds tokens, .* run 'chmod 600 "):
            Settings.of(path, {})


def test_options_are_named_where_they_are_wrong(refused):
    """What an option says is not blamed on the file, and the other way round."""
    text = 'gateway = "localhost:1"\nworkers = 2\n'
    assert refused(text, workers=3).startswith("--workers: needs a store")
    assert refused(text, store="sqlite:///x", gateway="localhost:0").startswith("--gateway: needs a port of its own")
    assert refused(text, base_url="nowhere").startswith("--base-url: must be the address")
    assert refused(text, http="localhost:2").startswith("serve.toml, line 2: workers: is for the gateway alone")


def test_a_file_of_another_user(refused, tmp_path, monkeypatch):
    """What this user can't read is said with the line."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root, who may run this, can read everything
    (tmp_path / "keys.toml").touch()
    assert "serve.toml, line 1: pool: /" in refused(f'pool = "{tmp_path}/keys.toml"')


@posix
def test_bounds_of_the_gateway(serving, tmp_path):
    """What the file says of bodies holds."""
    path = tmp_path / "serve.toml"
    path.write_text('gateway = "localhost:0"\n[bounds]\nmax_body = 64\n')
    child = serving("--config", str(path))
    gateway = said(child, r"gateway on (http://\S+)/v1")[1]
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(f"{gateway}/v1/chat/completions", {**CHAT, "user": "x" * 64})
    assert caught.value.code == 413
    caught.value.close()


@posix
def test_what_is_wrong_with_the_service_is_said_before_the_gateway_listens(run, provider, tmp_path):
    """Whatever stands behind one server is looked at before another one listens."""
    provider()
    (tmp_path / "sessions.db").write_text("no database of ours " * 50)
    for arguments, words in (
        (["--idle", "0"], "--idle: must be more than 0 seconds"),
        (["--model", ""], "--model: must be the name of a model"),
        (["--sessions", str(tmp_path / "sessions.db")], "--sessions: "),
    ):
        result = run("serve", "--gateway", "localhost:0", "--http", "localhost:0", *arguments)
        assert result.exit_code == 1
        assert words in result.stderr
        assert "gateway on" not in result.stderr


@posix
def test_workers_are_not_started_in_vain(run, provider, tmp_path):
    """What is wrong with the keys, or with the address, is said once, by the process that would start them."""
    provider()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        store = f"sqlite:///{tmp_path}/keys.db"
        result = run("serve", "--gateway", address, "--workers", "2", "--store", store)
        assert f"--gateway: {address} is in use: stop what listens there" in result.stderr
        assert "worker" not in result.stderr
    path = tmp_path / "keys.toml"
    path.write_text("[pool]\nrpm = 0\n")
    path.chmod(0o600)
    told = ["--gateway", "localhost:8000", "--workers", "2", "--store", f"sqlite:///{tmp_path}/keys.db"]
    result = run("serve", *told, "--pool", str(path))
    assert result.exit_code == 1
    assert result.stderr.strip().endswith("keys.toml, line 2: pool.rpm: must be a whole number of at least 1, not 0")
    assert not (tmp_path / "keys.db").exists()


@posix
def test_kept_keys_that_are_wrong_are_not_passed_over(run, provider, folder):
    """The chat service can do without keys, but not in silence with keys that it can't read."""
    provider()
    run("add_apikey", KEYS[0])
    (folder / "keys.toml").chmod(0o644)
    result = run("serve", "--http", "localhost:0")
    assert (result.exit_code, "chmod 600" in result.stderr) == (1, True)


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


def test_the_store_of_the_file_of_keys(tmp_path, monkeypatch):
    """Workers, and limits of tokens, share it as if it were told; else that of the environment; an option wins."""
    path = tmp_path / "keys.toml"
    keys = f'[[keys]]\nsecret = "{KEYS[0]}"\n'
    path.write_text(f'[pool]\nstore = "sqlite:///{tmp_path}/file.db"\n{keys}')
    path.chmod(0o600)
    told = {"gateway": "localhost:8000", "workers": 2, "pool": path}
    assert Settings.of(None, told).counted_in == f"sqlite:///{tmp_path}/file.db"
    monkeypatch.setenv("STABLE_OPENAI_STORE", f"sqlite:///{tmp_path}/environment.db")
    assert Settings.of(None, told).counted_in.endswith("file.db")
    assert Settings.of(None, {**told, "store": f"sqlite:///{tmp_path}/told.db"}).counted_in.endswith("told.db")
    path.write_text(keys)
    assert Settings.of(None, told).counted_in.endswith("environment.db")
    with open_pool(path)[0] as pool:
        assert "environment.db" in str(pool.options.store)
    monkeypatch.delenv("STABLE_OPENAI_STORE")
    with pytest.raises(ConfigurationError, match="needs a store that processes share"):
        Settings.of(None, told)


@pytest.mark.parametrize(("address", "warned"), [("0.0.0.0:8000", True), ("localhost:8000", False)])
def test_short_tokens(folder, capsys, monkeypatch, address, warned):
    """Where others can come, they are warned of, by name alone."""
    monkeypatch.delenv("OPENAI_API_KEYS", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    settings = Settings.of(None, {"gateway": address, "tokens": ("web=hunter2", "crawler=a-long-random-text")})
    with pytest.raises(NoKeys):  # which is looked at later
        look(settings)
    told = capsys.readouterr().err
    assert ("the token web has 7 characters: others can come here and guess it" in told) is warned
    assert "hunter2" not in told
    assert "crawler" not in told
