"""The Celery application that the tests start a worker of, as a user's module would have it."""

from __future__ import annotations

import os

from celery import Celery
from celery.signals import task_retry

from stable_openai import NoKeyAvailable
from tests.engines import asking

app = Celery("tests", broker=os.environ["ENGINES_BROKER"], backend=os.environ["ENGINES_RESULTS"])
app.conf.update(result_serializer="pickle", result_accept_content=["pickle"])  # tasks stay JSON

ask = app.task(asking.ask)
ask_by_key = app.task(asking.ask_by_key)
ask_once = app.task(asking.ask_once, name="ask_once")
ask_at_once = app.task(asking.ask_at_once)
ask_later = app.task(
    asking.ask_at_once,
    name="ask_later",
    autoretry_for=(NoKeyAvailable,),
    retry_kwargs={"countdown": 0.1},
    max_retries=None,
)


@app.task
def process_of(prompt):
    """Which of the worker's processes has answered."""
    return os.getpid(), asking.ask(prompt)


@app.task
def joined(answers):
    """What a chord ends with."""
    return ", ".join(answers)


@task_retry.connect
def tell(request, **_):
    """Let the test know, which waits for it."""
    app.backend.client.rpush("retried", request.id)
