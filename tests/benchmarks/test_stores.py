"""The benchmark of stores runs, with the smallest sizes: what it measures is nobody's business here."""

from __future__ import annotations

import json
from xml.etree import ElementTree

from benchmarks.charts import draw
from benchmarks.stores import __main__ as stores


def test_costs_and_crowds(capsys, tmp_path):
    """All contenders are timed and compared, a small crowd is answered in full; tables and charts come of it."""
    size = {"processes": 2, "threads": 2, "keys": 3, "rpm": 4, "minute": 0.5, "minutes": 2.0}
    with stores.places() as where:
        costs = stores.costs(where, rounds=1, many=20, processes=2, seconds=1e-4)
        crowds = stores.crowds(where, **size)
    found = json.loads(json.dumps({"about": {"crowd": size}, "costs": costs, "crowds": crowds}))
    assert {name for name, row in costs.items() if "of_plain" in row} == {
        name for name in costs if name.startswith(("SQLite", "Redis"))
    }
    assert costs["Redis, 20 keys"]["of_few_keys"] > 0
    assert all(row["lost"] == 0 and row["answered"] for row in crowds.values())
    stores.show(found)
    assert "SQLite, 8 processes" in capsys.readouterr().out
    draw("stores", found, tmp_path)
    for name in ("stores", "stores-goodput"):
        assert ElementTree.parse(tmp_path / f"{name}.svg").getroot().tag.endswith("svg")


def test_without_a_server_it_is_sqlite_alone(capsys, monkeypatch):
    """And says so."""
    monkeypatch.setattr(stores, "is_there", lambda _module: False)
    with stores.places() as where:
        assert where.stores == ["SQLite"]
        assert where.port is None
    stores.show({"about": {"crowd": {"processes": 1, "threads": 1}}, "costs": {}, "crowds": {}})
    assert "Redis: skipped" in capsys.readouterr().out
