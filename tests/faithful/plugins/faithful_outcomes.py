"""Writes what became of each test as a line of JSON, to the file that FAITHFUL_OUTCOMES names."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


class Outcomes:
    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._write(report, report.when or "call", report.duration)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._write(report, "collect", 0.0)

    def pytest_sessionfinish(self) -> None:
        self._file.close()

    def _write(self, report: pytest.TestReport | pytest.CollectReport, when: str, seconds: float) -> None:
        line = {"id": report.nodeid, "when": when, "outcome": report.outcome, "seconds": round(seconds, 4)}
        if report.outcome != "passed":
            line["why"] = _reason(report)
        self._file.write(json.dumps(line) + "\n")


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        return f"{crash.message} ({Path(crash.path).name}:{crash.lineno})"
    if isinstance(report.longrepr, tuple):  # a skip: file, line, words
        return str(report.longrepr[2])
    lines = str(report.longrepr).splitlines()
    return lines[-1] if lines else ""


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # the controller hears of all that its workers ran
        config.pluginmanager.register(Outcomes(Path(os.environ["FAITHFUL_OUTCOMES"])))
