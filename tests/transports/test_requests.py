"""What is particular to requests: its raw bodies, its hooks, its sessions' retries, and pickling."""

from __future__ import annotations

import gc
import io
import pickle
import shutil

import pytest

import stable_openai
from stable_openai import KeyManager, KeyPool

requests = pytest.importorskip("requests")

ROLE = b'data: {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}\n\n'
HELLO = b'data: {"choices": [{"index": 0, "delta": {"content": "Hello"}}]}\n\n'
EVENTS = {"Content-Type": "text/event-stream"}


@pytest.fixture(params=["adapter", "auth", "both"])
def session(request):
    """``session(pool)``: a session by adapter, by auth, or by both."""
    with requests.Session() as session:
        session.trust_env = False

        def make(pool=None, **options):
            if request.param != "auth":
                session.mount("http://", stable_openai.PoolAdapter(pool, **options))
            if request.param != "adapter":
                session.auth = stable_openai.PoolAuth(pool)
            session.how = request.param
            return session

        yield make


def running(pool):
    return sum(row.in_flight for row in pool.status())


@pytest.mark.parametrize("size", [1, 7, 10_000, None])
def test_sizes_of_pieces(session, scripted, setting, asked, size):
    """They are no larger than asked for, whatever was read ahead: in chunks, and up to the connection's end."""
    s = setting([("a", {})])
    server = scripted(lambda request: (200, EVENTS, [ROLE, HELLO] if request.path.endswith("c") else ROLE + HELLO))
    http = session(s.pool)
    for path in "cx":
        with http.post(f"{server.url}/{path}", json=asked(stream=True), stream=True) as response:
            pieces = list(response.iter_content(chunk_size=size))
        assert b"".join(pieces) == ROLE + HELLO
        assert size is None or max(map(len, pieces)) <= size


def test_reading_the_raw_body(session, scripted, setting, asked):
    """``response.raw`` is a file, as ever: of events, of JSON, and of an error."""
    s = setting([("a", {})])

    def answer(request):
        if request.path.endswith("events"):
            return 200, EVENTS, [ROLE, HELLO]
        body = b'{"error": {"message": "no"}}' if request.path.endswith("error") else b'{"fine": true}'
        status = 400 if request.path.endswith("error") else 200
        return status, {"Content-Type": "application/json", "Content-Length": str(len(body))}, body

    server, http = scripted(answer), session(s.pool)

    def raw(path):
        return http.post(f"{server.url}/{path}", json=asked(), stream=True).raw

    assert raw("events").read() == ROLE + HELLO
    assert raw("events").read(10) == ROLE[:10]
    assert list(raw("events"))[:2] == [ROLE[:-1], b"\n"]
    assert raw("events").readline() == ROLE[:-1]
    assert raw("events").headers["Content-Type"] == "text/event-stream"
    assert raw("json").read() == b'{"fine": true}'
    assert raw("error").read() == b'{"error": {"message": "no"}}'
    assert io.BufferedReader(raw("events")).read() == ROLE + HELLO
    closed = raw("events")
    closed.close()
    assert closed.read() == b""
    closed.close()
    copied = io.BytesIO()
    shutil.copyfileobj(raw("events"), copied)
    assert copied.getvalue() == ROLE + HELLO
    gc.collect()
    assert running(s.pool) == 0


def test_json_of_a_stream(session, setting, asked):
    """It can be read in any of requests' ways."""
    s = setting([("a", {})])
    http = session(s.pool)
    for read in (
        lambda response: response.json(),
        lambda response: response.text,
        lambda response: b"".join(response.iter_content(3)),
        lambda response: list(response.iter_lines()),
    ):
        assert "You said: hello" in str(read(http.post(s.url, json=asked(), stream=True)))


def test_an_answer_that_is_cut(session, setting, scripted):
    """Half an answer is no answer: another key is asked; a caller who has begun to read gets requests' exception."""
    s = setting([("a", {}), ("b", {})])

    def answer(request):
        length = "99" if "-a-" in request.key else "2"
        return 200, {"Content-Type": "application/json", "Content-Length": length, "Connection": "close"}, b"{}"

    server, http = scripted(answer), session(s.pool)
    assert http.post(server.url + "/x").json() == {}
    assert [row.failed for row in s.pool.status()] == [1, 0]
    s.pool.remove("b")
    server.answer = lambda _: (200, {**EVENTS, "Content-Length": "999", "Connection": "close"}, ROLE + HELLO)
    with http.post(server.url + "/x", stream=True) as response, pytest.raises(requests.RequestException) as caught:
        list(response.iter_content(10))
    assert type(caught.value).__module__ == "requests.exceptions"
    assert [row.failed for row in s.pool.status()] == [2]
    assert running(s.pool) == 0


def test_an_older_urllib3():
    """One that can't read what is there is asked for events byte by byte, lest it wait for the next ones."""
    from stable_openai.transports.requests_replies import _Pieces

    class Old:
        chunked = False

        def stream(self, amount, decode_content):
            yield from [b"x" * amount] * 2

    for is_events, expected in ((True, b"xx"), (False, b"x" * (2 << 16))):
        response = requests.Response()
        response.raw = Old()
        assert b"".join(_Pieces(response, is_events=is_events)) == expected


def test_a_dropped_stream_ends_at_once(session, scripted, setting, asked):
    """Nothing refers back to it, so it need not wait for the garbage collector."""
    s = setting([("a", {})])
    server, http = scripted(lambda _: (200, EVENTS, [ROLE, HELLO])), session(s.pool)
    gc.disable()
    try:
        response = http.post(server.url + "/x", json=asked(stream=True), stream=True)
        assert running(s.pool) == 1
        del response
        assert running(s.pool) == 0
    finally:
        gc.enable()


def test_hooks_see_the_answer_that_counts(session, setting, asked):
    """The session's own hooks come after ours."""
    s = setting([("dead", {"state": "dead"}), ("good", {})])
    http, seen = session(s.pool), []
    http.hooks["response"].append(lambda response, **_: seen.append(response.status_code))
    http.post(s.url, json=asked())
    assert seen == [200]


def test_files_are_rewound(session, setting, tmp_path):
    """A body that is a file is sent again from where it began."""
    s = setting([("dead", {"state": "dead"}), ("good", {})])
    path = tmp_path / "body.json"
    path.write_text('ignored {"model": "gpt-4o", "messages": [{"role": "user", "content": "from a file"}]}')
    with path.open("rb") as body:
        body.seek(len("ignored "))
        answer = session(s.pool).post(s.url, data=body, headers={"Content-Type": "application/json"})
    assert answer.json()["choices"][0]["message"]["content"] == "You said: from a file"


def test_one_lease_for_both(setting, asked):
    """An adapter and an auth of one session are not two."""
    s = setting([("a", {"max_concurrency": 1})], told={"max_concurrency": 1, "max_wait": 0})
    with requests.Session() as http:
        http.trust_env = False
        http.mount("http://", stable_openai.PoolAdapter(s.pool))
        http.auth = stable_openai.PoolAuth(s.pool)
        for _ in range(3):
            assert http.post(s.url, json=asked()).status_code == 200
    assert s.pool.status()[0].uses == 3


def test_a_prepared_request_is_sent_again(session, setting, asked):
    """With an adapter under a key of that moment; an auth gives it one when it is prepared, and that is all."""
    s = setting([("a", {}), ("b", {})])
    http = session(s.pool)
    prepared = http.prepare_request(requests.Request("POST", s.url, json=asked()))
    for _ in range(2):
        assert http.send(prepared).status_code == 200
    assert sum(row.uses for row in s.pool.status()) == (1 if http.how == "auth" else 2)
    assert running(s.pool) == 0


def test_a_request_that_is_never_sent(setting, asked):
    """Its lease ends with it."""
    s = setting([("a", {})])
    prepared = requests.Request("POST", s.url, json=asked(), auth=stable_openai.PoolAuth(s.pool)).prepare()
    assert running(s.pool) == 1
    assert prepared.headers["Authorization"] == f"Bearer {s.sim.keys[0]}"
    assert "0123456789" not in repr(prepared.headers)
    del prepared
    gc.collect()
    assert running(s.pool) == 0


def test_the_sessions_own_retries(setting, asked):
    """urllib3's ``Retry`` stays as it is: it sends again under the same key, and what it raises at last is judged."""
    from urllib3.util import Retry

    s = setting([("a", {"state": "dead"}), ("b", {})])
    retries = Retry(2, status_forcelist=[401], allowed_methods=None, backoff_factor=0)
    with requests.Session() as http:
        http.trust_env = False
        http.mount("http://", stable_openai.PoolAdapter(s.pool, max_retries=retries))
        assert http.post(s.url, json=asked()).status_code == 200
    assert s.sim.stats().keys["a"].attempts == 3


def test_without_a_session(setting, asked):
    """``requests.post(…, auth=…)`` does as well."""
    s = setting([("dead", {"state": "dead"}), ("good", {})])
    assert requests.post(s.url, json=asked(), auth=stable_openai.PoolAuth(s.pool)).status_code == 200


def test_pickling():
    """A session of the process-wide pool can be pickled, and finds the pool of the process where it is loaded."""
    with requests.Session() as session:
        session.mount("https://", stable_openai.PoolAdapter(max_wait=3, pool_maxsize=32))
        session.auth = stable_openai.PoolAuth()
        with pickle.loads(pickle.dumps(session)) as loaded:
            assert repr(loaded.get_adapter("https://x/")) == "<PoolAdapter over the KeyManager>"
            assert loaded.get_adapter("https://x/")._pool_maxsize == 32
    with KeyPool(["sk-1"]) as pool, pytest.raises(TypeError, match="pool can't be pickled"):
        pickle.dumps(stable_openai.PoolAdapter(pool))


def test_an_auth_of_requests_is_none_of_httpx():
    """It says what to do instead."""
    for name in ("httpx", "httpx2"):
        library = pytest.importorskip(name)
        KeyManager(["sk-1"])
        with library.Client() as client, pytest.raises(TypeError, match="transport=stable_openai.Transport"):
            client.get("http://127.0.0.1:9/", auth=stable_openai.PoolAuth())
