"""The real openai client against the server: shapes parse, errors are the errors that users meet."""

import threading

import openai
import pytest

from stable_openai.simulator import Provider, SimKey, Simulator

KEYS = [SimKey("sk-sim-good-000001", name="good"), SimKey("sk-sim-once-000002", name="once", rpm=1)]
KEYS += [SimKey(f"sk-sim-{state}-00003", name=state, state=state) for state in ("dead", "unpaid", "blocked", "region")]
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "good day to you"}]}

with_responses = pytest.mark.skipif(
    not hasattr(openai.OpenAI, "responses"), reason="the responses API came with openai 1.66"
)


@pytest.fixture(scope="module")
def sim():
    with Simulator(KEYS, admin_key="sk-admin-sim-1") as running:
        yield running


@pytest.fixture(scope="module")
def client(sim):
    with openai.OpenAI(api_key=KEYS[0].secret, base_url=sim.base_url, max_retries=0) as made:
        yield made


def test_chat(client, sim):
    """A completion, its usage and its headers."""
    raw = client.chat.completions.with_raw_response.create(**CHAT)
    completion = raw.parse()
    assert completion.choices[0].message.content == "You said: good day to you"
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens
    assert (
        getattr(completion, "_request_id", raw.headers["x-request-id"]) == raw.headers["x-request-id"]
    )  # from 1.51 on
    assert raw.headers["openai-organization"] == "org-good"
    assert sim.stats().key_of(raw.headers["x-request-id"]) == "good"


def test_chat_stream(client):
    """Chunks and, at the end, usage."""
    with client.chat.completions.create(**CHAT, stream=True, stream_options={"include_usage": True}) as stream:
        chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks[:-1]) == "You said: good day to you"
    assert chunks[-1].usage.total_tokens > 0
    assert chunks[0].choices[0].delta.role == "assistant"


@with_responses
def test_responses(client):
    """A response, whole and as events."""
    response = client.responses.create(model="gpt-4o", input="hello")
    assert response.output_text == "You said: hello"
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    with client.responses.create(model="gpt-4o", input="hello", stream=True) as stream:
        events = list(stream)
    assert events[0].type == "response.created"
    assert events[-1].response.output_text == "You said: hello"
    with client.responses.stream(model="gpt-4o", input="hello") as stream:
        assert stream.get_final_response().output_text == "You said: hello"


def test_the_rest(client):
    """Embeddings, older completions, models."""
    embeddings = client.embeddings.create(model="text-embedding-3-small", input=["a", "b"], dimensions=12)
    assert [len(row.embedding) for row in embeddings.data] == [12, 12]
    floats = client.embeddings.create(model="e", input="a", dimensions=12, encoding_format="float")
    assert floats.data[0].embedding == pytest.approx(embeddings.data[0].embedding, abs=1e-6)
    assert client.completions.create(model="m", prompt="p").choices[0].text == "You said: p"
    with client.completions.create(model="m", prompt="p", stream=True) as stream:
        assert "".join(c.choices[0].text for c in stream) == "You said: p"
    assert "gpt-4o" in [model.id for model in client.models.list()]
    assert client.models.retrieve("gpt-4o").id == "gpt-4o"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-none")


async def test_async_client(sim):
    """The same through the async client, in a loop of its own."""
    async with openai.AsyncOpenAI(api_key=KEYS[0].secret, base_url=sim.base_url, max_retries=0) as client:
        completion = await client.chat.completions.create(**CHAT)
        assert completion.choices[0].message.content == "You said: good day to you"
        async with await client.chat.completions.create(**CHAT, stream=True) as stream:
            text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
        assert text == "You said: good day to you"


@pytest.mark.parametrize(
    ("key", "error", "code"),
    [
        ("dead", openai.AuthenticationError, "invalid_api_key"),
        ("nobody", openai.AuthenticationError, "invalid_api_key"),
        ("unpaid", openai.RateLimitError, "insufficient_quota"),
        ("blocked", openai.PermissionDeniedError, None),
        ("region", openai.PermissionDeniedError, "unsupported_country_region_territory"),
    ],
)
def test_account_errors(client, key, error, code):
    """Each state raises the client's own error for it, without the secret in it."""
    secret = next((k.secret for k in KEYS if k.name == key), "sk-nobody-0000000")
    with pytest.raises(error) as caught:
        client.with_options(api_key=secret).chat.completions.create(**CHAT)
    assert caught.value.code == code
    assert secret not in str(caught.value)


def test_rate_limit_error(client):
    """A 429 with the headers and the text that say how long to wait."""
    limited = client.with_options(api_key=KEYS[1].secret)
    limited.chat.completions.create(**CHAT)
    with pytest.raises(openai.RateLimitError) as caught:
        limited.chat.completions.create(**CHAT)
    assert caught.value.code == "rate_limit_exceeded"
    assert caught.value.type == "requests"
    headers = caught.value.response.headers
    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert 0 < int(headers["retry-after-ms"]) <= 60_000
    assert 0 < int(headers["retry-after"]) <= 60


def test_bad_requests(client):
    """400 and 404 in the client's own errors."""
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="m", messages=[])
    assert caught.value.param == "messages"
    with pytest.raises(openai.NotFoundError):
        client.post("/nowhere", body={}, cast_to=object)


def test_azure_client(sim):
    """Azure's paths and its header."""
    with openai.AzureOpenAI(
        api_key=KEYS[0].secret, azure_endpoint=sim.url, api_version="2024-06-01", max_retries=0
    ) as client:
        completion = client.chat.completions.create(**CHAT)
    assert completion.model == "gpt-4o"


def test_admin_client(sim):
    """Projects and their limits, over several pages."""
    url = f"{sim.base_url}/organization/projects"
    headers = {"Authorization": "Bearer sk-admin-sim-1"}
    with openai.OpenAI(api_key="sk-admin-sim-1", base_url=sim.base_url, max_retries=0) as client:
        page = client.get(f"{url}?limit=2", cast_to=object, options={"headers": headers})
        assert [row["id"] for row in page["data"]] == ["proj_good", "proj_once"]
        limits = client.get(f"{url}/proj_once/rate_limits", cast_to=object, options={"headers": headers})
    assert {row["max_requests_per_1_minute"] for row in limits["data"]} == {1}


def failing(openai_simulator, **settings):
    sim = openai_simulator(KEYS[:1], **settings)
    return sim, openai.OpenAI(api_key=sim.keys[0], base_url=sim.base_url, max_retries=0, timeout=10)


def test_faults_as_the_client_sees_them(openai_simulator):
    """500, 503, a reset connection, a body that is no JSON."""
    sim, client = failing(openai_simulator)
    with client:
        sim.provider.tune(server_error_rate=1.0)
        with pytest.raises(openai.InternalServerError):
            client.chat.completions.create(**CHAT)
        sim.provider.tune(server_error_rate=0.0, overloaded_rate=1.0)
        with pytest.raises(openai.InternalServerError) as caught:
            client.chat.completions.create(**CHAT)
        assert caught.value.status_code == 503
        sim.provider.tune(overloaded_rate=0.0, reset_rate=1.0)
        with pytest.raises(openai.APIConnectionError):
            client.chat.completions.create(**CHAT)
        sim.provider.tune(reset_rate=0.0, garbage_rate=1.0)
        raw = client.chat.completions.with_raw_response.create(**CHAT)
        assert raw.headers["content-type"].startswith("text/html")
        sim.provider.tune(garbage_rate=0.0)
        assert client.chat.completions.create(**CHAT).choices


def test_broken_streams_as_the_client_sees_them(openai_simulator):
    """A cut stream and an error event raise after content has come."""
    sim, client = failing(openai_simulator, cut_stream_rate=1.0)
    with client:
        for rates, error in (
            ({"cut_stream_rate": 1.0}, Exception),
            ({"cut_stream_rate": 0.0, "stream_error_rate": 1.0}, openai.APIError),
        ):
            sim.provider.tune(**rates)
            got = []
            with client.chat.completions.create(**CHAT, stream=True) as stream, pytest.raises(error):
                for chunk in stream:
                    got.append(chunk)  # noqa: PERF402 - what came before the error is wanted
            assert got
    assert sim.stats().total.outcomes == {"cut_stream": 1, "stream_error": 1}


@with_responses
def test_an_error_event_of_the_responses_api(openai_simulator):
    """It raises like that of a chat."""
    _, client = failing(openai_simulator, stream_error_rate=1.0)
    with (
        client,
        client.responses.create(model="m", input="hello", stream=True) as stream,
        pytest.raises(openai.APIError),
    ):
        list(stream)


def test_a_hang_lasts_until_the_client_gives_up(openai_simulator, monkeypatch):
    """The client's own timeout ends it, and the slot is free again."""
    freed, finish = threading.Semaphore(0), Provider.finish

    def finish_and_tell(provider, reply):
        finish(provider, reply)
        freed.release()

    monkeypatch.setattr(Provider, "finish", finish_and_tell)
    sim, client = failing(openai_simulator, hang_rate=1.0)
    sim.provider.change_key("good", max_concurrency=1)
    with client:
        for _ in range(2):
            with pytest.raises(openai.APITimeoutError):
                client.with_options(timeout=0.05).chat.completions.create(**CHAT)
            assert freed.acquire(timeout=10)
    assert sim.stats().total.attempts == 2


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("503", openai.InternalServerError),
        ("html502", openai.InternalServerError),
        ("401", openai.AuthenticationError),
        ("reset", openai.APIConnectionError),
    ],
)
def test_outages_as_the_client_sees_them(openai_simulator, kind, error):
    """They begin and end at run time."""
    sim, client = failing(openai_simulator)
    with client:
        sim.provider.outage(kind)
        for _ in range(2):
            with pytest.raises(error):
                client.chat.completions.create(**CHAT)
        sim.provider.recover()
        assert client.chat.completions.create(**CHAT).choices
    assert sim.stats().total.outcomes == {"outage": 2, "served": 1}
