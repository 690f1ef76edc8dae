"""What is particular to httpx and httpx2: transports over transports, raw bodies, multipart, closing."""

from __future__ import annotations

import gzip
import io
import json

import pytest

import stable_openai
from stable_openai import KeyPool

SECRETS = ["sk-httpx-a-0123456789", "sk-httpx-b-0123456789"]
URL = "https://api.openai.com/v1/chat/completions"


@pytest.fixture(params=["httpx", "httpx2"])
def library(request):
    return pytest.importorskip(request.param)


@pytest.fixture
def pool():
    with KeyPool(SECRETS) as pool:
        yield pool


def refuses_first(library):
    """A transport of the library's own for tests: it refuses the first key, and says what it got."""

    def answer(request):
        key = request.headers["Authorization"].removeprefix("Bearer ")
        if key == SECRETS[0]:
            return library.Response(401, json={"error": {"message": "no", "code": "invalid_api_key"}})
        return library.Response(200, json={"body": request.read().decode("latin-1")})

    return library.MockTransport(answer)


def test_over_a_transport_of_ones_own(library, pool):
    """Any transport does the sending."""
    with library.Client(transport=stable_openai.Transport(pool, refuses_first(library))) as client:
        answer = client.post(URL, json={"model": "gpt-4o"})
        assert json.loads(answer.json()["body"]) == {"model": "gpt-4o"}
        assert answer.elapsed.total_seconds() >= 0
    assert [row.standing for row in pool.status()] == ["retired", "open"]


async def test_over_an_async_transport_of_ones_own(library, pool):
    """Of the other kind, too."""
    transport = stable_openai.AsyncTransport(pool, refuses_first(library))
    async with library.AsyncClient(transport=transport) as client:
        assert (await client.post(URL, json={"model": "gpt-4o"})).status_code == 200


class Counting:
    """A transport that notes how it is used."""

    def __init__(self):
        self.calls = []

    def __enter__(self):
        self.calls.append("enter")
        return self

    def __exit__(self, *_):
        self.calls.append("exit")

    def close(self):
        self.calls.append("close")


def test_it_is_opened_and_closed_with_the_client(library, pool):
    """Whichever way the client is closed."""
    inner = Counting()
    with library.Client(transport=stable_openai.Transport(pool, inner)):
        pass
    library.Client(transport=stable_openai.Transport(pool, inner)).close()
    assert inner.calls == ["enter", "exit", "close"]


def test_mounted_for_one_address(library, pool, openai_simulator):
    """Other requests of the client do not know of it."""
    sim, other = openai_simulator(keys=SECRETS), openai_simulator(keys=SECRETS)
    with library.Client(mounts={sim.url: stable_openai.Transport(pool)}) as client:
        assert client.get(sim.base_url + "/models").status_code == 200
        assert client.get(other.base_url + "/models").status_code == 401


def test_multipart_is_sent_again(library, pool):
    """Files are rewound where they can be."""
    with library.Client(transport=stable_openai.Transport(pool, refuses_first(library))) as client:
        answer = client.post(URL, data={"model": "whisper-1"}, files={"file": ("a.wav", io.BytesIO(b"sound"))})
    assert answer.status_code == 200
    assert "sound" in answer.json()["body"]


def test_a_compressed_answer(library, pool, scripted):
    """Its bytes reach the caller as they came, although the answer was read on the way."""
    body = gzip.compress(b'{"fine": true}')
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip", "Content-Length": str(len(body))}
    server = scripted(lambda _: (200, headers, body))
    with library.Client(transport=stable_openai.Transport(pool)) as client:
        assert client.post(server.url + "/x").json() == {"fine": True}
        with client.stream("POST", server.url + "/x") as response:
            assert b"".join(response.iter_raw()) == body
            assert response.num_bytes_downloaded == len(body)
        with client.stream("POST", server.url + "/x") as response:
            assert list(response.iter_lines()) == ['{"fine": true}']
            assert response.headers["Content-Encoding"] == "gzip"


def test_an_answer_that_is_cut(library, setting, scripted):
    """Half an answer is no answer: another key is asked."""
    s = setting([("a", {}), ("b", {})])

    def answer(request):
        length = "99" if "-a-" in request.key else "2"
        return 200, {"Content-Type": "application/json", "Content-Length": length, "Connection": "close"}, b"{}"

    server = scripted(answer)
    with library.Client(transport=stable_openai.Transport(s.pool)) as client:
        assert client.post(server.url + "/x").json() == {}
    assert [row.failed for row in s.pool.status()] == [1, 0]


def test_one_transport_for_both(pool, openai_simulator):
    """The request says which library it is of."""
    libraries = [pytest.importorskip(name) for name in ("httpx", "httpx2")]
    sim = openai_simulator(keys=SECRETS)
    transport = stable_openai.Transport(pool)
    for library in libraries:
        client = library.Client(transport=transport)
        answer = client.get(sim.base_url + "/models")
        assert isinstance(answer, library.Response)
        assert answer.status_code == 200
    transport.close()


def test_bare(library, pool, openai_simulator):
    """Without a client, as other transports are tested."""
    sim = openai_simulator(keys=SECRETS)
    with stable_openai.Transport(pool) as transport:
        request = library.Request("GET", sim.base_url + "/models")
        response = transport.handle_request(request)
        assert response.status_code == 200
        assert b"".join(response.stream)
        assert "Authorization" not in request.headers
