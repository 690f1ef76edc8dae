"""Schemathesis over the served OpenAPI document, where it is installed: ``pip install -r tests/service/schemathesis.txt``.

``STABLE_OPENAI_TEST_SCHEMATHESIS`` may name the program ``st`` of another environment.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
from pathlib import Path

import pytest

from stable_openai import KeyPool

# Its two other checks do not suit a server in front of another: a 503 tells of the provider's failure, and whether a key
# or an address is good is not for a schema to say. A 500 is found nevertheless, for none is documented.
UNSUITABLE = "not_a_server_error,positive_data_acceptance"


def program():
    named = os.environ.get("STABLE_OPENAI_TEST_SCHEMATHESIS")
    if named:
        return [named]
    if importlib.util.find_spec("schemathesis") is None:
        pytest.skip("schemathesis is not installed")
    return [str(Path(sys.executable).with_name("st"))]


@pytest.mark.timeout(180)
async def test_schemathesis_finds_nothing(serve, made, openai_simulator, tmp_path):
    sim = openai_simulator(keys=[made.secret("one")])
    with KeyPool([made.secret("one")]) as pool:
        served = await serve(
            pools=pool, base_url=sim.base_url, base_urls=(sim.base_url,), max_prompt=100, max_sessions=100_000
        )
        url = f"{served.http_at.url}/openapi.json"
        run = await asyncio.create_subprocess_exec(
            *program(), "run", url, "--exclude-checks", UNSUITABLE, "--generation-deterministic", "--max-examples", "30",
            cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said = (await run.communicate())[0].decode()
    assert run.returncode == 0, said
