"""`stable-openai serve --workers`: several processes at one address, as one gateway."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import sys
import urllib.request

import pytest

from tests.cli.servers import CHAT, ask, said

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and ports as POSIX has them")


@pytest.fixture
def gateway(serving, tmp_path):
    """Two workers: the process that has started them, their numbers, and their address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    child = serving("--gateway", address, "--workers", "2", "--store", f"sqlite:///{tmp_path}/keys.db")
    return child, {int(said(child, r"worker (\d+) serves")[1]) for _ in range(2)}, f"http://{address}"


def get(url):
    """By a connection of its own: the system chooses the worker anew."""
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Connection": "close"}), timeout=20) as answer:
        return answer.read().decode()


def count(text, name):
    """The sum of a metric."""
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))


def test_one_that_dies_is_replaced(gateway):
    """Meanwhile the others serve; a signal ends them all."""
    child, workers, url = gateway
    assert ask(f"{url}/v1/chat/completions", CHAT)["choices"]
    first = workers.pop()
    os.kill(first, signal.SIGKILL)
    assert said(child, rf"worker {first} has ended")
    assert int(said(child, r"worker (\d+) serves")[1]) not in {first, *workers}
    assert ask(f"{url}/v1/chat/completions", CHAT)["choices"]
    child.send_signal(signal.SIGTERM)
    child.stderr.read()
    assert child.wait(30) == 0


def test_metrics_of_all(gateway):
    """Whichever worker is asked tells what all have counted, of one that has died too."""
    pytest.importorskip("prometheus_client")
    child, workers, url = gateway
    for _ in range(20):
        assert ask(f"{url}/v1/chat/completions", CHAT)["choices"]
    requests = "stable_openai_gateway_requests_total"
    assert {count(get(f"{url}/metrics"), requests) for _ in range(8)} == {20}
    first = workers.pop()
    os.kill(first, signal.SIGKILL)
    said(child, r"worker (\d+) serves")
    text = get(f"{url}/metrics")
    assert count(text, requests) == 20
    assert count(text, "stable_openai_gateway_in_flight") == count(text, "stable_openai_gateway_waiting") == 0


def test_a_key_that_is_removed(gateway):
    """Gone from each worker, and from the one that comes in the place of another."""
    child, workers, url = gateway
    first, second = (key["name"] for key in json.loads(get(f"{url}/status.json"))["keys"])
    request = urllib.request.Request(f"{url}/status", headers={"Connection": "close"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        cookie = answer.headers["Set-Cookie"].partition(";")[0]
        csrf = re.search(r'name="csrf" value="([^"]*)"', answer.read().decode())[1]
    form = urllib.request.Request(
        f"{url}/status/keys/{first}/remove", f"csrf={csrf}&sure=yes".encode(), {"Cookie": cookie, "Connection": "close"}
    )
    with urllib.request.urlopen(form, timeout=20) as answer:
        assert second in answer.read().decode()
    os.kill(workers.pop(), signal.SIGKILL)
    said(child, r"worker (\d+) serves")
    while first in "".join(pages := [get(f"{url}/status.json") for _ in range(8)]):
        pass  # bounded by the test's timeout
    assert all(second in page for page in pages)


def test_orphans_end(gateway):
    """Where the process that has started them is killed, none stays behind at the port."""
    child, _, url = gateway
    child.kill()
    child.wait()
    child.stderr.read()  # until the last of them has closed it
    with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/healthz", timeout=20):
        raise AssertionError("somebody answers")
