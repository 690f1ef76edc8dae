"""The report at the end of a run as text and as JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from stable_openai.bulk.busiest import choose
from stable_openai.bulk.record import KeyRecord, Latencies, RunRecord, Stretch
from stable_openai.bulk.spelling import clean, spell_number, spell_rate, spell_time
from stable_openai.bulk.summary import as_dict, lines_of

KEYS = (
    KeyRecord("lab-1", "sk-…aaaa", "lab", 12_000, 80, "cooling down", "rate_limited_requests_minute"),
    KeyRecord("b", "sk-…bbbb", None, 3_990, 0, "open", ""),
    KeyRecord(
        "old", "sk-…cccc", None, 10, 10, "retired", "invalid_key", (), (Stretch(2.0, 754.0, "retired", "invalid_key"),)
    ),
)
RECORD = RunRecord(
    started_at=1_767_225_600.0,
    seconds=754.0,
    total=18_000,
    resumed=2_000,
    answered=15_870,
    failed={"bad_request": 30, "context_length": 100},
    tokens=1_234_567,
    prompt_tokens=1_000_000,
    cost=12.3456,
    possible_per_minute=1_500.0,
    share=0.943,
    latencies=Latencies((1.0, 2.0, 4.0), (50, 40, 10)),
    keys=KEYS,
    output="out.jsonl",
    failures="out.failures.jsonl",
)


def test_everything():
    """A line for each figure, aligned; a table of the keys."""
    assert lines_of(RECORD) == [
        "17,870 of 18,000 items answered, 2,000 of them by an earlier run, in 12 min 34 s (21 a second)",
        "  rate           94.3% of the 1,500 a minute that the limits allow, after the first minute",
        "  time of each   half within 1 s, 99% within 4 s, waits for keys included",
        "  tokens         1,234,567: 1,000,000 of prompts, 234,567 of answers",
        "  cost           12.35",
        "  failed         130, written to out.failures.jsonl",
        "                 100  context length",
        "                  30  bad request",
        "  results        out.jsonl",
        "",
        "  key    attempts  failed  share  state",
        "  lab-1    12,000      80  75.0%  cooling down: rate limit: requests per minute",
        "  b         3,990       0  24.9%  open",
        "  old          10      10   0.1%  retired: invalid key",
    ]


def test_what_is_not_known_has_no_line():
    """A run of which little was seen."""
    record = RunRecord(started_at=0.0, seconds=0.5, answered=1)
    assert lines_of(record) == ["1 item answered, in 500 ms (2 a second)"]
    assert lines_of(replace(record, answered=0, total=1)) == ["0 of 1 item answered, in 500 ms"]
    assert lines_of(replace(record, possible_per_minute=10.0, minute=4.0))[1] == "  limits allow   10 in 4 s"
    assert lines_of(replace(record, tokens=5, cost=0.000123))[1:] == ["  tokens         5", "  cost           0.00012"]


def test_a_run_that_ended_early():
    """It says why, and how to go on, in the words of whoever ended it."""
    why = "interrupted: 9 of 10 results are in out.jsonl: the same call again goes on from there"
    assert lines_of(replace(RECORD, stopped=why))[-2:] == ["", f"Stopped early: {why}"]


def test_a_crowd_of_keys():
    """Some of the busiest and those that had trouble have lines, the others share one."""
    keys = tuple(KeyRecord(f"k{n}", "", None, n, 0, "parked" if n == 3 else "open", "") for n in range(100))
    lines = lines_of(RunRecord(started_at=0.0, seconds=1.0, keys=keys))
    names = [line.split()[0] for line in lines[2:]]
    assert names == ["key", "k3", *(f"k{n}" for n in range(80, 100)), "79"]
    assert lines[-1].split() == ["79", "others", "3,157", "0", "63.8%"]


def test_the_choice_of_keys():
    """All where they are few; with much trouble, those that are out before those that failed before those that rested."""
    assert choose(KEYS, 3).shown == list(KEYS)
    chosen = choose(KEYS, 1)
    assert [key.name for key in chosen.shown] == ["lab-1", "old"][: len(chosen.shown)]
    assert (chosen.others, chosen.uses) == (2, 4_000)
    rested = KeyRecord("rested", "", None, 1, 0, "open", "", (), (Stretch(0, 1, "parked", ""),))
    idle = KeyRecord("idle", "", None, 0, 0, "open", "")
    assert [key.name for key in choose([idle, rested, KEYS[1]], 1).shown] == ["rested", "b"]


def test_names_cannot_steer_a_terminal():
    """Control characters, directions of writing and line breaks of others are not printed."""
    keys = (KeyRecord("\x1b[31mred\n\u202egnp", "", None, 1, 0, "open", ""),)
    record = RunRecord(
        started_at=0.0, seconds=1.0, failed={"\x1b]0;x\x07": 1}, stopped="a\nb\x00", output="o\x1b", keys=keys
    )
    text = "\n".join(lines_of(record))
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    assert "\N{REPLACEMENT CHARACTER}[31mred \N{REPLACEMENT CHARACTER}gnp" in text
    assert clean("x" * 500) == f"{'x' * 99}…"


def test_as_json():
    """Figures for programs, with nothing that JSON lacks; the courses over time are not in it."""
    content = json.loads(json.dumps(as_dict(RECORD), allow_nan=False))
    assert content["answered"] == 15_870
    assert content["per_second"] == 21.048
    assert content["failed"] == {"bad_request": 30, "context_length": 100}
    assert content["failures_in_all"] == 130
    assert content["latency_s"] == {"p50": 1.0, "p90": 2.0, "p99": 4.0}
    assert content["attempt_latency_s"] is None
    assert content["keys"][2] == {
        "name": "old",
        "masked": "sk-…cccc",
        "owner": None,
        "uses": 10,
        "failed": 10,
        "share": 0.00063,
        "standing": "retired",
        "reason": "invalid_key",
        "seconds_out": 752.0,
    }
    assert set(RunRecord.__dataclass_fields__) - set(content) == {
        "bin_s",
        "answered_counts",
        "latencies",
        "attempt_latencies",
    }
    assert as_dict(RunRecord(started_at=0.0, seconds=0.0))["per_second"] == 0.0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.0012, "1.2 ms"),
        (0.85, "850 ms"),
        (0.99949, "999 ms"),
        (0.9999, "1 s"),
        (9.52, "9.5 s"),
        (12.34, "12.3 s"),
        (12.04, "12 s"),
        (59.96, "1 min"),
        (245, "4 min 05 s"),
        (3_599.7, "1 h"),
        (7_380, "2 h 03 min"),
        (86_399.6, "1 d"),
        (273_600, "3 d 4 h"),
    ],
)
def test_spelling_of_times(seconds, words):
    """The two largest units, and no more digits than tell something."""
    assert spell_time(seconds) == words


def test_spelling_of_figures():
    """Thousands are set apart; a few a minute are not a fraction a second."""
    assert [spell_number(n) for n in (0, 7, 0.05, 3.456, 12.34, 1234567, 1234.5)] == [
        "0", "7", "0.05", "3.5", "12.3", "1,234,567", "1,234",
    ]  # fmt: skip
    assert [spell_rate(rate) for rate in (0.05, 13.1)] == ["3 a minute", "13.1 a second"]
