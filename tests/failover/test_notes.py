"""What a call met is noted on the exception that ends it: the key, masked, the reason, the wait."""

from __future__ import annotations

import sys
import traceback

import openai
import pytest

from stable_openai import KeyPool, stable
from stable_openai.failover.notes import add_note

SECRETS = [f"sk-notes-{number:020d}" for number in range(30)]


def test_each_attempt_is_noted_on_the_providers_own_exception(setting):
    """The type is the provider's; the notes are shown by any traceback."""
    sim, _, ask = setting([("dead", {"state": "dead"}), ("bad", {}), ("good", {})], options={"wait": lambda state: 1.5})
    sim.provider.tune(server_error_rate=1.0)
    with pytest.raises(openai.InternalServerError) as caught:
        ask.options(stop=lambda state: state.attempt_number == 3)()
    assert caught.value.__notes__ == [
        "attempt 1 with dead (sk-…6789): invalid_key",
        "attempt 2 with bad (sk-…6789): server_error, then waited 1.50 s",
        "attempt 3 with good (sk-…6789): server_error",
    ]
    if sys.version_info >= (3, 11):
        assert caught.value.__notes__[0] in "".join(traceback.format_exception(caught.value))


def test_many_attempts_are_shortened(clock):
    """The first and the last ones, and how many lie between."""

    class Rejected(Exception):
        status_code, headers, body = 401, {}, {"error": {"code": "invalid_api_key", "message": "no"}}

    pool = KeyPool(SECRETS, clock=clock)

    @stable(pool=pool)
    def ask(api_key=""):
        raise Rejected

    with pytest.raises(Exception, match="no key is eligible") as caught:
        ask()
    notes = caught.value.__notes__
    assert len(notes) == 13
    assert notes[0].startswith("attempt 1 ")
    assert notes[6] == "and 18 more attempts"
    assert notes[-1].startswith("attempt 30 ")


def test_notes_where_python_knows_none():
    """On Python 3.10 they are kept all the same."""

    class Old:
        """An exception of a Python without PEP 678, as far as notes go."""

    error = Old()
    add_note(error, "one")
    add_note(error, "two")
    assert error.__notes__ == ["one", "two"]
