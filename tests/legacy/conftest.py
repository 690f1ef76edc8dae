"""Modules of legacy code, made for one test each, and the memory of warnings."""

from __future__ import annotations

import importlib
import sys
import textwrap

import pytest

from stable_openai.failover import hidden_retries


@pytest.fixture
def legacy(tmp_path, monkeypatch):
    """``legacy(name, source)`` writes a module that can be imported; ``legacy.load(name)`` imports it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    written = []

    def write(name, source):
        path = tmp_path.joinpath(*name.split(".")).with_suffix(".py")
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(source))
        written.append(name)
        importlib.invalidate_caches()

    def load(name):
        return importlib.import_module(name)

    write.load = load
    yield write
    for name in written:
        sys.modules.pop(name, None)
        sys.modules.pop(name.partition(".")[0], None)


@pytest.fixture
def nothing_said(monkeypatch):
    """As in a process where the warning has not been given yet."""
    import threading

    monkeypatch.setattr(hidden_retries, "_once", threading.Lock())
