"""Options of the decorator that change which key a call gets."""

from __future__ import annotations

from stable_openai import KeyPool, stable


def test_affinity_of_a_decorated_function():
    """Calls of one conversation stay on one key; a callable finds the conversation in the call's arguments."""
    pool = KeyPool(["sk-options-aaaaaaaaaaaaaaa", "sk-options-bbbbbbbbbbbbbbb", "sk-options-ccccccccccccccc"])

    @stable(pool=pool, affinity=lambda talk, **_: talk)
    def say(talk, api_key=""):
        return api_key

    first = {talk: say(talk) for talk in range(6)}
    assert len(set(first.values())) == 3
    for _ in range(5):
        assert {talk: say(talk) for talk in reversed(range(6))} == first
    assert len({say.options(affinity="one")(talk) for talk in range(6)}) == 1
