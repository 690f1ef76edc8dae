"""`stable-openai serve`: keys that change while it runs, and SIGHUP."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from stable_openai import KeyPool
from stable_openai.cli.serve.renewing import read_keys
from tests.cli.conftest import KEYS
from tests.cli.servers import CHAT, ask, said

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")


@pytest.fixture
def file(tmp_path):
    """``file(key, …)``: a keys.toml of these."""
    path = tmp_path / "keys.toml"

    def write(*keys):
        path.write_text("".join(f'[[keys]]\nsecret = "{key}"\nname = "{key[-2:]}"\n' for key in keys))
        path.chmod(0o600)
        return path

    return write


def names(url):
    """The keys, as the status page has them."""
    request = urllib.request.Request(f"{url}/status.json", headers={"Connection": "close"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return [key["name"] for key in json.loads(answer.read())["keys"]]


@pytest.mark.parametrize("workers", [1, 2])
def test_keys_are_read_again(serving, file, tmp_path, workers):
    """SIGHUP: what is new is used, what has gone is not, in each worker; a file that is wrong changes nothing."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"127.0.0.1:{free.getsockname()[1]}"
    path = file(KEYS[0])
    shared = ["--store", f"sqlite:///{tmp_path}/keys.db", "--workers", str(workers)] if workers > 1 else []
    child = serving("--gateway", url, "--pool", str(path), *shared)
    url = f"http://{url}"
    for _ in range(workers):
        assert said(child, r"(worker \d+ serves on|gateway on) http://")
    assert names(url) == ["A1"]
    for keys, words, expected in (
        (KEYS, "read again: 2", ["A1", "B2"]),
        (['sk-"broken'], "stay as they were: keys.toml", ["A1", "B2"]),
        (KEYS[1:], "read again: 1", ["B2"]),
    ):
        file(*keys)
        child.send_signal(signal.SIGHUP)
        for _ in range(workers):
            assert said(child, words)
        assert all(names(url) == expected for _ in range(4 * workers - 3))
        assert ask(f"{url}/v1/chat/completions", CHAT)["choices"]
    child.send_signal(signal.SIGTERM)
    assert "sk-sim" not in child.stderr.read()
    assert child.wait(30) == 0


def test_removed_ones_stay_out(serving, file):
    """A key that was removed at the status page does not come back when the file is read again, unless it is new."""
    child = serving("--gateway", "127.0.0.1:0", "--pool", str(file(*KEYS)))
    url = said(child, r"gateway on (http://\S+)/v1")[1]
    with urllib.request.urlopen(f"{url}/status", timeout=20) as answer:
        cookie = answer.headers["Set-Cookie"].partition(";")[0]
        csrf = re.search(r'name="csrf" value="([^"]*)"', answer.read().decode())[1]
    form = f"csrf={csrf}&sure=yes".encode()
    request = urllib.request.Request(f"{url}/status/keys/A1/remove", form, {"Cookie": cookie})
    with urllib.request.urlopen(request, timeout=20):
        pass
    for keys, expected in ((KEYS, ["B2"]), ((KEYS[1], "sk-sim-" + "c" * 24 + "A1"), ["B2", "A1"])):
        file(*keys)
        child.send_signal(signal.SIGHUP)
        assert said(child, f"read again: {len(expected)}")
        assert names(url) == expected


@pytest.mark.skipif(shutil.which("setsid") is None, reason="needs setsid")
def test_a_terminal_that_is_closed(provider, file):
    """It is no order to read anything again: the server ends."""
    provider()
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "stable_openai", "serve", "--gateway", "127.0.0.1:0", "--pool", str(file(*KEYS))]
    child = subprocess.Popen(["setsid", "--ctty", *command], stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        heard = b""
        while b"gateway on" not in heard:
            heard += os.read(ours, 1024)
        os.close(ours)
        child.wait(30)
    finally:
        child.kill()
        child.wait()


def test_no_key_left(file, capsys, tmp_path):
    """Nor does a file without keys, or none at all, leave the server without any."""
    with KeyPool(list(KEYS)) as pool:
        read_keys(pool, file())
        assert "the keys stay as they were: keys: there are none any more" in capsys.readouterr().err
        read_keys(pool, tmp_path / "gone.toml")
        assert "the keys stay as they were: No such file" in capsys.readouterr().err
        assert len(pool) == 2
