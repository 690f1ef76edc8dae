"""Light clients over shared connections: one socket where one is enough, and closing a client closes none."""

from __future__ import annotations

import gc
import threading
import time

import openai
import pytest

from stable_openai import ConfigurationError
from stable_openai.connections import Connections
from stable_openai.connections.transports import flavour

KEY = "sk-connections-00000000000000"
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}


def client_of(connections, sim, **options):
    return openai.OpenAI(api_key=KEY, base_url=sim.base_url, http_client=connections.client(), **options)


def ask(client):
    return client.chat.completions.create(**CHAT).choices[0].message.content


def test_many_clients_one_socket(connections, sim, sockets):
    """Clients that are made and closed one after the other use one connection, which outlives them."""
    for _ in range(5):
        with client_of(connections, sim) as client:
            assert ask(client) == "You said: hello"
        assert client.is_closed()
        with pytest.raises((openai.APIConnectionError, RuntimeError), match="closed|Connection"):
            ask(client.with_options(max_retries=0))
    assert sockets(sim) == 1
    connections.close()
    assert sockets(sim) == 0


def test_threads_share_one_tls_context(connections, sim, sockets, monkeypatch):
    """16 threads at once: one context is made, and no more connections than threads."""
    made = []
    kept = flavour()
    monkeypatch.setattr(
        "stable_openai.connections.connections.flavour",
        lambda: kept._replace(make_tls=lambda: made.append(kept.make_tls()) or made[-1]),
    )
    together, answers = threading.Barrier(16), []

    def work():
        together.wait(10)
        answers.extend(ask(client_of(connections, sim)) for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert answers == ["You said: hello"] * 80
    assert len(made) == 1
    assert 1 <= sockets(sim) <= 16


def test_a_client_keeps_its_own_timeout_cookies_and_headers(connections):
    """What one client is told is not told to the others."""
    one, other = connections.client(), connections.client()
    one.cookies.set("a", "b")
    one.headers["x-one"] = "1"
    one.timeout = 5
    assert "a" not in other.cookies
    assert "x-one" not in other.headers
    assert other.timeout == openai.DEFAULT_TIMEOUT
    assert other.follow_redirects


def test_relative_addresses(connections, sim):
    """A client of one's own beside openai's."""
    with connections.client(sim.base_url) as http:
        assert http.get("models", headers={"authorization": f"Bearer {KEY}"}).status_code == 200


def test_the_origin_used_longest_ago_makes_room(openai_simulator, sockets):
    """At most so many origins; one over which an answer is still coming is closed when that has come."""
    with Connections(max_origins=2) as connections:
        first, second, third = (openai_simulator([KEY]) for _ in range(3))
        ask(client_of(connections, first))
        stream = client_of(connections, second).chat.completions.create(**CHAT, stream=True)
        ask(client_of(connections, third))
        assert [sockets(sim) for sim in (first, second, third)] == [0, 1, 1]
        ask(client_of(connections, first))
        assert [sockets(sim) for sim in (first, second, third)] == [1, 1, 1]
        assert len(list(stream)) > 1
        stream.close()
        assert [sockets(sim) for sim in (first, second, third)] == [1, 0, 1]
        assert repr(connections) == "<Connections to 2 origins, and in 0 event loops>"


def test_a_request_that_fails_is_over(connections, openai_simulator, sockets):
    """Where nobody listens, nothing is left."""
    sim = openai_simulator([KEY])
    client = client_of(connections, sim, max_retries=0)
    sim.stop()
    with pytest.raises(openai.APIConnectionError):
        ask(client)
    assert sum(pool.users for pool in connections._pools._by_origin.values()) == 0


def test_after_the_end(connections, sim, sockets):
    """A client that outlives the connections goes on working, and leaves nothing behind."""
    client = client_of(connections, sim)
    ask(client)
    stream = client.chat.completions.create(**CHAT, stream=True)
    connections.close()
    connections.close()
    assert sockets(sim) == 1, "an answer is still coming"
    assert len(list(stream)) > 1
    stream.close()
    assert sockets(sim) == 0
    assert ask(client) == "You said: hello"
    assert sockets(sim) == 0


def test_collected(sim, sockets):
    """Without ``close``, the last client that is collected closes the connections, and nothing warns."""
    connections = Connections()
    client = client_of(connections, sim)
    ask(client)
    del connections
    gc.collect()
    assert sockets(sim) == 1
    assert ask(client) == "You said: hello"
    del client
    gc.collect()
    assert sockets(sim) == 0


def test_no_client_nothing_opened():
    """Making and closing one costs nothing."""
    started = time.process_time()
    for _ in range(100):
        Connections().close()
    assert time.process_time() - started < 1, "a TLS context each would take ten times as long"


def test_limits_of_it():
    with pytest.raises(ConfigurationError, match="max_origins: must be 1 or more, not 0"):
        Connections(max_origins=0)


def test_a_proxy_of_the_environment(connections, sim, openai_simulator, monkeypatch, sockets):
    """Proxies are those that openai's own client would use; here one that is not there."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "localhost")
    client = client_of(connections, sim, max_retries=0)
    with pytest.raises(openai.APIConnectionError):
        ask(client)
    assert ask(client.with_options(base_url=sim.base_url.replace("127.0.0.1", "localhost"))) == "You said: hello"
