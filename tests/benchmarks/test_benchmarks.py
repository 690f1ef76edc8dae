"""The benchmarks' parts run, with the smallest sizes: what they measure is nobody's business here."""

from __future__ import annotations

import importlib.util
import json
from xml.etree import ElementTree

import pytest

from benchmarks.charts import draw
from benchmarks.doors import __main__ as doors
from benchmarks.doors.crawl import SHARED
from benchmarks.environments import is_there
from benchmarks.goodput import variants
from benchmarks.overhead import scale, sections
from benchmarks.overhead.report import show

SMALLEST = sections.Pace(rounds=1, seconds=1e-5, quick=True)


@pytest.mark.skipif(importlib.util.find_spec("tenacity") is None, reason="tenacity is what it is compared with")
def test_overhead_of_all_kinds_and_of_many_keys(capsys, monkeypatch, tmp_path):
    """Ours and tenacity are timed, tables and charts come of it, and peers that are not there are named."""
    monkeypatch.setattr("benchmarks.overhead.peers.is_there", lambda module: module == "tenacity" and is_there(module))
    found = {"kinds": sections.kinds(SMALLEST), "keys": sections.keys(SMALLEST)}
    for name, part in found.items():
        show(name, part)
    shown = capsys.readouterr().out
    assert "tenacity" in shown
    assert "not installed: wrapt, stamina" in shown
    assert set(found["kinds"]) == {"function", "coroutine", "generator", "async generator"}
    assert "of_tenacity" in found["keys"]["function"]["rows"]["10,000 keys"]
    draw("overhead", json.loads(json.dumps(found)), tmp_path)
    assert ElementTree.parse(tmp_path / "overhead.svg").getroot().tag.endswith("svg")


def test_fairness_is_measured():
    """64 threads in line, and the figures of it."""
    found = scale.fairness(quick=True)
    assert found["calls"] == found["threads"] * 3


@pytest.mark.parametrize("variant", variants.ALL, ids=lambda variant: variant.name)
def test_variants_and_their_best_time(variant):
    """Each has a dead and an unpaid key, and a least time between one minute and three."""
    states = [key.state for key in variant.keys()]  # noqa: SIM118  # no mapping
    assert sorted(states) == ["dead", *["ok"] * len(variant.rpm), "unpaid"]
    assert 60.0 < variants.best_seconds(variant, 60.0) < 180.0


def test_doors(capsys, tmp_path):
    """A small crawl through one door is answered in full; tables and charts come of several, skipped ones included."""
    shared = doors.run({SHARED: 8}, threads=2)[SHARED]
    assert (shared["answered"], shared["errors"]) == (8, {})
    rows = doors.compare([{doors.AS_IS: {**shared, "per_second": 1.0}, SHARED: shared, "third": {"skipped": "later"}}])
    assert rows[SHARED]["times_the_first"] == shared["per_second"]
    doors.show(rows)
    assert "third: skipped: later" in capsys.readouterr().out
    draw("doors", json.loads(json.dumps({"rows": rows})), tmp_path)
    assert ElementTree.parse(tmp_path / "doors.svg").getroot().tag.endswith("svg")
