"""A provider on loopback, and how many sockets this process has open to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from stable_openai.connections import Connections

FDS = Path("/proc/self/fd")
KEY = "sk-connections-00000000000000"


@pytest.fixture
def sim(openai_simulator):
    return openai_simulator([KEY])


@pytest.fixture
def connections():
    with Connections() as made:
        yield made
