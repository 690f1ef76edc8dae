"""A provider on loopback, and how many sockets this process has open to it."""

from __future__ import annotations

import contextlib
import os
import socket
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


@pytest.fixture
def sockets():
    """``sockets(sim)``: how many connections this process has to a simulator, as its client."""

    def count(sim):
        found = 0
        for entry in FDS.iterdir():
            with contextlib.suppress(OSError):
                if entry.is_socket():
                    with socket.socket(fileno=os.dup(int(entry.name))) as one:
                        found += one.family == socket.AF_INET and one.getpeername()[1] == sim.port
        return found

    if not FDS.is_dir():
        pytest.skip("there is no /proc here")
    return count
