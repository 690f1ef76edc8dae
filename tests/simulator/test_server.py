"""The server: it starts, stops, bounds and refuses; nothing is left behind."""

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading

import aiohttp
import pytest

import stable_openai.simulator as package
from stable_openai.simulator import Provider, SimKey, Simulator

BODY = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x"}]})
AUTH = {"Authorization": "Bearer sk-a", "Content-Type": "application/json"}


def call(sim, method, path, body=None, headers=AUTH):
    connection = http.client.HTTPConnection("127.0.0.1", sim.port, timeout=10)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_errors_of_http(openai_simulator):
    """Unknown paths, wrong methods, missing keys and bodies beyond the bound."""
    sim = openai_simulator(["sk-a"], max_body_bytes=1000)
    assert call(sim, "GET", "/v1/nowhere")[0] == 404
    assert call(sim, "GET", "/v1/chat/completions")[0] == 405
    status, body = call(sim, "POST", "/v1/chat/completions", "x" * 2000)
    assert (status, body["error"]["code"]) == (413, "request_too_large")
    assert call(sim, "POST", "/v1/chat/completions", "{nonsense")[0] == 400
    assert call(sim, "POST", "/v1/chat/completions", BODY, {})[0] == 401
    assert call(sim, "POST", "/v1/chat/completions", BODY, {"Authorization": "Basic sk-a"})[0] == 401
    assert call(sim, "POST", "/v1/chat/completions", BODY, {"api-key": "sk-a"})[0] == 200


def test_stats_and_controls_over_http(openai_simulator):
    """A test in another process can see and steer it; a web page cannot."""
    sim = openai_simulator(["sk-a"])
    assert call(sim, "POST", "/_simulator/control", '{"action": "outage", "kind": "503"}') == (200, {"ok": True})
    assert call(sim, "POST", "/v1/chat/completions", BODY)[0] == 503
    assert call(sim, "POST", "/_simulator/control", '{"action": "nothing"}')[0] == 400
    assert call(sim, "POST", "/_simulator/control", "{")[0] == 400
    assert call(sim, "POST", "/_simulator/control", '{"action": "recover"}', {"Content-Type": "text/plain"})[0] == 415
    status, stats = call(sim, "GET", "/_simulator/stats")
    assert status == 200
    assert stats["keys"]["key-1"]["outcomes"] == {"outage": 1}
    assert "sk-a" not in json.dumps(stats)


def test_it_listens_on_loopback_only(openai_simulator):
    """The socket is bound to 127.0.0.1."""
    sim = openai_simulator(["sk-a"])
    assert sim.base_url == f"http://127.0.0.1:{sim.port}/v1"
    addresses = [s.getsockname()[0] for s in sim._server._runner.sites.pop()._server.sockets]
    assert addresses == ["127.0.0.1"]


def test_nothing_is_left_when_it_stops(monkeypatch):
    """No thread, no port; hanging and slow requests are cut off at once; it can start again and remembers."""
    before = set(threading.enumerate())
    sim = Simulator([SimKey("sk-a"), SimKey("sk-slow", latency_s=1000)], hang_rate=0.0)
    with pytest.raises(RuntimeError, match="not running"):
        sim.base_url  # noqa: B018
    with sim:
        port = sim.port
        assert call(sim, "POST", "/v1/chat/completions", BODY)[0] == 200
        held, reply = threading.Semaphore(0), Provider.reply

        def reply_and_tell(*args, **kwargs):
            answer = reply(*args, **kwargs)
            held.release()
            return answer

        monkeypatch.setattr(Provider, "reply", reply_and_tell)
        waiting = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        waiting.request("POST", "/v1/chat/completions", BODY, {"Authorization": "Bearer sk-slow"})
        streaming = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        sim.provider.tune(stream_gap_s=1000.0)
        streaming.request("POST", "/v1/chat/completions", json.dumps({**json.loads(BODY), "stream": True}), AUTH)
        assert streaming.getresponse().read1(6) == b"data: "
        assert held.acquire(timeout=10)
        assert held.acquire(timeout=10)
        with pytest.raises(RuntimeError, match="running already"):
            sim.start()
        assert str(port) in repr(sim)
    waiting.close()
    streaming.close()
    sim.stop()
    assert set(threading.enumerate()) == before
    assert "stopped" in repr(sim)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    with sim:
        assert call(sim, "POST", "/v1/chat/completions", BODY)[0] == 200
    assert sim.stats().total.attempts == 4
    assert sim.provider._held == {}


def test_a_port_that_is_taken_is_an_error():
    """The error comes to the caller, and no thread is left."""
    with Simulator(["sk-a"]) as sim:
        other = Simulator(["sk-a"], port=sim.port)
        with pytest.raises(OSError, match=str(sim.port)):
            other.start()
        with pytest.raises(ValueError, match="port must be at most 65535"):
            Simulator(port=70_000)
    with other:
        assert other.port == other._asked_port


async def test_in_a_running_loop():
    """`async with` needs no thread; 200 requests at once are each served once."""
    before = threading.active_count()
    async with Simulator(["sk-a"]) as sim, aiohttp.ClientSession(headers=AUTH) as session:
        assert threading.active_count() == before

        async def one(number):
            body = json.dumps({"model": "m", "messages": [{"role": "user", "content": f"q{number}"}]})
            async with session.post(f"{sim.base_url}/chat/completions", data=body) as response:
                return (await response.json())["choices"][0]["message"]["content"]

        answers = await asyncio.gather(*(one(number) for number in range(200)))
        stats = sim.stats()
    assert answers == [f"You said: q{number}" for number in range(200)]
    assert all(stats.served_times(f"q{number}") == 1 for number in range(200))


async def test_a_client_that_leaves_frees_its_slot():
    """A cancelled request is no longer in flight."""
    sim = Simulator([SimKey("sk-a", max_concurrency=1)], hang_rate=1.0)
    async with sim, aiohttp.ClientSession(headers=AUTH) as session:
        task = asyncio.create_task(session.post(f"{sim.base_url}/chat/completions", data=BODY))
        while not sim.provider._held:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while sim.provider._held:
            await asyncio.sleep(0)
        sim.provider.tune(hang_rate=0.0)
        async with session.post(f"{sim.base_url}/chat/completions", data=BODY) as response:
            assert response.status == 200


def test_an_injected_clock_moves_the_minute(openai_simulator):
    """Over HTTP too, a test can jump the time."""
    at = [100.0]
    sim = openai_simulator([SimKey("sk-a", rpm=1)], clock=lambda: at[0])
    assert [call(sim, "POST", "/v1/chat/completions", BODY)[0] for _ in range(2)] == [200, 429]
    at[0] += 60.0
    assert call(sim, "POST", "/v1/chat/completions", BODY)[0] == 200
    assert sim.now() == 60.0


SERVE = """
from stable_openai.simulator import run_forever
stats = run_forever(["sk-a"], on_ready=lambda sim: print(sim.port, flush=True))
print(stats.total.served)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_a_signal_comes(number):
    """Both signals end it cleanly, and it tells what it served."""
    command = [sys.executable, "-W", "error", "-c", SERVE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        port = int(process.stdout.readline())
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("POST", "/v1/chat/completions", BODY, AUTH)
        assert connection.getresponse().read()
        os.kill(process.pid, number)
        out, err = process.communicate(timeout=20)
        connection.close()
    assert (process.returncode, out, err) == (0, "1\n", "")


def test_stop_ends_serve_forever():
    """Another thread can end it, where no signal handler can be set."""
    sim = Simulator(["sk-a"])
    ready = threading.Event()
    thread = threading.Thread(target=sim.serve_forever, args=(ready.set,))
    thread.start()
    assert ready.wait(10)
    assert call(sim, "POST", "/v1/chat/completions", BODY)[0] == 200
    sim.stop()
    thread.join(10)
    assert not thread.is_alive()


LIGHT = """
import sys
import stable_openai.simulator, stable_openai.simulator.fixtures
from stable_openai.simulator import Provider, SimKey, Simulator
Simulator([SimKey("a")])
assert not {"aiohttp", "openai", "httpx"} & set(sys.modules), sys.modules
"""


def test_aiohttp_loads_with_the_first_server_only():
    """Importing the simulator, the plugin and making one loads nothing heavy."""
    subprocess.run([sys.executable, "-W", "error", "-c", LIGHT], check=True, timeout=30)


PLUGIN = """
import sys
import stable_openai.simulator.fixtures
loaded = [name for name in sys.modules if name.startswith("stable_openai")]
assert set(loaded) == {"stable_openai", "stable_openai.simulator", "stable_openai.simulator.fixtures"}, loaded
"""


def test_the_plugin_loads_nothing_else():
    """pytest loads the plugin in every project of the user's, so it must be cheap."""
    subprocess.run([sys.executable, "-W", "error", "-c", PLUGIN], check=True, timeout=30)


def test_missing_aiohttp_is_explained(monkeypatch):
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "stable_openai.simulator.server", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'stable-openai\[cli\]'"):
        Simulator().start()


def test_public_names():
    """The exported names are sorted and all there; others are not."""
    assert package.__all__ == sorted(package.__all__)
    assert set(package.__all__) <= set(dir(package))
    for name in package.__all__:
        assert getattr(package, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        package.nothing  # noqa: B018


def test_the_fixture_stops_all(openai_simulator):
    """Several at once, each on a port of its own."""
    first, second = openai_simulator(["sk-a"]), openai_simulator(keys=["sk-a"], minute=2.0)
    assert first.port != second.port
    assert second.provider.settings.minute == 2.0
