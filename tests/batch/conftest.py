"""Files of requests, written and opened."""

from __future__ import annotations

import json

import pytest

from stable_openai.batch.defaults import Defaults
from stable_openai.batch.source import Source


@pytest.fixture
def opened(tmp_path):
    """``opened(content, name, kind, **defaults)``: a source with that content; closed after the test."""
    sources = []

    def opened(content, name="in.jsonl", kind=None, **defaults):
        path = tmp_path / name
        if isinstance(content, list):
            content = "".join(json.dumps(line) + "\n" for line in content)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        source = Source.open(path, kind=kind, defaults=Defaults(**defaults))
        sources.append(source)
        return source

    yield opened
    for source in sources:
        source.close()


@pytest.fixture
def read(opened):
    """``read(content, …)``: all that a source has to say, of one pass."""

    def read(*arguments, **options):
        return list(opened(*arguments, **options).requests())

    return read


@pytest.fixture
def line():
    """``line(custom_id, url, method, **body)``: a line of a Batch file."""

    def line(custom_id="a", url="/v1/chat/completions", method="POST", **body):
        if not body or set(body) <= {"max_tokens", "n", "model"}:
            body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}], **body}
        return {"custom_id": custom_id, "method": method, "url": url, "body": body}

    return line
