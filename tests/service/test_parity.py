"""gRPC and HTTP tell one story: the same operations, the same sessions, the same errors by the same names."""

from __future__ import annotations

import json

import pytest

STATUS = {"INVALID_ARGUMENT": 400, "NOT_FOUND": 404, "RESOURCE_EXHAUSTED": 429, "UNAVAILABLE": 503}


async def test_one_set_of_sessions(serve, config):
    """A session that was made over one is used, seen and deleted over the other."""
    served = await serve(cooldown=0)
    client = await served.client()
    status, headers, made = await served.http(
        "POST", "/v1/sessions", {"config": config(system_prompt="Be short."), "initial_prompt": "hi"}
    )
    assert (status, made["initial_response"]) == (201, "You said: hi")
    assert headers["Location"] == f"/v1/sessions/{made['session_id']}"
    assert (await client.Chat(session_id=made["session_id"], prompt="one")).response == "You said: one"
    _, _, answer = await served.http("POST", f"{headers['Location']}/messages", {"prompt": "two"})
    assert answer == {"response": "You said: two"}
    _, _, seen = await served.http("GET", headers["Location"])
    assert [message["content"] for message in seen["messages"]] == [
        "Be short.",
        *["hi", "You said: hi", "one", "You said: one", "two", "You said: two"],
    ]
    assert (seen["needs_key"], seen["pool"], seen["created_at"]) == (False, False, "2023-11-14T22:13:20.000Z")
    assert seen["expires_at"] == "2023-11-14T23:13:20.000Z"
    await client.DeleteSession(session_id=made["session_id"])
    assert (await served.http("GET", headers["Location"]))[0] == 404


def same_configs(config):
    """Configs that are refused, and one whose provider refuses."""
    return {
        "nothing": {},
        "no key": {"version": 3},
        "no version": {"api_key": "k"},
        "version of no number": {"version": "3", "api_key": "k"},
        "version 0": {"version": 0, "api_key": "k"},
        "key of no text": {"version": 3, "api_key": 7},
        "key with a line break": {"version": 3, "api_key": "a\nb"},
        "unknown field": {"version": 3, "api_key": "k", "sytem_prompt": "x"},
        "key and pool": {"version": 3, "api_key": "k", "pool": True},
        "no such pool": {"version": 3, "pool": "lab"},
        "bad URL": {"version": 3, "api_key": "k", "base_url": "ftp://x"},
        "URL with a password": {"version": 3, "api_key": "k", "base_url": "http://me:pw@x/"},
        "long system prompt": {"version": 3, "api_key": "k", "system_prompt": "x" * 101},
        "half a character": {"version": 3, "api_key": "k", "model": "\ud800"},
        "unknown session": {"version": 3, "api_key": "k", "session_id": "nobody"},
        "session and model": {"version": 3, "api_key": "k", "session_id": "nobody", "model": "m"},
        "key refused": config("unknown"),
    }


@pytest.mark.parametrize("which", list(same_configs(lambda *_: {})))
async def test_the_same_is_refused_in_the_same_words(serve, config, which):
    served = await serve(max_prompt=100)
    given = same_configs(config)[which]
    code, details, _ = await (await served.client()).refusal(
        "NewSession", config=json.dumps(given), initial_prompt="hi"
    )
    status, headers, problem = await served.http("POST", "/v1/sessions", {"config": given, "initial_prompt": "hi"})
    assert (status, problem["code"]) == (STATUS[code], code)
    assert headers["Content-Type"] == "application/problem+json"
    assert problem["status"] == status
    named = problem["detail"] if code == "INVALID_ARGUMENT" else f"{problem['title']}: {problem['detail']}"
    assert named == details
    assert len(served.sessions) == 0


async def test_prompts_are_refused_in_the_same_words(serve, config):
    served = await serve(max_prompt=10)
    client = await served.client()
    made = await client.NewSession(config=config.text())
    for session_id, prompt in [
        (made.session_id, ""),
        (made.session_id, "x" * 11),
        ("nobody", "hi"),
        (made.session_id, "hi"),
        (made.session_id, "hi"),
    ]:
        path = f"/v1/sessions/{session_id}/messages"
        if prompt == "hi" and session_id == made.session_id and served.sessions.look(session_id).messages == []:
            await served.http("POST", path, {"prompt": "hi"})
        code, details, metadata = await client.refusal("Chat", session_id=session_id, prompt=prompt)
        for body in ({"prompt": prompt}, {"prompt": prompt, "stream": True}):
            status, headers, problem = await served.http("POST", path, body)
            assert (status, problem["code"]) == (STATUS[code], code)
            assert problem["detail"] in details
            assert headers.get("Retry-After") == metadata.get("retry-after")


async def test_too_many_sessions(serve, config):
    served = await serve(max_sessions=1)
    assert (await served.http("POST", "/v1/sessions", {"config": config()}))[0] == 201
    status, _, problem = await served.http("POST", "/v1/sessions", {"config": config()})
    assert (status, problem["title"]) == (429, "TooManySessions")
