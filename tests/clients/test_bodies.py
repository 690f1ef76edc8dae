"""Uploads: a multipart body is sent whole under each key; one that can't be sent twice is sent once."""

from __future__ import annotations

import io

import openai
import pytest


class OnceOnly(io.RawIOBase):
    """A file that can't go back, as a socket or a pipe."""

    def __init__(self, data):
        self._data = io.BytesIO(data)

    def readable(self):
        return True

    def read(self, size=-1):
        return self._data.read(size)

    def seekable(self):
        return False


def uploaded(make):
    body = {"id": "file-1", "object": "file", "bytes": 3, "created_at": 1, "filename": "a.txt", "purpose": "batch"}
    return make.HTTPX.Response(200, json={**body, "status": "processed"})


async def test_files(kind, over, make, tmp_path):
    """Bytes, a path and an open file: each key gets all of it, whatever the first has read."""
    (tmp_path / "a.txt").write_bytes(b"the whole content")
    with (tmp_path / "a.txt").open("rb") as file:
        for given in (b"the whole content", tmp_path / "a.txt", ("a.txt", b"the whole content"), file):
            refusals = {"one": lambda: make.error(401, "invalid_api_key"), "two": make.error}
            answers, _, client = over({**refusals, "three": lambda: uploaded(make)}, "one", "two", "three")
            assert (await kind.settled(client.files.create(file=given, purpose="batch"))).id == "file-1"
            assert answers.keys == ["one", "two", "three"]
            first, second, third = [request.content for request in answers.requests]
            assert first == second == third
            assert b"the whole content" in first


async def test_a_file_that_cannot_go_back(kind, over, make):
    """It is sent once: the first key's refusal is the answer, and no other key gets half a body."""
    answers, pool, client = over({"one": make.error, "two": lambda: uploaded(make)}, "one", "two")
    with pytest.raises(openai.RateLimitError):
        await kind.settled(client.files.create(file=("a.txt", OnceOnly(b"once")), purpose="batch"))
    assert answers.keys == ["one"]
    assert pool.status()[0].failed == 1
    assert (await kind.settled(client.files.create(file=("a.txt", OnceOnly(b"once")), purpose="batch"))).id == "file-1"
    assert answers.keys == ["one", "two"]


async def test_a_transcription(kind, over, make):
    """The model stands in the form; it is known to the pool."""
    answer = {
        "one": lambda: make.error(404, "model_not_found"),
        "two": lambda: make.HTTPX.Response(200, json={"text": "hi"}),
    }
    answers, pool, client = over(answer, "one", "two")
    got = await kind.settled(client.audio.transcriptions.create(model="whisper-1", file=("a.wav", b"RIFF")))
    assert got.text == "hi"
    assert [request.content for request in answers.requests[:1]] == [answers.requests[1].content]
    assert {lane.model for lane in pool.status()[0].lanes if lane.standing == "barred"} == {"whisper-1"}


async def test_images(kind, over, make):
    """Generated from a prompt, and edited from a file."""

    def image():
        return make.HTTPX.Response(200, json={"created": 1, "data": [{"b64_json": "aGk="}]})

    answers, _, client = over({"one": make.error, "two": image}, "one", "two")
    assert (await kind.settled(client.images.generate(model="dall-e-3", prompt="x"))).data[0].b64_json == "aGk="
    edited = client.images.edit(model="dall-e-2", prompt="x", image=("a.png", b"\x89PNG"))
    assert (await kind.settled(edited)).data[0].b64_json == "aGk="
    assert answers.keys == ["one", "two", "two"]


async def test_speech_is_read_as_it_comes(kind, over, make):
    """A binary answer: the lease lasts until it has been read."""

    def sound():
        return make.HTTPX.Response(200, stream=make.Pieces(b"abc", b"def"), headers={"content-type": "audio/mpeg"})

    _answers, pool, client = over({"one": make.error, "two": sound}, "one", "two")
    speak = client.audio.speech.with_streaming_response.create
    async with kind.entered(speak(model="tts-1", voice="alloy", input="hi")) as response:
        assert [row.in_flight for row in pool.status()] == [0, 1]
        assert [bytes(piece) for piece in await kind.listed(response.iter_bytes())] == [b"abc", b"def"]
        assert [row.in_flight for row in pool.status()] == [0, 0]
    got = await kind.settled(client.audio.speech.create(model="tts-1", voice="alloy", input="hi"))
    assert got.content == b"abcdef"
    assert [(row.in_flight, row.failed) for row in pool.status()] == [(0, 1), (0, 0)]
