"""A pytest plugin: the fixture `openai_simulator`. It loads nothing of the simulator until a test asks for it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stable_openai.simulator.simulator import Simulator


@pytest.fixture
def openai_simulator() -> Iterator[Callable[..., Simulator]]:
    """Start simulators: `openai_simulator(keys=[...], minute=2.0)` gives one that runs until the test ends."""
    from stable_openai.simulator.simulator import Simulator

    with contextlib.ExitStack() as running:

        def start(*args: Any, **settings: Any) -> Simulator:
            return running.enter_context(Simulator(*args, **settings))

        yield start
