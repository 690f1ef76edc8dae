"""The progress of a run: a bar is driven rightly, whichever it is, and there is none where nobody looks."""

from __future__ import annotations

import io
import sys
import threading

import pytest

import stable_openai
from stable_openai import KeyPool
from stable_openai.bulk import plain_bar
from stable_openai.bulk.items import Result
from stable_openai.bulk.plain_bar import PlainBar
from stable_openai.bulk.progress import Bar, note_of, progress_of
from stable_openai.bulk.tally import Tally
from tests.bulk.made import lane as made_lane
from tests.bulk.made import resting, status, window


class Recorder:
    """A class that takes the calls of tqdm's."""

    made = ()

    def __init__(self, **options):
        self.options = options
        self.total = options["total"]
        self.n = self.refreshed = self.closed = 0
        self.note = ""
        self.often = threading.Event()
        type(self).made = (*type(self).made, self)

    def update(self, count):
        assert count >= 0
        self.n += count

    def set_postfix_str(self, note, refresh):
        assert not refresh
        self.note = note

    def refresh(self):
        self.refreshed += 1
        if self.refreshed == 3:
            self.often.set()

    def close(self):
        self.closed += 1


@pytest.fixture
def recorder():
    class Fresh(Recorder):
        pass

    return Fresh


class Terminal(io.StringIO):
    """A stderr that is a terminal."""

    def isatty(self):
        return True


def test_a_class_like_tqdm_is_driven_to_the_end(recorder):
    """It is made once, with the total; ends at the number of items, and is closed once."""
    assert list(stable_openai.map(str, range(50), progress=recorder)) == [str(item) for item in range(50)]
    (bar,) = recorder.made
    assert (bar.options["total"], bar.n, bar.closed) == (50, 50, 1)
    assert bar.refreshed >= 1


def test_a_total_that_is_known_at_the_end(recorder):
    """Of an input without a length."""
    stable_openai.map(str, iter(range(50)), progress=recorder).run()
    (bar,) = recorder.made
    assert bar.options["total"] is None
    assert (bar.total, bar.n) == (50, 50)


def test_results_of_an_earlier_run_count(recorder, tmp_path):
    """The bar stands where the run stands."""
    path = tmp_path / "out.jsonl"
    stable_openai.map(str, range(30), progress=False, checkpoint=path).run()
    stable_openai.map(str, range(50), progress=recorder, checkpoint=path, replay=False).run()
    assert recorder.made[0].n == 50


def test_the_least_that_a_class_has_to_have():
    """``update`` and ``close``; and it may be a function that makes one."""

    class Least:
        def __init__(self):
            self.n = 0

        def update(self, count):
            self.n += count

        def close(self):
            self.closed = True

    bar = Least()
    stable_openai.map(str, range(5), progress=lambda **options: bar).run()
    assert (bar.n, bar.closed) == (5, True)


def test_an_object_of_ones_own():
    """With ``show`` and ``close``, as ``Progress`` has them."""
    seen = []

    class Mine:
        def show(self, tally, statuses):
            seen.append(tally.ended)

        def close(self):
            seen.append("closed")

    stable_openai.map(str, range(5), progress=Mine()).run()
    assert seen[-2:] == [5, "closed"]


def test_a_progress_that_fails_harms_nothing(caplog, tmp_path):
    """The values come, the run ends, its checkpoint is free; the log says what was wrong."""

    class Bad:
        def show(self, tally, statuses):
            raise OSError("the terminal is gone")

        def close(self):
            raise AssertionError

    path = tmp_path / "out.jsonl"
    assert list(stable_openai.map(str, range(5), progress=Bad(), checkpoint=path)) == ["0", "1", "2", "3", "4"]
    assert "the progress could not be shown" in caplog.text
    stable_openai.map(str, range(5), progress=False, checkpoint=path).run()


def test_looks_are_taken_while_the_run_goes_on(recorder):
    """Every so often, in a thread of its own: an item waits for three of them."""
    with KeyPool(["sk-progress-aaaaaaaaaaaaaaa"], minute=0.5) as pool:

        def fn(item):
            assert recorder.made[0].often.wait(20)

        stable_openai.map(fn, range(2), progress=recorder, pool=pool).run()
        assert recorder.made[0].note == "1 keys up"


def test_no_bar_where_stderr_is_no_terminal(monkeypatch):
    """Nor where it is closed, or there is none."""
    closed = io.StringIO()
    closed.close()
    for stream in (io.StringIO(), closed, None):
        monkeypatch.setattr(sys, "stderr", stream)
        assert progress_of(None, 10) is None
    monkeypatch.setattr(sys, "stderr", Terminal())
    shown = progress_of(None, 10)
    assert isinstance(shown, Bar)
    shown.close()
    assert progress_of(False, 10) is None


def test_nothing_is_written_without_a_terminal(capsys):
    """By a whole run."""
    stable_openai.map(str, range(50)).run()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("total", [50, None])
def test_tqdm_itself(monkeypatch, total):
    """It is what is taken where it is installed; its line tells how far the run is."""
    tqdm = pytest.importorskip("tqdm")
    monkeypatch.setattr(tqdm.tqdm, "monitor_interval", 0)  # no thread of its own
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    items = range(50) if total else iter(range(50))
    stable_openai.map(str, items).run()
    last = terminal.getvalue().rpartition("\r")[2]
    assert ("100%" in last and "50/50" in last) if total else "items: 50 items" in last
    terminal.truncate(0)
    stable_openai.map(str, items, progress=lambda **options: tqdm.tqdm(file=terminal, **options)).run()
    assert terminal.getvalue()


def test_without_tqdm_there_is_a_plain_line(monkeypatch):
    """openai brings tqdm along until its version 3: a run draws its bar itself where there is none."""
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "200")
    stable_openai.map(str, range(50)).run()
    assert "100% #################### 50/50 [0:00:00, " in terminal.getvalue()
    assert terminal.getvalue().endswith("\n")


def test_the_plain_line_shrinks_and_is_cut(monkeypatch):
    """What a longer line has left is wiped, and none is longer than the terminal is wide; nowhere is fine, too."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "40")
    moments = iter([0.0, 10.0, 20.0, 30.0, 3700.0])
    monkeypatch.setattr(plain_bar.time, "monotonic", lambda: next(moments))
    bar = PlainBar(total=None, unit=" items", desc="items")
    bar.update(50)
    bar.set_postfix_str("a long note that does not fit")
    bar.set_postfix_str("", refresh=False)
    bar.update(50)
    bar.refresh()
    bar.refresh()
    bar.close()
    first, second, third, last = terminal.getvalue().split("\r")[1:]
    assert first == "items: 50 [0:00:10, 5.0 items/s, a long"
    assert second == "items: 100 [0:00:20, 5.0 items/s]".ljust(39)
    assert third == "items: 100 [0:00:30, 2.5 items/s]"
    assert last.startswith("items: 100 [1:01:40, 0.0")
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setattr(plain_bar.time, "monotonic", lambda: 0.0)
    PlainBar(total=3).close()


def test_what_stands_behind_the_bar():
    """What is left of the time, keys that are up, cooling, out; and what has failed."""
    tally = Tally(None, 100)
    assert note_of(tally, ()) == ""
    tally.add([Result(0, None, "item", error=ValueError(), reason="ValueError")])
    statuses = [
        status("a", made_lane(window(60))),
        status("b", made_lane(window(60)), resting("cooling down", 30.0)),
        status("c", resting("retired", float("inf"))),
    ]
    note = note_of(tally, statuses)
    assert note.endswith("left, 1 keys up, 1 cooling, 1 out, 1 failed")
    assert note.startswith("0:")
