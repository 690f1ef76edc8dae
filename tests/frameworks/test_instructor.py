"""instructor: it takes openai's clients and their subclasses, nothing else."""

from __future__ import annotations

import json

import openai
import pytest

instructor = pytest.importorskip("instructor")
pydantic = pytest.importorskip("pydantic")
core = pytest.importorskip("instructor.core")

QUESTION = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "a person"}]}
each_json = pytest.mark.parametrize("mode", ["JSON", "JSON_SCHEMA"])


class Person(pydantic.BaseModel):
    """What is asked for."""

    name: str
    age: int


ANNA = {"name": "Anna", "age": 41}


def anna(_):
    return json.dumps(ANNA)


@each_json
def test_json(provider, mode):
    """The model's JSON becomes an object, though two of three keys are out of use."""
    made = provider(script=anna)
    with made.client() as client:
        people = instructor.from_openai(client, mode=instructor.Mode[mode])
        person = people.create(response_model=Person, **QUESTION)
    assert person.model_dump() == ANNA
    made.check_failover()


@each_json
async def test_json_in_a_task(provider, mode):
    """So it does in a task."""
    made = provider(script=anna)
    async with made.async_client() as client:
        people = instructor.from_openai(client, mode=instructor.Mode[mode])
        person = await people.create(response_model=Person, **QUESTION)
    assert person.model_dump() == ANNA
    made.check_failover()


def test_tools(provider, tool_caller):
    """So does a tool call, by which instructor asks where nothing else is said."""
    made = provider()
    http, _ = tool_caller(**ANNA)
    with made.client(http_client=http) as client:
        person = instructor.from_openai(client).create(response_model=Person, **QUESTION)
    assert person.model_dump() == ANNA
    made.check_failover()


async def test_tools_in_a_task(provider, tool_caller):
    """And in a task."""
    made = provider()
    _, http = tool_caller(**ANNA)
    async with made.async_client(http_client=http) as client:
        person = await instructor.from_openai(client).create(response_model=Person, **QUESTION)
    assert person.model_dump() == ANNA
    made.check_failover()


def test_responses(provider, tool_caller):
    """And by the responses API."""
    made = provider()
    http, _ = tool_caller(**ANNA)
    with made.client(http_client=http) as client:
        people = instructor.from_openai(client, mode=instructor.Mode.RESPONSES_TOOLS)
        person = people.create(response_model=Person, **QUESTION)
    assert person.model_dump() == ANNA
    made.check_failover()


def test_partial(provider):
    """An object that grows as the stream goes on."""
    made = provider(script=anna)
    with made.client() as client:
        people = instructor.from_openai(client, mode=instructor.Mode.JSON_SCHEMA)
        steps = list(people.create_partial(response_model=Person, **QUESTION))
    assert len(steps) > 1
    assert steps[-1].model_dump() == ANNA
    made.check_failover()


async def test_partial_in_a_task(provider):
    """So it does in a task."""
    made = provider(script=anna)
    async with made.async_client() as client:
        people = instructor.from_openai(client, mode=instructor.Mode.JSON_SCHEMA)
        steps = [step async for step in people.create_partial(response_model=Person, **QUESTION)]
    assert steps[-1].model_dump() == ANNA
    made.check_failover()


def test_asks_again_where_the_answer_is_wrong(provider):
    """An answer that doesn't fit is instructor's to ask for again: these requests go over the pool too."""
    made = provider(script=["somebody else's", "no JSON", json.dumps(ANNA)])
    with made.client() as client:
        people = instructor.from_openai(client, mode=instructor.Mode.JSON_SCHEMA)
        person = people.create(response_model=Person, max_retries=1, **QUESTION)
    assert person.model_dump() == ANNA
    made.check_failover(served=2)


def test_no_retries_on_top(troubled):
    """instructor doesn't repeat requests that failed: trouble is met as often as the client says."""
    question = {**QUESTION, "messages": [{"role": "user", "content": "poison"}]}
    with troubled.client(max_retries=0) as client:
        people = instructor.from_openai(client, mode=instructor.Mode.JSON_SCHEMA)
        with pytest.raises(core.InstructorRetryException) as caught:
            people.create(response_model=Person, **question)
    assert isinstance(caught.value.__cause__, openai.InternalServerError)
    assert troubled.attempts() == 1
