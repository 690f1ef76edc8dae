"""Values as JSON and back, and what an item is known by."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import math
import os
import pathlib
import random
import subprocess
import sys
import types
import uuid
from collections import OrderedDict, namedtuple

import pytest
from hypothesis import given
from hypothesis import strategies as some
from pydantic import BaseModel

from stable_openai.bulk.files import encoded
from stable_openai.bulk.values import NotPlain, digest_of, plain, text_of

ATOMS = some.one_of(
    some.none(), some.booleans(), some.integers(), some.floats(allow_nan=False), some.text(), some.text("\ud800a\n\0")
)
PLAIN = some.recursive(
    ATOMS, lambda inner: some.one_of(some.lists(inner), some.dictionaries(some.text(), inner)), max_leaves=20
)


def shuffled(value, dice):
    """The same content with the keys of its dicts in another order."""
    if isinstance(value, dict):
        pairs = [(name, shuffled(part, dice)) for name, part in value.items()]
        dice.shuffle(pairs)
        return dict(pairs)
    return [shuffled(part, dice) for part in value] if isinstance(value, list) else value


@given(PLAIN, some.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(value, dice):
    """The same content has the same digest: 32 hexadecimal digits."""
    found = digest_of(value)
    assert found == digest_of(shuffled(value, dice))
    assert len(found) == 32
    assert int(found, 16) >= 0


@given(PLAIN, PLAIN)
def test_other_content_has_another_digest(one, other):
    """As JSON has it: 1 and 1.0 are not the same, a tuple and a list are."""
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (digest_of(one) == digest_of(other)) == same


@given(PLAIN)
def test_what_is_plain_stays_as_it_is(value):
    """On its way to the disk and back; one line, with one line's end."""
    assert plain(value) == value
    line = encoded({"value": value})
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert json.loads(line) == {"value": value}
    assert json.loads(text_of(value)) == value


def test_the_same_digest_in_another_process():
    """With another seed of its hashes, a set among the content."""
    item = {"prompt": "Grüße, \U0001f600", "n": 1.5, "tags": {"b", "a", "c"}, "none": None}
    code = (
        "from stable_openai.bulk.values import digest_of\n"
        "print(digest_of({'none': None, 'tags': {'c', 'b', 'a'}, 'n': 1.5, 'prompt': 'Gr\\xfc\\xdfe, \\U0001f600'}))"
    )
    for seed in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        assert run.stdout.strip() == digest_of(item)


def test_digests_stay_what_they_were():
    """Checkpoints of earlier versions are resumed by them."""
    assert digest_of("Say hello.") == "c6bb2af0ba33039d3c92ed30c8c60d64"
    assert digest_of({"b": [1, 2.5, None], "a": "ü"}) == "703dceec79c30480a5c3da98f5873d45"
    assert digest_of(b"raw") == "2273d3047c9ce510c85ff8981e76e6a2"


Pair = namedtuple("Pair", "left right")  # noqa: PYI024  # of the plain kind


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Loud(str):
    __slots__ = ()


class Model(BaseModel):
    name: str
    at: datetime.datetime


@dataclasses.dataclass
class Point:
    x: float
    tags: frozenset[str]


NOON = datetime.datetime(2024, 5, 17, 12, tzinfo=datetime.timezone.utc)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, (2, 3)), [1, [2, 3]]),
        (Pair(1, "b"), [1, "b"]),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (Loud("text"), "text"),
        ({"a": Loud("text")}, {"a": "text"}),
        (Model(name="n", at=NOON), {"name": "n", "at": "2024-05-17T12:00:00Z"}),
        (Point(1.5, frozenset("ba")), {"x": 1.5, "tags": ["a", "b"]}),
        (NOON, "2024-05-17T12:00:00+00:00"),
        (NOON.date(), "2024-05-17"),
        (NOON.time(), "12:00:00"),
        (uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (pathlib.PurePosixPath("a/b"), "a/b"),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (types.MappingProxyType({"a": (1,)}), {"a": [1]}),
        ({3, 1, 2}, [1, 2, 3]),
        ([Model(name="n", at=NOON)], [{"name": "n", "at": "2024-05-17T12:00:00Z"}]),
    ],
)
def test_what_has_a_form_in_json(value, expected):
    """pydantic's models (openai's answers), dataclasses, enums, moments, subclasses of the plain types."""
    assert plain(value) == expected
    assert json.loads(encoded({"value": plain(value)})) == {"value": expected}


@pytest.mark.parametrize("value", [object(), b"bytes", {1: "a"}, {("a", "b"): 1}, 3j, [object()], Model, Point, len])
def test_what_has_none(value):
    """It is refused, and its type named."""
    with pytest.raises(NotPlain, match="has no form in JSON"):
        plain(value)


def test_numbers_that_are_none():
    """Python's JSON writes and reads them."""
    assert math.isnan(json.loads(text_of(plain(float("nan")))))
    assert digest_of(float("inf")) == digest_of(math.inf) != digest_of(-math.inf)


def test_bytes_are_known_by_their_content():
    """And are not taken for the text of the same letters."""
    assert digest_of(b"raw") == digest_of(bytearray(b"raw")) != digest_of("raw")


def test_many_digests_differ():
    """Of thirty thousand prompts, no two."""
    dice = random.Random(5)
    assert len({digest_of(f"prompt {number} {dice.random()}") for number in range(30_000)}) == 30_000
