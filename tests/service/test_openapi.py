"""The OpenAPI document: served, whole, and true of what the application does."""

from __future__ import annotations

import asyncio
import http.client
import json
import re

import pytest
from hypothesis import HealthCheck, given, settings, strategies

from stable_openai import KeyPool
from stable_openai.service import Callers, SessionOptions, Sessions
from stable_openai.service.config import CONFIG_FIELDS
from stable_openai.service.http import http_app
from stable_openai.service.http.openapi import document_of
from tests.service.schemas import fits, nearly

METHODS = {"get", "post", "delete", "put", "patch", "head", "options"}
BY_HAND = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def operations_of(document):
    for path, item in document["paths"].items():
        for method in METHODS & set(item):
            yield method, path, item[method]


def references_in(value):
    if isinstance(value, dict):
        yield from ([value["$ref"]] if "$ref" in value else [])
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from references_in(one)


@pytest.fixture(params=[False, True], ids=["open", "with tokens"])
def callers(request):
    made = Callers(["lab=token-0123456789"] if request.param else ())
    yield made
    made._admissions.close()


async def test_it_has_every_route_and_no_other(callers):
    async with Sessions() as sessions:
        app = http_app(sessions, callers=callers)
    routes = {(route.method.lower(), route.resource.canonical) for route in app.router.routes()} - {
        ("head", "/healthz"), ("head", "/openapi.json"), ("head", "/v1/sessions/{session_id}"),
    }  # fmt: skip
    document = document_of(SessionOptions(), wants_token=bool(callers.tokens))
    assert {(method, path) for method, path, _ in operations_of(document)} == routes


async def test_it_is_whole(callers):
    """Each reference leads somewhere, each operation has a name, each path its parameters, and the version is 3.1."""
    document = document_of(SessionOptions(), wants_token=bool(callers.tokens))
    assert document["openapi"].startswith("3.1.")
    for reference in references_in(document):
        found = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
    names = [operation["operationId"] for _, _, operation in operations_of(document)]
    assert len(names) == len(set(names))
    for path, item in document["paths"].items():
        told = {parameter["name"] for parameter in item.get("parameters", ()) if parameter["in"] == "path"}
        assert told == set(re.findall(r"{(\w+)}", path))
    schemas = document["components"]["schemas"]
    assert set(schemas["Config"]["properties"]) == set(schemas["Renewal"]["properties"]) == set(CONFIG_FIELDS)
    assert ("security" in document) == bool(callers.tokens)


def events_in(text):
    blocks = [block.split("\n") for block in text.split("\n\n") if block]
    return [dict(line.split(": ", 1) for line in lines) for lines in blocks]


class Asking:
    """Asks a server, and holds each answer against the document."""

    def __init__(self, served, document, token=None):
        self.document = document
        self.address = served.http_at.address
        self.headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self.statuses = set()

    def ask(self, method, path, template, body=None):
        connection = http.client.HTTPConnection(self.address.host, self.address.port, timeout=20)
        try:
            connection.request(method.upper(), path, body, self.headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        self.hold(self.document["paths"][template][method], answer, content)
        self.statuses.add(answer.status)
        return answer.status

    def hold(self, operation, answer, content):
        """The status, the type and the body are documented; no failure is of our own making."""
        kind = answer.headers["Content-Type"].partition(";")[0]
        assert str(answer.status) in operation["responses"], (answer.status, content)
        told = operation["responses"][str(answer.status)]
        if "$ref" in told:
            told = self.document["components"]["responses"][told["$ref"].rpartition("/")[2]]
        schema = told["content"][kind].get("schema", {})
        value = json.loads(content) if kind.endswith("json") else content.decode()
        values = events_in(value) if kind == "text/event-stream" else [value]
        assert all(fits(schema, one, self.document) for one in values), value
        assert b"Traceback" not in content and b"File " not in content
        if kind == "application/problem+json":
            pointer = value["type"].removeprefix("/openapi.json#/components/responses/")
            assert pointer == value["title"] and pointer in self.document["components"]["responses"]
            assert value["status"] == answer.status
        if answer.status >= 500:
            assert b"ChatGPTError" in content


@pytest.fixture
async def asking(serve, openai_simulator, made):
    sim = openai_simulator(keys=[made.secret("one")])
    with KeyPool([made.secret("one")]) as pool:
        served = await serve(
            pools=pool,
            base_url=sim.base_url,
            base_urls=(sim.base_url,),
            cooldown=0,
            max_prompt=50,
            max_sessions=100_000,
        )
        document = (await served.http("GET", "/openapi.json"))[2]
        found = Asking(served, document)
        found.session = (await served.sessions.new({"version": 3, "pool": True})).session_id
        yield found


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        ("/renew", "Renewal"),
        ("/ask", "Prompt"),
        ("/v1/sessions", "SessionRequest"),
        ("/v1/sessions/{session_id}/messages", "MessageRequest"),
    ],
)
async def test_bodies_of_its_schemas_are_answered_as_it_says(asking, path, schema):
    """What fits is taken, or refused as documented; what does not fit is always refused."""
    told = asking.document["components"]["schemas"][schema]

    @BY_HAND
    @given(body=nearly(told, asking.document))
    def run(body):
        text = json.dumps(body)
        status = asking.ask("post", path.replace("{session_id}", asking.session), path, text)
        if not fits(told, json.loads(text), asking.document):
            assert 400 <= status < 500, (status, body)

    await asyncio.to_thread(run)
    assert asking.statuses & {200, 201} and 400 in asking.statuses


async def test_any_bytes_and_any_id_are_answered_as_it_says(asking):
    paths = ["/renew", "/ask", "/v1/sessions", "/v1/sessions/{session_id}/messages"]

    @BY_HAND
    @given(body=strategies.binary(max_size=60), path=strategies.sampled_from(paths))
    def bytes_run(body, path):
        assert asking.ask("post", path.replace("{session_id}", asking.session), path, body) in (400, 413)

    @BY_HAND
    @given(name=strategies.binary(min_size=1, max_size=12), method=strategies.sampled_from(["get", "delete"]))
    def ids_run(name, method):
        where = "".join(f"%{byte:02X}" for byte in name)
        assert asking.ask(method, f"/v1/sessions/{where}", "/v1/sessions/{session_id}") == 404

    await asyncio.to_thread(bytes_run)
    await asyncio.to_thread(ids_run)


async def test_each_plain_operation_is_answered_as_it_says(asking):
    def run():
        assert asking.ask("get", f"/v1/sessions/{asking.session}", "/v1/sessions/{session_id}") == 200
        assert asking.ask("delete", f"/v1/sessions/{asking.session}", "/v1/sessions/{session_id}") == 200
        assert asking.ask("get", "/openapi.json", "/openapi.json") == 200
        assert asking.ask("get", "/healthz", "/healthz") == 200

    await asyncio.to_thread(run)


async def test_tokens_are_answered_as_it_says(serve):
    served = await serve(tokens=["lab=token-0123456789"])
    asking = Asking(served, (await served.http("GET", "/openapi.json"))[2])

    def run():
        for method, path, operation in operations_of(asking.document):
            status = asking.ask(method, path.replace("{session_id}", "x"), path, "{}" if method == "post" else None)
            assert (status == 401) == (operation.get("security") != [])

    await asyncio.to_thread(run)
