"""A key that the provider repeats in its error, of a shape that nobody knows: it shows nowhere."""

from __future__ import annotations

import logging

import pytest

from stable_openai import Answer, KeyPool, stable

SECRET = "quiet-word-of-many-letters"
ANSWER = Answer(401, {}, {"error": {"message": f"The key {SECRET} is wrong", "code": "invalid_api_key"}})


class Refused(Exception):
    """As a library of the user's would raise it."""

    def __init__(self, api_key):
        self.status_code = 401
        self.headers = {}
        self.body = {"error": {"message": f"The key {api_key} is wrong", "code": "invalid_api_key"}}


@pytest.fixture
def pool():
    return KeyPool([SECRET, "another-one-of-them"])


def test_by_a_lease(pool, caplog):
    """Neither in the verdict, nor in an event, a log line, a status row or an explanation."""
    told = []
    pool.on_event(lambda event: told.append(str(event)))
    with caplog.at_level(logging.DEBUG), pool.lease() as lease:
        verdict = lease.settle(ANSWER)
    assert verdict.reason.value == "invalid_key"
    shown = f"{verdict} {told} {caplog.text} {pool.status()} {pool} {pool.explain()}"
    assert SECRET not in shown
    assert "retired" in shown


def test_by_a_function(pool, caplog):
    """Nor in the notes of an exception that ends a call."""

    @stable(pool=pool)
    def ask(api_key):
        raise Refused(api_key)

    with caplog.at_level(logging.DEBUG), pytest.raises(Exception) as caught:  # whichever ends it
        ask()
    notes = getattr(caught.value, "__notes__", [])
    assert SECRET not in f"{notes} {caplog.text} {pool.status()}"
