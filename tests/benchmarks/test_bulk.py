"""The benchmark of map and amap runs, with the smallest sizes: what it measures is nobody's business here."""

from __future__ import annotations

import json
import sys
from xml.etree import ElementTree

from benchmarks.bulk import __main__ as bulk
from benchmarks.bulk import memory
from benchmarks.bulk.contenders import IN_TASKS, IN_THREADS
from benchmarks.bulk.overhead import BASES, measure
from benchmarks.charts import draw


def test_costs_and_memory(capsys, tmp_path):
    """All contenders are timed and compared, each in a process of its own as well; tables and charts come of it."""
    found = {"about": {"items": 60}, "overhead": measure(2, 20), "memory": memory.measure(60)}
    found = json.loads(json.dumps(found))
    assert set(found["overhead"]) == {*IN_THREADS, *IN_TASKS}
    assert {name for name, row in found["overhead"].items() if "of_base" in row} == set(BASES)
    bulk.show(found)
    shown = capsys.readouterr().out
    assert "stable_openai: map, checkpoint" in shown
    draw("bulk", found, tmp_path)
    drawn = ["bulk"]
    if sys.platform == "linux":
        assert set(found["memory"]) == set(found["overhead"])
        assert all(row["start"] <= row["most"] for row in found["memory"].values())
        drawn.append("bulk-memory")
    for name in drawn:
        assert ElementTree.parse(tmp_path / f"{name}.svg").getroot().tag.endswith("svg")


def test_where_nothing_tells_the_memory(capsys, monkeypatch, tmp_path):
    """It is left out, and that is said."""
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "nowhere")
    found = {"about": {"items": 1}, "overhead": {"stable_openai: map": {"us": 1.0}}, "memory": memory.measure(1)}
    bulk.show(found)
    assert "skipped" in capsys.readouterr().out
    draw("bulk", found, tmp_path)
    assert not (tmp_path / "bulk-memory.svg").exists()
