"""What belongs to one account works over a pool of several: requests go to the account that knows what they name."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import io
import itertools
import json

import openai
import pytest
from aiohttp import web

from stable_openai import Key, ManualClock
from stable_openai.gateway import GATEWAY
from stable_openai.gateway.homes import Homes

from .conftest import CHAT, error, events, key_of

KEYS = [f"key-{name}-{number}{number}{number}{number}" for number, name in enumerate(["one", "two", "three", "four"])]


class Accounts:
    """A provider of several accounts: each key is of a project, and a project knows what was made there alone.

    As OpenAI does, it takes batches of files that it does not know, which then fail; and it names the project in its
    answers, unless it is told not to.
    """

    def __init__(self, projects=None):
        self.projects = projects or {key: f"proj_{number}" for number, key in enumerate(KEYS)}
        self.kept = {}  # by project: what is kept under each id
        self.numbers = itertools.count(100)
        self.tells = True
        self.limited = set()
        self.dead = set()
        self.asked = []  # who was asked for what

    async def answer(self, http):
        key = key_of(http)
        path = http.path.removeprefix("/v1/")
        self.asked.append((key, http.method, path))
        if key in self.limited:
            return error(429, "Rate limit reached for requests", "requests", "rate_limit_exceeded", retry_after="33")
        if key in self.dead:
            return error(401, "Incorrect API key provided.", "invalid_request_error", "invalid_api_key")
        kept = self.kept.setdefault(self.projects[key], {})
        response = await self._answer(http, path, kept)
        if self.tells and not response.prepared:
            response.headers["openai-organization"] = "org-x"
            response.headers["openai-project"] = self.projects[key]
        return response

    async def _answer(self, http, path, kept):
        collection, _, rest = path.partition("/")
        named = rest.split("/")[0]
        if collection == "moderations":
            return web.json_response({"results": []})
        if http.method == "POST" and not rest:
            return await getattr(self, collection)(http, kept)
        if not rest:
            return web.json_response({"object": "list", "data": list(kept.values())})
        if named not in kept:
            return error(404, f"No such {collection} object: {named}", "invalid_request_error")
        if http.method == "DELETE":
            del kept[named]
            return web.json_response({"id": named, "deleted": True})
        return web.json_response(kept[named])

    def _keep(self, kept, prefix, **fields):
        made = {"id": f"{prefix}{next(self.numbers)}", **fields}
        kept[made["id"]] = made
        return made

    async def files(self, http, kept):
        body = http._read_bytes
        return web.json_response(self._keep(kept, "file-", object="file", bytes=len(body), purpose="batch"))

    async def batches(self, http, kept):
        asked = json.loads(http._read_bytes)
        fine = asked["input_file_id"] in kept
        output = self._keep(kept, "file-", object="file")["id"] if fine else None
        fields = {"endpoint": "/v1/responses", "completion_window": "24h", "created_at": 1, "object": "batch"}
        made = self._keep(
            kept,
            "batch_",
            **fields,
            input_file_id=asked["input_file_id"],
            status="completed" if fine else "failed",
            output_file_id=output,
        )
        return web.json_response(made)

    async def responses(self, http, kept):
        body = http._read_bytes
        if http.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        asked = json.loads(body)
        before = asked.get("previous_response_id")
        if before is not None and before not in kept:
            told = f"Previous response with id '{before}' not found."
            return error(400, told, "invalid_request_error", "previous_response_not_found")
        for item in asked["input"] if isinstance(asked["input"], list) else ():
            if item.get("type") == "item_reference" and item["id"] not in kept:
                return error(404, f"Item with id '{item['id']}' not found.", "invalid_request_error")
        text = {"type": "output_text", "text": "yes", "annotations": []}
        message = {"type": "message", "id": f"msg_{next(self.numbers)}", "role": "assistant", "status": "completed"}
        kept[message["id"]] = message
        made = self._keep(
            kept,
            "resp_",
            object="response",
            created_at=1,
            model="m",
            status="completed",
            output=[{**message, "content": [text]}],
            parallel_tool_calls=False,
            tool_choice="auto",
            tools=[],
        )
        if not asked.get("stream"):
            return web.json_response(made)
        pieces = [
            {"type": "response.created", "response": {**made, "output": []}},
            {"type": "response.output_text.delta", "delta": "yes", "item_id": message["id"]},
            {"type": "response.completed", "response": made},
        ]
        lines = [f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in pieces]
        return await events(http, *lines)

    @property
    def last(self):
        """Under which key the last request came."""
        return self.asked[-1][0]


@pytest.fixture
def accounts(provider):
    made = Accounts()
    provider.answer = made.answer
    return made


def upload(url):
    form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nabc\r\n--x--\r\n'
    return {"url": f"{url}/files", "data": form, "headers": {"Content-Type": "multipart/form-data; boundary=x"}}


async def ask(client, method, url, **options):
    async with client.request(method, url, **options) as got:
        return got.status, await got.json(), got.headers


async def make_file(client, running):
    status, made, _ = await ask(client, "POST", **upload(running.v1))
    assert status == 200
    return made["id"]


async def test_a_file_over_many_keys(accounts, gateway, client):
    """Uploaded under whichever key, it is retrieved, used and deleted under the same, at the first attempt."""
    running = await gateway(KEYS)
    for _ in KEYS:
        file = await make_file(client, running)
        home = accounts.last
        for method, path in [("GET", ""), ("GET", "/content"), ("DELETE", "")]:
            status, *_ = await ask(client, method, f"{running.v1}/files/{file}{path}")
            assert (status, accounts.last) == (200, home)
        status, *_ = await ask(client, "GET", f"{running.v1}/files/{file}")
        assert (status, accounts.last) == (404, home)  # it is gone, which nobody else knows better
    assert {key for key, *_ in accounts.asked} == set(KEYS)
    assert len(accounts.asked) == 5 * len(KEYS)


async def test_a_batch_and_what_comes_of_it(accounts, gateway, client):
    """A batch goes where its file is, and so do requests for the batch, and for the file that it has written."""
    running = await gateway(KEYS)
    for _ in KEYS:
        file = await make_file(client, running)
        home = accounts.last
        status, batch, _ = await ask(client, "POST", f"{running.v1}/batches", json={"input_file_id": file})
        assert (status, batch["status"], accounts.last) == (200, "completed", home)
        for path in (f"batches/{batch['id']}", f"files/{batch['output_file_id']}"):
            status, *_ = await ask(client, "GET", f"{running.v1}/{path}")
            assert (status, accounts.last) == (200, home)
    assert len(accounts.asked) == 4 * len(KEYS)


@pytest.mark.parametrize("look_ahead", [2.0, 0.0], ids=["held back", "not held back"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_responses_go_on(accounts, gateway, client, stream, look_ahead):
    """A response that was stored is continued where it is kept, though the first one was a stream."""
    running = await gateway(KEYS, options={"look_ahead": look_ahead})
    for _ in KEYS:
        made, home = None, ""
        for _ in range(3):
            body = {"model": "m", "input": "hi", "stream": stream, "previous_response_id": made}
            async with client.post(f"{running.v1}/responses", json=body) as got:
                assert got.status == 200
                text = await got.text()
            home = home or accounts.last
            assert accounts.last == home
            made = next(each for each in text.split('"') if each.startswith("resp_") and each != made)
    assert {key for key, *_ in accounts.asked} == set(KEYS)
    assert len(accounts.asked) == 3 * len(KEYS)


@pytest.mark.parametrize("place", range(4))
async def test_an_id_that_nobody_knows_here(accounts, gateway, client, idle, place):
    """Made elsewhere, it is found at the account that has it, by which it is known from then on; no key is worse off."""
    accounts.tells = bool(place % 2)
    accounts.kept[f"proj_{place}"] = {"batch_1": {"id": "batch_1"}}
    running = await gateway(KEYS)
    status, got, _ = await ask(client, "GET", f"{running.v1}/batches/batch_1")
    assert (status, got, accounts.last) == (200, {"id": "batch_1"}, KEYS[place])
    assert len(accounts.asked) <= len(KEYS)
    assert len({key for key, *_ in accounts.asked}) == len(accounts.asked)
    del accounts.asked[:]
    for _ in range(3):
        await ask(client, "GET", f"{running.v1}/batches/batch_1")
    assert [key for key, *_ in accounts.asked] == [KEYS[place]] * 3
    await idle(running.pool)
    assert {(key.standing, key.failed) for key in running.pool.status()} == {("open", 0)}


@pytest.mark.parametrize(
    "request_",
    [
        ("GET", "files/file-nowhere", None),
        ("DELETE", "vector_stores/vs_none", None),
        ("POST", "responses", {"model": "m", "input": "x", "previous_response_id": "resp_none"}),
        ("POST", "responses", {"model": "m", "input": [{"type": "item_reference", "id": "msg_404"}]}),
    ],
    ids=lambda asked: " ".join(map(str, asked)),
)
@pytest.mark.usefixtures("accounts")
async def test_nobody_knows_it(provider, gateway, client, idle, request_):
    """Each account is asked once, and the client gets the provider's own answer, byte for byte."""
    method, path, body = request_
    running = await gateway(KEYS)
    async with client.request(method, f"{running.v1}/{path}", json=body) as got:
        status, text = got.status, await got.read()
    assert sorted(provider.keys) == sorted(KEYS)
    headers = {"Authorization": f"Bearer {provider.keys[0]}"}
    async with client.request(method, f"{provider.base_url}/{path}", json=body, headers=headers) as direct:
        assert (direct.status, await direct.read()) == (status, text)
    assert status in {400, 404}
    await idle(running.pool)
    assert {(key.standing, key.failed) for key in running.pool.status()} == {("open", 0)}


async def test_one_account_is_asked_once(accounts, gateway, client):
    """Keys of one project have nothing to add to what one of them has said, once it is known that they are."""
    accounts.projects = dict.fromkeys(KEYS, "proj_1")
    running = await gateway(KEYS)
    for _ in KEYS:
        await ask(client, "GET", f"{running.v1}/models")
    del accounts.asked[:]
    for _ in KEYS:
        status, *_ = await ask(client, "GET", f"{running.v1}/files/file-none")
        assert status == 404
    assert len(accounts.asked) == len(KEYS)
    file = await make_file(client, running)
    del accounts.asked[:]
    for _ in KEYS:
        assert (await ask(client, "GET", f"{running.v1}/files/{file}"))[0] == 200
    assert sorted(key for key, *_ in accounts.asked) == sorted(KEYS)  # any of them will do


async def test_owners_that_were_told(accounts, gateway, client):
    """Where answers name no project, keys of one owner are one account."""
    accounts.tells = False
    accounts.projects = dict(zip(KEYS, ["a", "a", "b", "b"], strict=True))
    running = await gateway([Key(key, owner=project) for key, project in accounts.projects.items()])
    status, *_ = await ask(client, "GET", f"{running.v1}/files/file-none")
    assert (status, len(accounts.asked)) == (404, 2)
    assert {accounts.projects[key] for key, *_ in accounts.asked} == {"a", "b"}


async def test_projects_of_one_owner(accounts, gateway, client):
    """An owner may have several projects: what one does not know, the other is asked for."""
    running = await gateway([Key(key, owner="us") for key in KEYS])
    accounts.kept["proj_3"] = {"file-1": {"id": "file-1"}}
    status, *_ = await ask(client, "GET", f"{running.v1}/files/file-1")
    assert (status, accounts.last) == (200, KEYS[3])


async def test_its_home_rests(accounts, gateway, client):
    """No other account is asked; the client is told when to come back to this one, and others go on meanwhile."""
    running = await gateway(KEYS[:2], max_wait=0)
    file = await make_file(client, running)
    home = accounts.last
    other = next(key for key in KEYS[:2] if key != home)
    accounts.limited.add(home)
    running.pool.park(running.pool.name_of(other), 5)  # would be back sooner, and is not waited for
    for _ in range(3):
        status, got, headers = await ask(client, "GET", f"{running.v1}/files/{file}")
        assert (status, got["error"]["code"]) == (429, "no_key_available")
        assert 30 <= int(headers["Retry-After"]) <= 40
    assert [key for key, *_ in accounts.asked] == [home, home]
    running.pool.revive(running.pool.name_of(other))
    assert (await ask(client, "POST", **upload(running.v1)))[0] == 200
    assert accounts.last == other


async def test_its_home_is_dead(accounts, gateway, client):
    """Where nothing brings the account back, the client is told so, rather than that its file is not there."""
    running = await gateway(KEYS[:2])
    file = await make_file(client, running)
    home = accounts.last
    accounts.dead.add(home)
    for _ in range(2):
        status, got, _ = await ask(client, "GET", f"{running.v1}/files/{file}")
        assert (status, got["error"]["code"]) == (503, "no_key_available")
    assert [key for key, *_ in accounts.asked] == [home, home]


async def test_waiting_for_its_home_holds_up_nobody(accounts, gateway, client):
    """A request that waits for its account's only key is served when that is free, and others pass meanwhile."""
    clock = ManualClock()
    running = await gateway(KEYS[:2], rpm=1, max_wait=100, clock=clock)
    file = await make_file(client, running)
    home = accounts.last
    waiting = asyncio.ensure_future(ask(client, "GET", f"{running.v1}/files/{file}"))
    while not len(running.pool.line):
        await asyncio.sleep(0)
    assert (await ask(client, "GET", f"{running.v1}/models"))[0] == 200
    assert accounts.last != home
    clock.advance(61)
    assert (await waiting)[0] == 200
    assert accounts.last == home


async def test_another_account_rests(accounts, gateway, client):
    """As long as somebody who may have it can't be asked, nobody says that it is nowhere."""
    running = await gateway(KEYS[:3], max_wait=0)
    accounts.limited.add(KEYS[2])
    await ask(client, "GET", f"{running.v1}/models")
    for _ in range(3):
        status, got, headers = await ask(client, "GET", f"{running.v1}/files/file-none")
    assert (status, got["error"]["code"]) == (429, "no_key_available")
    assert int(headers["Retry-After"]) <= 40
    accounts.limited.clear()
    running.pool.remove(running.pool.name_of(Key(KEYS[2])))
    assert (await ask(client, "GET", f"{running.v1}/files/file-none"))[0] == 404


async def test_two_workers(accounts, gateway, client):
    """What one gateway's client has made is found by another's: a batch of it does not begin at a wrong account."""
    one, two = await gateway(KEYS), await gateway(KEYS)
    for _ in KEYS:
        file = await make_file(client, one)
        home = accounts.last
        status, batch, _ = await ask(client, "POST", f"{two.v1}/batches", json={"input_file_id": file})
        assert (status, batch["status"], accounts.last) == (200, "completed", home)
        status, *_ = await ask(client, "GET", f"{one.v1}/batches/{batch['id']}")
        assert (status, accounts.last) == (200, home)
    assert sum(method == "POST" and path == "batches" for _, method, path in accounts.asked) == len(KEYS)


async def test_a_batch_waits_for_who_may_have_its_file(accounts, gateway, client):
    """It does not begin at a wrong account because the right one can't be asked yet."""
    accounts.kept["proj_2"] = {"file-1": {"id": "file-1"}}
    running = await gateway(KEYS[:3], max_wait=0)
    running.pool.park("key-3", 50)
    for _ in range(2):
        status, got, headers = await ask(client, "POST", f"{running.v1}/batches", json={"input_file_id": "file-1"})
        assert (status, got["error"]["code"]) == (429, "no_key_available")
        assert 40 <= int(headers["Retry-After"]) <= 50
    running.pool.revive("key-3")
    status, batch, _ = await ask(client, "POST", f"{running.v1}/batches", json={"input_file_id": "file-1"})
    assert (status, batch["status"], accounts.last) == (200, "completed", KEYS[2])


async def test_a_batch_of_a_file_that_is_nowhere(accounts, gateway, client):
    """It begins as it would without a gateway, once everybody was asked."""
    running = await gateway(KEYS)
    status, batch, _ = await ask(client, "POST", f"{running.v1}/batches", json={"input_file_id": "file-none"})
    assert (status, batch["status"]) == (200, "failed")
    assert len(accounts.asked) == len(KEYS) + 1


async def test_lists_go_on_where_they_began(accounts, gateway, client):
    """A list shows one account's; its next page is that account's too."""
    running = await gateway(KEYS)
    await make_file(client, running)
    for _ in range(8):
        _, page, _ = await ask(client, "GET", f"{running.v1}/files")
        home = accounts.last
        if page["data"]:
            await ask(client, "GET", f"{running.v1}/files?limit=1&after={page['data'][-1]['id']}")
            assert accounts.last == home


async def test_compressed_requests(accounts, gateway, client):
    """Ids are read in compressed bodies too, which go out as they came; what can't be read passes as it is."""
    running = await gateway(KEYS)
    _, made, _ = await ask(client, "POST", f"{running.v1}/responses", json={"model": "m", "input": "hi"})
    home = accounts.last
    packed = gzip.compress(json.dumps({"model": "m", "input": "x", "previous_response_id": made["id"]}).encode())
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    for _ in range(4):
        status, *_ = await ask(client, "POST", f"{running.v1}/responses", data=packed, headers=headers)
        assert (status, accounts.last) == (200, home)
    assert len(accounts.asked) == 5


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-7"}}]}]},
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-7"}]}]},
        {"tools": [{"type": "file_search", "vector_store_ids": ["vs_7"]}]},
        {"tools": [{"type": "code_interpreter", "container": "cntr_7"}]},
        {"tools": [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file-7"]}}]},
        {"conversation": {"id": "conv_7"}},
        {"conversation": "conv_7"},
        {"prompt": {"id": "pmpt_7", "version": "2"}},
        {"training_file": "file-7"},
        {"input": [{"type": "reasoning", "id": "rs_7", "summary": []}]},
        {"input": [{"type": "item_reference", "id": "msg_7"}]},
        {"tool_resources": {"code_interpreter": {"file_ids": ["file-7"]}}},
        {"data_source": {"type": "jsonl", "source": {"type": "file_id", "id": "file-7"}}},
    ],
    ids=str,
)
async def test_where_requests_name_ids(accounts, gateway, client, body):
    """By whichever field it is named, the request goes to the account that knows it."""
    running = await gateway(KEYS)
    homes = running.app[GATEWAY].homes
    homes.learn(["file-7", "vs_7", "cntr_7", "conv_7", "pmpt_7", "rs_7", "msg_7"], "key-3")
    for _ in range(4):
        await ask(client, "POST", f"{running.v1}/moderations", json={"model": "m", **body})
        assert accounts.last == KEYS[2]


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "user", "content": "about file-7"}]},
        {"metadata": {"file_id": "file-7"}},
        {"input": [{"type": "reasoning", "id": "rs_7", "summary": [], "encrypted_content": "abc"}]},
        {"tools": [{"type": "function", "function": {"parameters": {"file_id": "file-7"}}}]},
        {"container": "auto", "conversation": "none"},
        {"file_id": ["x"] * 3, "prompt": 7, "conversation": {"id": 7}},
        {"prompt": "file-7"},
    ],
    ids=str,
)
async def test_what_names_none(accounts, gateway, client, body):
    """What only looks like an id binds a request to nobody."""
    running = await gateway(KEYS)
    running.app[GATEWAY].homes.learn(["file-7", "rs_7", "auto", "none", "x"], "key-3")
    for _ in range(4):
        await ask(client, "POST", f"{running.v1}/moderations", json=body)
    assert {key for key, *_ in accounts.asked} == set(KEYS)


async def test_words_of_the_api_are_no_ids(accounts, gateway, client):
    """Operations that stand where ids do bind nobody to an account."""
    running = await gateway(KEYS)
    for path in ("/responses/input_tokens", "/responses/compact", "/threads/runs", "?after=file-1", ""):
        for _ in range(4):
            async with client.post(running.v1 + path, json={"model": "m", "input": "x"}) as got:
                assert got.status != 500
    assert len(running.app[GATEWAY].homes) == 0


async def test_a_model_that_is_not_there(provider, gateway, client):
    """What is said of a model in a path holds for this model, not for the key."""
    running = await gateway(KEYS)

    async def answer(http):
        if http.path.startswith("/v1/models/"):
            return error(404, "The model 'ft:x' does not exist", "invalid_request_error", "model_not_found")
        return web.json_response({"object": "list"})

    provider.answer = answer
    assert (await ask(client, "DELETE", f"{running.v1}/models/ft:x"))[0] == 404
    assert len(provider.requests) == len(KEYS)
    assert (await ask(client, "POST", f"{running.v1}/chat/completions", json=CHAT))[0] == 200


async def test_affinity_gives_way(accounts, gateway, client):
    """A prompt's cache is where it is; what the request names decides."""
    running = await gateway(KEYS)
    _, made, _ = await ask(client, "POST", f"{running.v1}/responses", json={"model": "m", "input": "hi"})
    home = accounts.last
    cached = {"model": "m", "input": "hi", "prompt_cache_key": "talk"}
    await ask(client, "POST", f"{running.v1}/responses", json=cached)
    place = accounts.last
    assert place != home
    await ask(client, "POST", f"{running.v1}/responses", json={**cached, "previous_response_id": made["id"]})
    assert accounts.last == home
    await ask(client, "POST", f"{running.v1}/responses", json=cached)
    assert accounts.last == place


async def test_a_key_that_left_is_no_home(accounts, gateway, client):
    """The account's next key is found as anybody's."""
    running = await gateway(KEYS)
    file = await make_file(client, running)
    project = accounts.projects[accounts.last]
    running.pool.remove(running.pool.name_of(Key(accounts.last)))
    accounts.projects["key-five-5555"] = project
    running.pool.add("key-five-5555")
    status, *_ = await ask(client, "GET", f"{running.v1}/files/{file}")
    assert (status, accounts.last) == (200, "key-five-5555")


async def test_a_name_that_another_key_has_now(accounts, gateway, client):
    """What is remembered under the name of a key is that key's alone."""
    running = await gateway([Key(KEYS[0], name="lab"), Key(KEYS[1], name="home")])
    files = [await make_file(client, running) for _ in range(2)]
    lab = files[accounts.asked[0][0] != KEYS[0]]
    running.pool.reload([Key(KEYS[1], name="home")])
    await ask(client, "GET", f"{running.v1}/files/{files[0]}")
    running.pool.reload([Key(KEYS[2], name="lab"), Key(KEYS[1], name="home"), Key(KEYS[0], name="old lab")])
    status, *_ = await ask(client, "GET", f"{running.v1}/files/{lab}")
    assert (status, accounts.last) == (200, KEYS[0])


async def test_memory_is_bounded(gateway):
    """So many homes and no more; what was silent longest is forgotten first."""
    running = await gateway(KEYS)
    homes = Homes(running.pool, most=3)
    for number in range(3):
        homes.learn([f"file-{number}"], "key-1")
    assert homes.find(["file-0"]) is not None
    homes.learn(["file-3"], "key-2")
    assert len(homes) == 3
    assert homes.find(["file-1"]) is None
    assert homes.find(["file-0"]) is not None


async def test_what_is_mentioned_weighs_less(accounts, gateway, client):
    """An answer that mentions another account's file does not move it."""
    accounts.kept["proj_1"] = {"file-1": {"id": "file-1"}}
    accounts.kept["proj_0"] = {"batch_1": {"id": "batch_1", "metadata": {"file_id": "file-1"}}}
    running = await gateway(KEYS)
    assert (await ask(client, "GET", f"{running.v1}/batches/batch_1"))[0] == 200
    status, *_ = await ask(client, "GET", f"{running.v1}/files/file-1")
    assert (status, accounts.last) == (200, KEYS[1])


async def test_what_a_request_mentions_weighs_less(accounts, gateway, client):
    """That a request which names a file was served somewhere does not hide where the file is."""
    accounts.kept["proj_1"] = {"file-1": {"id": "file-1"}}
    running = await gateway(KEYS)
    body = {"input": [{"type": "input_file", "file_id": "file-1"}]}
    await ask(client, "POST", f"{running.v1}/moderations", json=body)  # which overlooks it
    assert accounts.last == KEYS[0]
    status, *_ = await ask(client, "GET", f"{running.v1}/files/file-1")
    assert (status, accounts.last) == (200, KEYS[1])


async def test_many_keys_at_once(accounts, gateway, client, idle):
    """Files made and asked for at once each come from where they are."""
    running = await gateway(KEYS)

    async def story():
        file = await make_file(client, running)
        status, got, _ = await ask(client, "GET", f"{running.v1}/files/{file}")
        assert (status, got["id"]) == (200, file)
        status, batch, _ = await ask(client, "POST", f"{running.v1}/batches", json={"input_file_id": file})
        assert (status, batch["status"]) == (200, "completed")

    await asyncio.gather(*(story() for _ in range(40)))
    await idle(running.pool)
    assert len(accounts.asked) == 120


async def test_openais_client(accounts, gateway):
    """As programs do it."""
    one, two = await gateway(KEYS), await gateway(KEYS)
    async with contextlib.AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(openai.AsyncOpenAI(api_key="any", base_url=running.v1, max_retries=0))
            for running in (one, two)
        ]
        for client, other in (clients, reversed(clients)):
            file = await client.files.create(file=io.BytesIO(b"{}"), purpose="batch")
            assert (await client.files.retrieve(file.id)).id == file.id
            batch = await other.batches.create(input_file_id=file.id, endpoint="/v1/responses", completion_window="24h")
            assert batch.status == "completed"
            assert (await client.batches.retrieve(batch.id)).id == batch.id
            first = await client.responses.create(model="m", input="hi")
            stream = await client.responses.create(model="m", input="x", previous_response_id=first.id, stream=True)
            second = [event.response.id async for event in stream if event.type == "response.created"][0]
            third = await other.responses.create(model="m", input="y", previous_response_id=second)
            assert third.output_text == "yes"
            with pytest.raises(openai.NotFoundError, match="No such files object"):
                await client.files.retrieve("file-none")
