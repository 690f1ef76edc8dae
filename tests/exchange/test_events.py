"""``EventWatch`` reads the same in a stream however it is cut, whatever its lines end in, packed or not."""

from __future__ import annotations

import gzip
import json
import zlib
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stable_openai.exchange.events import EventWatch, watch_of

ROLE = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]}
TEXT = {"choices": [{"index": 0, "delta": {"content": 'says "error" and "usage"'}, "finish_reason": None}]}
USAGE = {"choices": [], "usage": {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}}
ERROR = {"error": {"message": "Rate limit", "code": "rate_limit_exceeded"}}
EMPTY = {"choices": [], "prompt_filter_results": []}
ENDS = [b"\r\n", b"\n", b"\r"]


def written(events, end=b"\n"):
    """Events as they are sent; a pair is one with a name; bytes are a line of its own."""
    lines = []
    for event in events:
        if isinstance(event, bytes):
            lines += [event, b""]
            continue
        name, data = event if isinstance(event, tuple) else (None, event)
        lines += [b"event: " + name.encode()] if name else []
        lines += [b"data: " + (data if isinstance(data, str) else json.dumps(data)).encode(), b""]
    return b"".join(line + end for line in lines)


def read(*pieces, encoding=""):
    watch = EventWatch(encoding)
    for piece in pieces:
        watch.feed(piece)
    return watch.begun, watch.error and watch.error.body, watch.tokens


STORIES = {
    "good": ([ROLE, EMPTY, TEXT, TEXT, USAGE, "[DONE]"], (True, None, 5)),
    "preamble": ([b": ping", EMPTY, ROLE], (False, None, None)),
    "refused": ([ROLE, ERROR], (False, ERROR, None)),
    "broken": ([ROLE, TEXT, USAGE, ERROR], (True, ERROR, 5)),
    "responses": (
        [("response.created", {"type": "response.created", "response": {"error": None, "usage": None}}),
         ("error", {"type": "error", "code": "x", "message": "y", "param": None, "sequence_number": 3})],
        (False, {"error": {"code": "x", "message": "y", "param": None}}, None),
    ),
    "failed": (
        [("response.failed", {"type": "response.failed", "response": {"error": {"code": "x", "message": "y"}}})],
        (False, {"error": {"code": "x", "message": "y"}}, None),
    ),
    "completed": (
        [("response.output_text.delta", {"type": "response.output_text.delta", "delta": "a"}),
         ("response.completed", {"type": "response.completed", "response": {"error": None, "usage": USAGE["usage"]}})],
        (True, None, 5),
    ),
}  # fmt: skip


@pytest.mark.parametrize("end", ENDS, ids=["CRLF", "LF", "CR"])
@pytest.mark.parametrize("name", STORIES)
def test_cut_anywhere(name, end):
    """In two at any byte, and into single bytes."""
    events, expected = STORIES[name]
    body = written(events, end)
    assert read(body) == expected
    for cut in range(len(body) + 1):
        assert read(body[:cut], body[cut:]) == expected
    assert read(*(body[place : place + 1] for place in range(len(body)))) == expected


@given(st.sampled_from(sorted(STORIES)), st.lists(st.sampled_from(ENDS[:2]), min_size=1), st.data())
@settings(max_examples=100, deadline=None)
def test_cut_at_will(name, ends, data):
    """With lines that end now in LF and now in CR LF, cut into any pieces."""
    events, expected = STORIES[name]
    lines = written(events).split(b"\n")[:-1]
    body = b"".join(line + ends[place % len(ends)] for place, line in enumerate(lines))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    pieces = [body[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert read(*pieces) == expected


def test_lines_that_end_in_anything():
    """CR before CR LF and after LF: an empty line all the same."""
    for end in (b"\r\r\n", b"\n\r", b"\r\n\r", b"\n\r\n", b"\r\n\n"):
        body = b"data: " + json.dumps(ROLE).encode() + end + b"data: " + json.dumps(ERROR).encode() + end
        for cut in range(len(body) + 1):
            assert read(body[:cut], body[cut:]) == (False, ERROR, None)


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), (" GZIP", gzip.compress)]
)
def test_packed(encoding, pack):
    """gzip and deflate, cut anywhere."""
    events, expected = STORIES["broken"]
    body = pack(written(events))
    for cut in range(len(body)):
        assert read(body[:cut], body[cut:], encoding=encoding) == expected


def test_what_cannot_be_read_passes():
    """An encoding that is not known, or a body that is not what it says: taken for content, nothing is raised."""
    body = written([ROLE, ERROR])
    assert read(body, encoding="br") == (True, None, None)
    assert read(body, body, encoding="gzip") == (True, None, None)
    assert read(b"<html>no events</html>\n\n") == (False, None, None)
    assert read(b"data: <html>\n\n") == (True, None, None)
    assert read(b"data: 7\n\n") == (True, None, None)
    assert read(b"data: [DONE]\n\n") == (True, None, None)
    assert read(b'data: {"error": {}}\n\n')[1] is None
    assert read(b'data: {"error": "busy"}\n\n')[1] == {"error": "busy"}


def test_the_end_without_an_empty_line():
    """It is read, as openai's clients do."""
    watch = EventWatch()
    watch.feed(written([ROLE, ERROR]).rstrip())
    assert watch.error is None
    watch.finish()
    assert watch.error.body == ERROR
    watch.feed(b"data: more\n\n")
    watch.finish()
    assert not watch.begun


def test_several_lines_of_data():
    """They are one, joined by line feeds."""
    body = b'event: x\ndata: {\ndata:"error":\ndata: {"code": "x"}}\nid: 7\nretry: 1\n\n'
    assert read(body)[1] == {"error": {"code": "x"}}


def test_an_event_without_end():
    """What grows past any bound is passed on unread, and not kept."""
    watch = EventWatch()
    for _ in range(80):
        watch.feed(b"data: " + b"x" * 65_536)
    assert watch.begun
    assert watch._pending is None
    watch.feed(written([ERROR]))
    assert watch.error is None


def test_a_large_event_in_many_pieces_is_searched_once():
    """Each byte is looked at a few times, not once for each piece that comes after it."""
    searched = 0

    class Counting:
        def finditer(self, body, start):
            nonlocal searched
            searched += len(body) - start
            return pattern.finditer(body, start)

    import stable_openai.exchange.events as module

    pattern = module._EMPTY_LINE
    module._EMPTY_LINE = Counting()
    try:
        watch = EventWatch()
        for _ in range(1000):
            watch.feed(b"x" * 1000)
    finally:
        module._EMPTY_LINE = pattern
    assert searched < 1_100_000


@pytest.mark.parametrize(
    ("event", "begun"),
    [
        ({"choices": [{"delta": {"role": "assistant", "refusal": None}}]}, False),
        ({"choices": [{"delta": {"tool_calls": [{"index": 0}]}}]}, True),
        ({"choices": [{"delta": {"reasoning_content": "hm"}}]}, True),
        ({"choices": [{"delta": {}, "finish_reason": "stop"}]}, True),
        ({"choices": [{"text": "", "index": 0}]}, False),
        ({"choices": [{"text": "a", "index": 0}]}, True),
        ({"choices": [None]}, True),
        ({"choices": None}, True),
        ({"type": "response.queued"}, False),
        ({"type": "keepalive"}, False),
        ({"type": "transcript.text.delta", "delta": "a"}, True),
        ({"type": "image_generation.partial_image"}, True),
        (("ping", {}), False),
        (("thread.created", {"id": "t"}), True),
        ({"anything": "else"}, True),
    ],
)
def test_where_content_begins(event, begun):
    """Roles, empty choices and announcements are none; anything else is."""
    assert read(written([event]))[0] is begun


@pytest.mark.parametrize(
    ("url", "watched"),
    [
        ("https://api.openai.com/v1/chat/completions", True),
        ("https://api.openai.com/v1/responses?x=1", True),
        ("https://eu.openai.azure.com/openai/deployments/a/chat/completions?api-version=1", True),
        ("https://api.openai.com/v1/agents/sessions/s1/turns", False),
    ],
)
def test_where_an_error_event_is_the_end(url, watched):
    """In the streams of answers; in those of agents' sessions it is one event among others."""
    response = SimpleNamespace(headers={"content-type": "text/event-stream"})
    assert (watch_of(response, url) is not None) is watched
