"""The benchmark of gateways runs, with the smallest sizes: what it measures is nobody's business here."""

from __future__ import annotations

import json
import sys
from xml.etree import ElementTree

import pytest

from benchmarks.charts import draw
from benchmarks.gateway import __main__ as gateway
from benchmarks.gateway import crowds, rates, servers, slow
from benchmarks.gateway.streams import DONE, Stream, unchunked

STREAM = Stream(events=3, size=20, seconds=0.01)
SMALLEST = gateway.Plan(
    rates.Pace(1, 0.05, 1_000.0),
    slow.Slow(Stream(events=40, size=62_500), 0.01, 0.01, 1e6, 0.01),
    crowds.Size(STREAM, 5, (5,), 0.01, 20.0),
)


def test_rates_slow_readers_and_streams(capsys, monkeypatch, tmp_path):
    """Requests are answered, streams come as the provider sent them; tables and a chart come of it."""
    monkeypatch.setenv(servers.TOKEN, "sk-benchmark")  # and as it was afterwards
    monkeypatch.setattr(gateway, "litellm_command", lambda *_: None)
    found = json.loads(json.dumps(gateway.measure(SMALLEST)))
    assert set(found["rows"]) == {servers.DIRECT, servers.OURS}
    assert all(row["failed"] == 0 for row in found["rows"].values())
    for row in found["streams"].values():
        assert (row["streams"], row["whole"], row["unchanged"]) == (5, 5, 5)
    gateway.show(found, SMALLEST)
    shown = capsys.readouterr().out
    assert "LiteLLM proxy: not installed here" in shown
    assert "3 events of 20 characters" in shown
    assert found["slow_reader"][servers.OURS]["taken_mb"] > 0
    draw("gateway", found, tmp_path)
    assert ElementTree.parse(tmp_path / "gateway.svg").getroot().tag.endswith("svg")


def test_a_peer_that_does_not_start_is_left_out(capsys, monkeypatch):
    """And what it said is told."""
    broken = [sys.executable, "-c", "raise SystemExit('no module of that name')"]
    monkeypatch.setattr(gateway, "litellm_command", lambda *_: broken)
    monkeypatch.setenv(servers.TOKEN, "sk-benchmark")
    with gateway.started(servers.DIRECT, servers.THEIRS) as (ports, pids):
        assert set(ports) == set(pids) == {servers.DIRECT}
    assert "no module of that name" in capsys.readouterr().err


def test_a_stream_is_told_from_another():
    """What came in other words has its content all the same; what was cut or is another's has not."""
    whole = b"".join(STREAM.pieces())
    assert STREAM.is_told_by(whole)
    assert STREAM.is_told_by(whole.replace(b'"id":"c"', b'"id": "of-a-gateway"'))
    assert not STREAM.is_told_by(whole.removesuffix(DONE))
    assert not STREAM.is_told_by(whole.replace(b"000001 ", b"000002 "))
    assert Stream.asked_for(STREAM.request()) == STREAM
    assert Stream.asked_for(b'{"model": "m"}') is None


@pytest.mark.parametrize(
    ("body", "found"),
    [(b"3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n", b"abcd"), (b"3\r\nabc\r\n5\r\nde", b"abc"), (b"", b"")],
)
def test_chunks(body, found):
    """They are taken apart; of what was cut, the whole ones."""
    assert unchunked(body) == found
